"""The commands on data sets: those that come with scprism, and those to download."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scprism.cli.app import datasets_app
from scprism.cli.command import command
from scprism.cli.console import say
from scprism.cli.paths import Output

if TYPE_CHECKING:
    from scprism.paper.download import Progress

__all__ = ["fetch_datasets", "list_datasets"]

SAY_EVERY_SECONDS = 30.0


@command(datasets_app, name="list", example="scprism datasets list")
def list_datasets() -> None:
    """List the bundled data sets and those to download, with their source."""
    from scprism.paper.fetch import fetchable_table
    from scprism.read.datasets import dataset_table

    typer.echo(dataset_table().to_string(index=False))
    typer.echo("\nTo download with `scprism datasets fetch NAME`:")
    typer.echo(fetchable_table().to_string(index=False))


@command(datasets_app, name="fetch", example="scprism datasets fetch tabula-muris")
def fetch_datasets(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Data sets that `scprism datasets list` names.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to put each data set's folder into. [default: the user's cache]"),
        Output("folder"),
    ] = None,
) -> None:
    """Download data sets: each file is checked and kept; what is there already is not downloaded again."""
    from scprism.paper.fetch import fetch_dataset

    for name in names:
        folder = fetch_dataset(name, out=out, progress=_said_progress())
        say(f"{name}: {', '.join(sorted(path.name for path in folder.iterdir() if path.suffix != '.json'))}")
        typer.echo(folder.resolve())


def _said_progress() -> "Progress":
    """Return what to call as bytes come: it says now and then how far each file is."""
    said: dict[str, float] = {}

    def on_bytes(name: str, there: int, size: int) -> None:
        now = time.monotonic()
        if there < size and now - said.get(name, float("-inf")) < SAY_EVERY_SECONDS:
            return
        said[name] = now
        say(f"{name}: {there / 1e6:,.0f} of {size / 1e6:,.0f} MB")

    return on_bytes
