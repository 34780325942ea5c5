"""The commands that walk the whole path."""

from pathlib import Path

from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.console import say, training_progress

__all__ = ["demo", "run"]


@app.command(epilog="Example: scprism demo --out demo")
def demo(out: o.Out = Path("demo"), rng: o.Seed = 0, threads: o.Threads = None) -> None:
    """Run the whole path on bundled real data, offline; it ends in OUT/report.html."""
    o.check_out(out, folder=True)
    o.use_threads(threads)
    from scprism.cli.run import Watch, run_path
    from scprism.estimator.prism import Prism
    from scprism.read.datasets import load_dataset

    reference, query = load_dataset("tm_droplet_immune"), load_dataset("mouse_lung_immune")
    say("reference: immune cells of mouse spleen, marrow and lung (10x); query: immune cells of mouse lung (inDrop)")
    model = Prism(rng=rng)
    with training_progress(model.config.max_epochs) as on_epoch:
        watch = Watch(on_step=say, on_epoch=on_epoch)
        page = run_path(reference, query, model=model, labels="cell_type", out=out, watch=watch)
    say(f"report: {page.resolve()}")


@app.command(epilog="Example: scprism run reference.h5ad query.h5ad --labels cell_type --out results")
@o.reads_cells
def run(
    reference: o.Reference,
    query: o.QueryFile,
    labels: o.Labels,
    out: o.Out,
    preset: o.PresetName = "default",
    genes: o.Genes = None,
    organism: o.OrganismName = None,
    layer: o.Layer = None,
    query_layer: o.QueryLayer = None,
    min_coverage: o.Coverage = None,
    config: o.ConfigFile = None,
    device: o.Device = "auto",
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Run the whole path on your data: train, embed, label, explain, enrich, report."""
    o.check_out(out, reference, query, folder=True)
    o.use_threads(threads)
    from scprism.cli.run import Watch, run_path

    model = o.new_model(preset, config=config, genes=genes, organism=organism, layer=layer, device=device, rng=rng)
    model.min_coverage = min_coverage
    known, foreign = o.read(reference, layer=layer), o.read(query, layer=query_layer)
    with training_progress(model.config.max_epochs) as on_epoch:
        watch = Watch(on_step=say, on_epoch=on_epoch)
        page = run_path(known, foreign, model=model, labels=labels, out=out, query_layer=query_layer, watch=watch)
    say(f"report: {page.resolve()}")
