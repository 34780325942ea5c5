"""The application that commands are added to."""

from typing import Any

import typer

__all__ = ["app", "datasets_app"]

SETTINGS: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None, "add_completion": False}
app = typer.Typer(
    name="scprism",
    help="Train an interpretable autoencoder on single cells, apply it unchanged to others, explain what it says.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    **SETTINGS,
)
datasets_app = typer.Typer(help="The real data that come with scprism.", **SETTINGS)
app.add_typer(datasets_app, name="datasets")
