"""The command that says which units may be named."""

import contextlib
from pathlib import Path
from typing import Annotated, Literal

import typer

from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import say, step_progress
from scprism.cli.paths import Input, Output
from scprism.errors import InputError

__all__ = ["trust"]


@command(
    app,
    example="scprism trust model query.h5ad --out trust.tsv",
    called={"n_refits": "--refits", "sets": "--gene-sets"},
)
@o.reads_cells
def trust(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: Annotated[
        Path,
        typer.Option(help="Result: .tsv, .csv or .parquet; what it rests on goes to OUT.json."),
        Output(suffixes=o.TABLE, beside=(".json",)),
    ],
    reference: Annotated[
        Path | None,
        typer.Option(
            help="The data that the model was trained on, to find units anew from other starts. Raw units need it."
        ),
        Input(),
    ] = None,
    units: Annotated[
        Literal["programs", "raw"] | None, typer.Option(help="What is judged. [default: the model's units]")
    ] = None,
    groupby: o.Groupby = None,
    refits: Annotated[int, typer.Option(min=1, help="How often to train or find units anew, with --reference.")] = 5,
    gene_sets: Annotated[
        str | None,
        typer.Option(help="For raw units: hallmark, a GMT file, or none. [default: hallmark]"),
        Input(o.gene_sets_file),
    ] = None,
    max_cells: Annotated[int, typer.Option(min=50, help="Of more query cells than this a sample is taken.")] = 1000,
    layer: o.QueryLayer = None,
    reference_layer: o.ReferenceLayer = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"] | None,
        typer.Option(help="Where networks are trained. [default: where the model was asked to be trained]"),
    ] = None,
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Say which units may be named: programs by the runs that found them, raw units by training again."""
    o.use_threads(threads)
    from scprism.enrichment.gene_sets import gene_sets as load_sets
    from scprism.estimator.load import load
    from scprism.trust.assess import assess_units
    from scprism.trust.inputs import TrustSettings
    from scprism.trust.verdict import MAY_BE_NAMED

    prism, grouping = load(model), o.groups(groupby)
    kind = units or ("raw" if prism.named_units is None else "programs")
    _check_options(kind, reference=reference, reference_layer=reference_layer, groupby=groupby, gene_sets=gene_sets)
    is_tested = kind == "raw" and gene_sets != "none"
    sets = load_sets(gene_sets or "hallmark", organism=prism.organism) if is_tested else None
    cells = o.read(query, layer=layer)
    known = None if reference is None else o.read(reference, layer=reference_layer)
    n_networks = refits + 1 if kind == "raw" else 0
    if kind == "raw":
        say(f"training {n_networks} networks; the model itself took {prism.summary['seconds']:.0f} s")
    shown = step_progress("networks", n_networks, steps=("refit ", "training on shuffled"))
    with shown if kind == "raw" else contextlib.nullcontext():
        result = assess_units(
            prism,
            cells,
            reference=known,
            groupby=grouping,
            sets=sets,
            settings=TrustSettings(
                units=units,
                n_refits=refits,
                max_cells=max_cells,
                layer=layer,
                reference_layer=reference_layer,
                device=device,
            ),
            rng=rng,
        )
    result.save(out)
    table = result.table
    say(f"verdicts: {out}, {(table['verdict'] == MAY_BE_NAMED).sum()} of {len(table)} units may be named")


def _check_options(
    kind: str, *, reference: Path | None, reference_layer: str | None, groupby: str | None, gene_sets: str | None
) -> None:
    """Refuse options that do not go together."""
    if kind == "raw" and reference is None:
        msg = "Raw units are judged by training the network again: give --reference, the data of the training."
        raise InputError(msg)
    if reference is None and reference_layer is not None:
        msg = "--reference-layer is about the cells of --reference, which was not given."
        raise InputError(msg)
    surplus = [name for name, value in (("--groupby", groupby), ("--gene-sets", gene_sets)) if value is not None]
    if kind == "programs" and surplus:
        msg = f"{' and '.join(surplus)}: for raw units alone; programs are judged by the sets that their runs found."
        raise InputError(f"{msg} Leave it out, or add --units raw.")
