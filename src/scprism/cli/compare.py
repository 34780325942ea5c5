"""The command that compares conditions."""

from pathlib import Path
from typing import Annotated

import typer

from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import say
from scprism.cli.paths import Output

__all__ = ["compare"]


@command(
    app,
    example="scprism compare model query.h5ad --groupby condition --against control --replicate donor --out units.tsv",
    called={"reference": "--against"},
)
@o.reads_cells
def compare(
    model: o.ModelFolder,
    query: o.QueryFile,
    groupby: Annotated[str, typer.Option(help="Column of obs that holds the groups, such as the condition.")],
    against: Annotated[str, typer.Option(help="The group that the others are compared with.")],
    out: Annotated[
        Path,
        typer.Option(help="Result: .tsv, .csv or .parquet; how it was tested goes to OUT.json."),
        Output(suffixes=o.TABLE, beside=(".json",)),
    ],
    replicate: Annotated[
        str | None, typer.Option(help="Column of samples or donors. [default: cells, with a warning]")
    ] = None,
    within: Annotated[str | None, typer.Option(help="Column of labels, to compare within each label too.")] = None,
    layer: o.QueryLayer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Say which units are more or less active in each group of cells than in one of them."""
    o.use_threads(threads)
    from scprism.estimator.compare import compare as compare_units
    from scprism.estimator.load import load

    prism, cells = load(model), o.read(query, layer=layer)
    result = compare_units(
        prism,
        prism.view(cells, layer=layer, organism=organism, min_coverage=min_coverage),
        groupby=groupby,
        reference=against,
        replicate=replicate,
        within=within,
    )
    result.save(out)
    n_found = int((result.table["q_value"] < 0.05).sum())
    say(f"comparison: {out}, {len(result.table):,} tests, {n_found:,} with q < 0.05")
