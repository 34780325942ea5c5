"""The application that commands are added to."""

from typing import Annotated, Any

import typer

from scprism._version import __version__

__all__ = ["app", "datasets_app"]

SETTINGS: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None, "add_completion": False}
app = typer.Typer(
    name="scprism",
    help="Train an interpretable autoencoder on single cells, apply it unchanged to others, explain what it says.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    **SETTINGS,
)


def _version(wanted: bool) -> None:  # noqa: FBT001  a flag of the command line
    if wanted:
        typer.echo(f"scprism {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and stop.")
    ] = False,
) -> None:
    """Train an interpretable autoencoder on single cells, apply it unchanged to others, explain what it says."""


datasets_app = typer.Typer(help="The real data that come with scprism, and those to download.", **SETTINGS)
app.add_typer(datasets_app, name="datasets")
