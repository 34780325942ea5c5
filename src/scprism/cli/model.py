"""The commands that make models and describe them."""

from typing import Annotated

import typer

from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.console import say, training_progress

__all__ = ["fit", "info", "tune"]


@app.command(epilog="Example: scprism fit reference.h5ad --out model --genes variable:2000")
def fit(
    reference: o.Reference,
    out: o.Out,
    preset: o.PresetName = "default",
    genes: o.Genes = None,
    organism: o.OrganismName = None,
    layer: o.Layer = None,
    config: o.ConfigFile = None,
    device: o.Device = "auto",
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Column of obs with labels: stored beside the model for `label`; repeatable."),
    ] = None,
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Train a model on raw counts."""
    o.check_model_folder(out, reference)
    o.use_threads(threads)
    from scprism.transfer.labels import known_labels

    model = o.new_model(preset, config=config, genes=genes, organism=organism, layer=layer, device=device, rng=rng)
    cells = o.read(reference, layer=layer)
    for column in labels or []:
        known_labels(cells, column)  # a wrong name is said before the training
    with training_progress(model.config.max_epochs) as on_epoch:
        model.fit(cells, on_epoch=on_epoch)
    if labels:
        model.index(cells, labels=labels)
    model.save(out)
    say(f"model: {out}, test loss {model.summary_['test_loss']:.6g}")


@app.command(epilog="Example: scprism tune reference.h5ad --out model --preset paper --trials 40")
def tune(
    reference: o.Reference,
    out: o.Out,
    preset: o.PresetName = "default",
    trials: Annotated[int | None, typer.Option(min=1, help="Number of trials. [default: the preset's]")] = None,
    space: Annotated[str, typer.Option(help="simple or complex (with L1 and weight decay).")] = "simple",
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL. [default: an SQLite file beside the model]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a study that the storage holds.")] = False,
    genes: o.Genes = None,
    organism: o.OrganismName = None,
    layer: o.Layer = None,
    config: o.ConfigFile = None,
    device: o.Device = "auto",
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Search for settings over the paper's ranges, then train a model with the best."""
    o.check_model_folder(out, reference)
    o.use_threads(threads)
    from scprism.train.tune import Search

    model = o.new_model(preset, config=config, genes=genes, organism=organism, layer=layer, device=device, rng=rng)
    cells = o.read(reference, layer=layer)
    search = Search(
        space=o.space(space),
        n_trials=trials or model.config.search_trials,
        storage=storage or f"sqlite:///{out}.study.db",
        resume=resume,
    )
    table = model.tune(cells, search=search, on_trial=lambda number, loss: say(f"  trial {number}: loss {loss:.6g}"))
    model.save(out)
    say(f"model: {out}, test loss {model.summary_['test_loss']:.6g}, best of {len(table)} trials")


@app.command(epilog="Example: scprism info model")
def info(model: o.ModelFolder) -> None:
    """Say what a model was trained on, with which settings, and how well."""
    from scprism.model.bundle import load_bundle
    from scprism.model.describe import describe_model

    typer.echo(describe_model(load_bundle(model)))
