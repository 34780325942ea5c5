"""The commands that walk the whole path."""

from pathlib import Path
from typing import Annotated

import typer

from scprism.cli import options as o
from scprism.cli.annotated import made_by
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import say, training_progress
from scprism.cli.paths import Output
from scprism.errors import InputError

__all__ = ["demo", "run"]

KNOWN_TYPES = {"B cells": "B cell", "NK cells": "NK cell", "Neutrophils": "Granulocyte", "T cells": "T cell"}
"""What the authors of the demo's query call its types, and what the reference calls them."""


@command(app, example="scprism demo --out demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder of results to write."), Output("run")] = Path("demo"),
    force: o.Force = False,
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Run the whole path on bundled real data, offline; it ends in OUT/report.html."""
    o.use_threads(threads)
    from scprism.cli.run import Columns, Watch, run_path
    from scprism.estimator.prism import Prism
    from scprism.read.datasets import load_dataset

    reference, query = load_dataset("tm_droplet_immune"), load_dataset("mouse_lung_immune")
    query.obs["known_type"] = query.obs["Major_cell_type"].astype(str).map(KNOWN_TYPES)
    say("reference: immune cells of mouse spleen, marrow and lung (10x); query: immune cells of mouse lung (inDrop)")
    model = Prism(rng=rng)
    with training_progress(model.config.max_epochs) as on_epoch:
        files = {"reference": "tm_droplet_immune (bundled)", "query": "mouse_lung_immune (bundled)"}
        watch = Watch(on_step=say, on_epoch=on_epoch, made_by=made_by(), files=files)
        columns = Columns(truth="known_type", sample="Tissue")
        page = run_path(reference, query, model=model, labels="cell_type", out=out, columns=columns, watch=watch)
    say(f"report: {page.resolve()}")


@command(
    app,
    example="scprism run reference.h5ad query.h5ad --labels cell_type --out results",
    called={"sets": "--gene-sets"},
)
@o.reads_cells
def run(
    reference: o.Reference,
    query: o.QueryFile,
    labels: o.Labels,
    out: Annotated[Path, typer.Option(help="Folder of results to write."), Output("run", beside=(".checkpoint",))],
    preset: o.PresetName = "default",
    genes: o.Genes = None,
    organism: o.OrganismName = None,
    gene_sets: o.GeneSetsName = "hallmark",
    layer: o.Layer = None,
    query_layer: Annotated[
        str | None, typer.Option(help="Layer of the query's raw counts, or 'raw'. [default: as --layer]")
    ] = None,
    min_coverage: o.Coverage = None,
    config: o.ConfigFile = None,
    groupby: Annotated[
        str | None, typer.Option(help="Column of the query's obs with groups, such as conditions, to compare by units.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="With --groupby: the group that the others are compared with.")
    ] = None,
    replicate: Annotated[
        str | None,
        typer.Option(help="With --groupby: column of samples or donors. [default: cells, with a warning]"),
    ] = None,
    within: Annotated[
        str | None, typer.Option(help="With --groupby: column of labels, to compare within each label too.")
    ] = None,
    truth: o.Truth = None,
    sample: o.Sample = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint of an interrupted training.")
    ] = False,
    force: o.Force = False,
    units: o.UnitsName = None,
    runs: o.Runs = None,
    device: o.Device = "auto",
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Run the whole path on your data: train, embed, label, explain, enrich, judge and compare units, report."""
    surplus = [
        name for name, value in (("--against", against), ("--replicate", replicate), ("--within", within)) if value
    ]
    if groupby is None and surplus:
        msg = f"{' and '.join(surplus)}: without --groupby nothing is compared. Give the column of the groups."
        raise InputError(msg)
    if groupby is not None and against is None:
        msg = "--groupby needs --against, the group that the others are compared with."
        raise InputError(msg)
    o.use_threads(threads)
    from scprism.cli.run import Columns, Conditions, Watch, run_path
    from scprism.train.checkpoint import Checkpoint, check_checkpoint

    checkpoint = Checkpoint(out.with_name(f"{out.name}.checkpoint"), resume=resume)
    if not check_checkpoint(checkpoint.path, resume=resume) and resume:
        say(f"there is no {checkpoint.path} to go on from: training begins anew")
    model = o.new_model(
        preset,
        config=config,
        genes=genes,
        organism=organism,
        layer=layer,
        device=device,
        rng=rng,
        units=units,
        runs=runs,
    )
    model.min_coverage = min_coverage
    known, foreign = o.read(reference, layer=layer), o.read(query, layer=query_layer)
    try:
        with training_progress(model.config.max_epochs) as on_epoch:
            files = {"reference": str(reference), "query": str(query)}
            watch = Watch(on_step=say, on_epoch=on_epoch, made_by=made_by(), files=files)
            page = run_path(
                known,
                foreign,
                model=model,
                labels=labels,
                out=out,
                sets=gene_sets,
                query_layer=query_layer,
                conditions=None
                if groupby is None or against is None
                else Conditions(groupby, against, replicate, within),
                columns=Columns(truth, sample),
                checkpoint=checkpoint,
                watch=watch,
            )
    except KeyboardInterrupt:
        if checkpoint.path.exists():
            say(f"interrupted; the same command with --resume goes on from {checkpoint.path}")
        raise
    say(f"report: {page.resolve()}")
