"""The command that scores gene lists of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import say
from scprism.cli.paths import Input, Output

__all__ = ["score"]


@command(
    app,
    example="scprism score model query.h5ad --genes exhaustion.txt --out scores.tsv",
)
@o.reads_cells
def score(
    model: o.ModelFolder,
    query: o.QueryFile,
    genes: Annotated[
        Path, typer.Option(help="A file with one gene a line, or a GMT file of several lists (.gmt)."), Input()
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Result: .tsv, .csv or .parquet, a column a list; what each unit holds of the lists goes to "
            "OUT.units.tsv, the record to OUT.json."
        ),
        Output(suffixes=o.TABLE, beside=(".json", ".units.tsv")),
    ],
    layer: o.QueryLayer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Say how active gene lists of your own are in each cell, along the model's units."""
    o.use_threads(threads)
    from scprism.estimator.load import load
    from scprism.estimator.score import gene_lists
    from scprism.estimator.score import score as score_lists

    lists = gene_lists(genes)
    prism, cells = load(model), o.read(query, layer=layer)
    view = prism.view(cells, layer=layer, organism=organism, min_coverage=min_coverage)
    result = score_lists(prism, view, lists)
    result.save(out)
    for row in result.lists.itertuples():
        say(
            f"  {row.list}: {row.n_found} of {row.n_given} genes found, correlation with their own expression "
            f"{row.correlation:.2f}"
        )
    say(f"scores: {out}, {len(result.table):,} cells × {len(result.lists)} lists")
