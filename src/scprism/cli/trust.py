"""The command that says which units may be named."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import say, step_progress
from scprism.cli.paths import Input, Output

__all__ = ["trust"]


@command(
    app,
    example="scprism trust model query.h5ad --reference ref.h5ad --groupby labels.csv --out trust.tsv",
    called={"n_refits": "--refits", "sets": "--gene-sets"},
)
@o.reads_cells
def trust(
    model: o.ModelFolder,
    query: o.QueryFile,
    reference: Annotated[Path, typer.Option(help="The data that the model was trained on."), Input()],
    out: Annotated[
        Path,
        typer.Option(help="Result: .tsv, .csv or .parquet; what it rests on goes to OUT.json."),
        Output(suffixes=o.TABLE, beside=(".json",)),
    ],
    groupby: o.Groupby = None,
    refits: Annotated[int, typer.Option(min=1, help="Networks to train anew with other seeds.")] = 5,
    gene_sets: Annotated[
        str, typer.Option(help="hallmark, a GMT file, or none."), Input(o.gene_sets_file)
    ] = "hallmark",
    max_cells: Annotated[int, typer.Option(min=50, help="Of more query cells than this a sample is taken.")] = 1000,
    layer: o.QueryLayer = None,
    reference_layer: o.ReferenceLayer = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"] | None,
        typer.Option(help="Where the networks are trained. [default: where the model was asked to be trained]"),
    ] = None,
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Say which units may be named, by sanity checks and by training the network again with other seeds."""
    o.use_threads(threads)
    from scprism.enrichment.gene_sets import gene_sets as load_sets
    from scprism.estimator.load import load
    from scprism.trust.assess import assess_units
    from scprism.trust.inputs import TrustSettings
    from scprism.trust.verdict import MAY_BE_NAMED

    prism, grouping = load(model), o.groups(groupby)
    sets = None if gene_sets == "none" else load_sets(gene_sets, organism=prism.organism)
    cells = o.read(query, layer=layer)
    known = o.read(reference, layer=reference_layer)
    say(f"training {refits + 1} networks; the model itself took {prism.summary['seconds']:.0f} s")
    with step_progress("networks", refits + 1, steps=("refit ", "training on shuffled")):
        result = assess_units(
            prism,
            cells,
            reference=known,
            groupby=grouping,
            sets=sets,
            settings=TrustSettings(
                n_refits=refits, max_cells=max_cells, layer=layer, reference_layer=reference_layer, device=device
            ),
            rng=rng,
        )
    result.save(out)
    table = result.table
    say(f"verdicts: {out}, {(table['verdict'] == MAY_BE_NAMED).sum()} of {len(table)} units may be named")
