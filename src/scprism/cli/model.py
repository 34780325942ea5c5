"""The commands that make models and describe them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from scprism._progress import bar
from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import console, say, training_progress
from scprism.cli.paths import Input, Output
from scprism.cli.search import storage_file, write_search

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["adapt", "fit", "info", "tune"]


@command(app, example="scprism fit reference.h5ad --out model --genes variable:2000")
@o.reads_cells
def fit(
    reference: o.Reference,
    out: o.ModelOut,
    preset: o.PresetName = "default",
    genes: o.Genes = None,
    organism: o.OrganismName = None,
    layer: o.Layer = None,
    config: o.ConfigFile = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint of an interrupted run.")] = False,
    force: o.Force = False,
    units: o.UnitsName = None,
    runs: o.Runs = None,
    device: o.Device = "auto",
    max_memory: o.MaxMemory = o.MAX_MEMORY,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Column of obs with labels: stored beside the model for `label`; repeatable."),
    ] = None,
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Train a model on raw counts; interrupted, it goes on with --resume."""
    o.use_threads(threads)
    from scprism.label.labels import known_labels
    from scprism.train.checkpoint import Checkpoint, check_checkpoint

    checkpoint = Checkpoint(out.with_name(f"{out.name}.checkpoint"), resume=resume)
    if not check_checkpoint(checkpoint.path, resume=resume) and resume:
        say(f"there is no {checkpoint.path} to go on from: training begins anew")
    prism = o.new_model(
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
    cells = o.read(reference, layer=layer, max_memory=max_memory)
    for column in labels or []:
        known_labels(cells, column)  # a wrong name is said before the training
    try:
        with training_progress(prism.config.max_epochs) as on_epoch:
            model = prism.fit(
                cells,
                on_epoch=on_epoch,
                on_pace=lambda pace: say(f"  {pace}"),
                checkpoint=checkpoint,
                max_memory=max_memory,
            )
        if labels:
            model = model.index(cells, labels=labels)
        model.save(out)
    except KeyboardInterrupt:
        if checkpoint.path.exists():
            say(f"interrupted; the same command with --resume goes on from {checkpoint.path}")
        raise
    checkpoint.path.unlink(missing_ok=True)
    found = "raw units" if model.named_units is None else f"{len(model.units)} units"
    say(f"model: {out}, {found}, test loss {model.summary['test_loss']:.6g}")


@command(app, example="scprism tune reference.h5ad --out model --trials 40 --jobs 2", called={"n_trials": "--trials"})
@o.reads_cells
def tune(
    reference: o.Reference,
    out: Annotated[
        Path,
        typer.Option(help="Model folder to write."),
        Output("model", beside=(".study.db", ".trials.tsv", ".importance.tsv"), grows=True),
    ],
    preset: o.PresetName = "default",
    trials: Annotated[
        int | None, typer.Option(min=1, help="Number of trials. [default: the preset's; 15 for halving]")
    ] = None,
    space: Annotated[
        Literal["effective", "simple", "complex"] | None,
        typer.Option(help="effective, or the paper's two (complex: with L1 and weight decay). [default: the preset's]"),
    ] = None,
    stopping: Annotated[
        Literal["none", "halving"] | None,
        typer.Option(
            help="halving: end the worse trials early, quicker and less thorough; none: all epochs. "
            "[default: the preset's]"
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Optuna storage URL, or journal:///FILE. [default: OUT.study.db, an SQLite file]"),
        Output("appended", path_of=storage_file),
    ] = None,
    study: Annotated[str | None, typer.Option(help="Name of the study in the storage. [default: the space's]")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a study that the storage holds; several processes may.")
    ] = False,
    force: o.Force = False,
    jobs: Annotated[int, typer.Option(min=1, help="Trials to run side by side.")] = 1,
    genes: o.Genes = None,
    organism: o.OrganismName = None,
    layer: o.Layer = None,
    config: o.ConfigFile = None,
    units: o.UnitsName = None,
    runs: o.Runs = None,
    device: o.Device = "auto",
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Search for settings, then train a model with the best.

    Beside the model it writes OUT.study.db, the study; OUT.trials.tsv, a row a trial; and OUT.importance.tsv, how much
    each setting mattered.
    """
    o.use_threads(threads)
    from scprism.search.search import Search

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
    search = Search(
        space=space,
        stopping=stopping,
        n_trials=trials,
        storage=storage or f"sqlite:///{out}.study.db",
        study=study,
        resume=resume,
        jobs=jobs,
    ).resolved(model.config)
    cells = o.read(reference, layer=layer)
    n_trials = search.n_trials or 0
    with bar("trials", n_trials, shown=not console.quiet) as advance:

        def on_trial(number: int, loss: float) -> None:
            advance(number + 1, f"loss {loss:.5g}")
            say(f"  trial {number + 1} of {n_trials}: loss {loss:.6g}")

        trained = model.tune(cells, search=search, on_trial=on_trial)
    table = cast("pd.DataFrame", trained.trials)
    trained.save(out)
    write_search(out, table, search=search, rng=rng)
    say(f"model: {out}, test loss {trained.summary['test_loss']:.6g}, best of {len(table)} trials")


@command(app, example="scprism adapt model query.h5ad --out adapted --reference reference.h5ad")
@o.reads_cells
def adapt(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: Annotated[
        Path, typer.Option(help="Model folder to write."), Output("model", beside=(".change.tsv", ".units.tsv"))
    ],
    reference: Annotated[
        Path | None,
        typer.Option(help="Cells like those of the training, trained on beside lest they be forgotten."),
        Input(),
    ] = None,
    part: Annotated[
        Literal["decoder", "input", "network"],
        typer.Option(help="decoder, for denoising: latents and labels stay; input: the first layer; network: all."),
    ] = "decoder",
    layer: o.QueryLayer = None,
    reference_layer: o.ReferenceLayer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    force: o.Force = False,
    device: o.Device = "auto",
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Train a model further on a query, without labels, into a new model folder.

    Beside the new model it writes what changed: OUT.change.tsv, losses of held-out cells and the change of each weight
    matrix, and OUT.units.tsv, whether each unit still means the same. The new model has no index of labels.
    """
    o.use_threads(threads)
    from scprism.adaptation.adapt import adapt as train_further
    from scprism.adaptation.change import write_change
    from scprism.estimator.load import load

    known_model = load(model)
    cells = o.read(query, layer=layer)
    known = None if reference is None else o.read(reference, layer=reference_layer)
    adapted, change = train_further(
        known_model,
        known_model.view(cells, layer=layer, organism=organism, min_coverage=min_coverage),
        reference=None if known is None else known_model.view(known, layer=reference_layer, min_coverage=min_coverage),
        part=part,
        device=device,
        rng=rng,
    )
    adapted.save(out)
    write_change(out, change)
    for name, (before, after) in change.losses[["before", "after"]].iterrows():
        say(f"loss of held-out {name} cells: {before:.6g} before, {after:.6g} after")
    say(f"model: {out}, {change.units['same'].sum()} of {len(change.units)} units mean the same as before")


@command(app, example="scprism info model")
def info(
    model: o.ModelFolder,
    settings: Annotated[bool, typer.Option("--settings", help="Also list every setting.")] = False,
) -> None:
    """Say what a model was trained on, and how well."""
    from scprism.estimator.load import load
    from scprism.model.bundle import Bundle
    from scprism.model.describe import describe_model

    prism = load(model)
    bundle = Bundle(
        prism.config, prism.recipe, prism.weights, prism.log, prism.summary, prism.asked, prism.warnings, prism.trials
    )
    labels = {column: known.n_cells for column, known in prism.labels_known.items()}
    units = None if prism.named_units is None else prism.named_units.proposed_names
    typer.echo(describe_model(bundle, labels=labels, units=units, settings=settings))
