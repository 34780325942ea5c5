"""The command that chooses among references."""

from pathlib import Path
from typing import Annotated

import typer

from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import say
from scprism.cli.paths import Input, Output
from scprism.errors import InputError

__all__ = ["references"]


@command(app, example="scprism references by_blood.csv by_lung.csv --out chosen.csv")
def references(
    labels: Annotated[
        list[Path], typer.Argument(help="Labels of one query by two references or more (scprism label --out)."), Input()
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Result: .csv, .tsv or .parquet, each cell's label by the reference that is most confident; how the "
            "references compare goes to OUT.json."
        ),
        Output(suffixes=o.TABLE, beside=(".json",)),
    ],
) -> None:
    """Say which of several references fits a query best, cell by cell and as a whole."""
    names = [path.stem for path in labels]
    if len(set(names)) < len(names):
        msg = f"The files are told apart by their names without the ending, got {', '.join(names)}. Rename one."
        raise InputError(msg)
    from scprism.label.references import compare_references
    from scprism.label.result import read_labels

    found = compare_references({name: read_labels(path) for name, path in zip(names, labels, strict=True)})
    found.save(out)
    for name, row in found.references.iterrows():
        say(
            f"  {name}: mean confidence {row['mean_confidence']:.3f}, {row['novel']:.1%} novel, "
            f"most confident for {row['chosen']:.1%} of the cells"
        )
    say(f"best reference: {found.best}; labels: {out}, {len(found.table):,} cells")
