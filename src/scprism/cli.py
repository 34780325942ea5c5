"""The command line: one command a step, no logic of its own."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scprism import _options as o
from scprism._console import say, show_warnings, training_progress
from scprism.errors import PrismError

__all__ = ["app", "main"]

SETTINGS: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None, "add_completion": False}
app = typer.Typer(
    name="scprism",
    help="Train an interpretable autoencoder on single cells, apply it unchanged to others, explain what it says.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    **SETTINGS,
)
datasets_app = typer.Typer(help="The real data that come with scprism.", **SETTINGS)
app.add_typer(datasets_app, name="datasets")


@app.command(epilog="Example: scprism demo --out demo")
def demo(out: o.Out = Path("demo"), rng: o.Seed = 0, threads: o.Threads = None) -> None:
    """Run the whole path on bundled real data, offline; it ends in OUT/report.html."""
    o.use_threads(threads)
    from scprism.estimator import Prism
    from scprism.path import Watch, run_path
    from scprism.read.datasets import load_dataset

    reference, query = load_dataset("tm_droplet_immune"), load_dataset("mouse_lung_immune")
    say("reference: immune cells of mouse spleen, marrow and lung (10x); query: immune cells of mouse lung (inDrop)")
    model = Prism(rng=rng)
    with training_progress(model.config.max_epochs) as on_epoch:
        watch = Watch(on_step=say, on_epoch=on_epoch)
        page = run_path(reference, query, model=model, labels="cell_type", out=out, watch=watch)
    say(f"report: {page.resolve()}")


@app.command(epilog="Example: scprism run reference.h5ad query.h5ad --labels cell_type --out results")
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
    o.use_threads(threads)
    from scprism.path import Watch, run_path

    model = o.new_model(preset, config=config, genes=genes, organism=organism, layer=layer, device=device, rng=rng)
    model.min_coverage = min_coverage
    known, foreign = o.read(reference, layer=layer), o.read(query, layer=query_layer)
    with training_progress(model.config.max_epochs) as on_epoch:
        watch = Watch(on_step=say, on_epoch=on_epoch)
        page = run_path(known, foreign, model=model, labels=labels, out=out, query_layer=query_layer, watch=watch)
    say(f"report: {page.resolve()}")


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
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Train a model on raw counts."""
    o.use_threads(threads)
    model = o.new_model(preset, config=config, genes=genes, organism=organism, layer=layer, device=device, rng=rng)
    cells = o.read(reference, layer=layer)
    with training_progress(model.config.max_epochs) as on_epoch:
        model.fit(cells, on_epoch=on_epoch)
    model.save(out)
    say(f"model: {out}, test loss {model.summary_['test_loss']:.6g}")


@app.command(epilog="Example: scprism embed model query.h5ad --out embedding.h5ad --denoise")
def embed(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: o.Out,
    denoise: Annotated[bool, typer.Option("--denoise", help="Add denoised expression (log1p CPM) as X.")] = False,
    layer: o.Layer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Embed cells with a trained model, and denoise them if asked to."""
    o.use_threads(threads)
    from scprism.estimator import load
    from scprism.transfer.files import write_embedding

    prism, cells = load(model), o.read(query, layer=layer)
    organism_ = o.organism(organism)
    latent = prism.embed(cells, layer=layer, organism=organism_, min_coverage=min_coverage)
    values = None
    if denoise:
        values = prism.denoise(cells, layer=layer, organism=organism_, min_coverage=min_coverage)
    write_embedding(out, latent, cells=cells, fingerprint=prism.fingerprint, denoised=values, genes=prism.recipe_.genes)
    say(f"embedding: {out}, {latent.shape[0]:,} cells × {latent.shape[1]} units")


@app.command(epilog="Example: scprism label model query.h5ad --reference ref.h5ad --labels cell_type --out labels.csv")
def label(
    model: o.ModelFolder,
    query: o.QueryFile,
    reference: Annotated[Path, typer.Option(help="Labelled cells, in any format that a query may have.")],
    labels: o.Labels,
    out: o.Out,
    layer: o.Layer = None,
    reference_layer: Annotated[str | None, typer.Option(help="Layer of the reference's raw counts.")] = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Label cells by their nearest reference cells in the latent space."""
    o.use_threads(threads)
    from scprism.estimator import load
    from scprism.transfer.files import write_labels

    calls = load(model).label(
        o.read(query, layer=layer),
        reference=o.read(reference, layer=reference_layer),
        labels=labels,
        layer=layer,
        reference_layer=reference_layer,
        organism=o.organism(organism),
        min_coverage=min_coverage,
    )
    write_labels(out, calls)
    say(f"labels: {out}, {len(calls):,} cells, {calls['novel'].mean():.1%} novel")


@app.command(epilog="Example: scprism explain model query.h5ad --groupby cell_type --out explanation.h5ad")
def explain(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: o.Out,
    groupby: Annotated[
        str | None, typer.Option(help="Column of the query's obs, or a labels.csv that `scprism label` wrote.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="plain, guided, deeplift, gradient_x_input, … [default: the preset's]")
    ] = None,
    layer: o.Layer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Say which genes drive each unit, in each group of cells and in all."""
    o.use_threads(threads)
    from scprism.estimator import load
    from scprism.explain.explanation import write_explanation

    prism, cells = load(model), o.read(query, layer=layer)
    explanation = prism.explain(
        cells,
        groupby=o.groups(groupby),
        method=o.method(method),
        layer=layer,
        organism=o.organism(organism),
        min_coverage=min_coverage,
    )
    write_explanation(explanation, out)
    say(f"explanation: {out}, {len(explanation.groups)} groups × {len(explanation.units)} units")


@app.command(epilog="Example: scprism enrich explanation.h5ad --gene-sets hallmark --out enrichment.tsv")
def enrich(
    explanation: Annotated[Path, typer.Argument(help="File that `scprism explain` wrote.")],
    out: o.Out,
    gene_sets: Annotated[str, typer.Option(help="hallmark, or a GMT file.")] = "hallmark",
    organism: o.OrganismName = None,
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Test which gene sets each unit's genes form."""
    o.use_threads(threads)
    from scprism.enrich.genesets import gene_sets as load_sets
    from scprism.enrich.pathways import enrich as test_sets
    from scprism.enrich.pathways import write_enrichment
    from scprism.explain.explanation import read_explanation
    from scprism.prepare.organism import detect_organism

    record = read_explanation(explanation)
    sets = load_sets(gene_sets, organism=o.organism(organism) or detect_organism(record.genes))
    table = test_sets(record, sets, rng=rng)
    write_enrichment(table, out)
    say(f"enrichment: {out}, {len(table):,} tests, {(table['q_value'] < 0.05).sum():,} with q < 0.05")


@app.command(epilog="Example: scprism report --model results/model --query query.h5ad --out report.html …")
def report(
    model: Annotated[Path, typer.Option(help="Model folder.")],
    query: Annotated[Path, typer.Option(help="The query's cells.")],
    explanation: Annotated[Path, typer.Option(help="File that `scprism explain` wrote.")],
    enrichment: Annotated[Path, typer.Option(help="File that `scprism enrich` wrote.")],
    out: o.Out,
    labels_file: Annotated[Path | None, typer.Option(help="File that `scprism label` wrote.")] = None,
    reference: Annotated[Path | None, typer.Option(help="The reference's cells, to draw beside the query.")] = None,
    labels: Annotated[str | None, typer.Option(help="Column of the reference's obs with its labels.")] = None,
    layer: o.Layer = None,
    query_layer: o.QueryLayer = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Write the report of results on disk as one HTML page."""
    o.use_threads(threads)
    from scprism.enrich.pathways import read_enrichment
    from scprism.estimator import load
    from scprism.explain.explanation import read_explanation
    from scprism.report.page import write_report
    from scprism.transfer.files import read_labels

    prism, cells = load(model), o.read(query, layer=query_layer)
    prism.layer, prism.min_coverage = layer, min_coverage
    write_report(
        out,
        model=prism,
        explanation=read_explanation(explanation),
        enrichment=read_enrichment(enrichment),
        embedding=prism.embed(cells, layer=query_layer),
        cells=cells,
        labels=None if labels_file is None else read_labels(labels_file),
        reference=None if reference is None else o.read(reference, layer=layer),
        reference_labels=labels,
    )
    say(f"report: {out.resolve()}")


@app.command(epilog="Example: scprism info model")
def info(model: o.ModelFolder) -> None:
    """Say what a model was trained on, with which settings, and how well."""
    from scprism.estimator import load

    typer.echo(load(model).describe())


@datasets_app.command("list", epilog="Example: scprism datasets list")
def list_datasets() -> None:
    """List the bundled data sets with their source."""
    from scprism.read.datasets import dataset_table

    typer.echo(dataset_table().to_string(index=False))


def main() -> None:
    """Run the command line; an error of scprism or of a file is one message on stderr and exit status 2."""
    show_warnings()
    try:
        app()
    except PrismError as error:
        say(f"scprism: {error}")
        sys.exit(2)
    except OSError as error:
        say(f"scprism: {error.filename or 'a file'}: {error.strerror or error}")
        sys.exit(2)
