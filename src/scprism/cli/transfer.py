"""The commands that apply a model to other cells."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.console import say

__all__ = ["embed", "index", "integrate", "label"]


@app.command(epilog="Example: scprism embed model query.h5ad --out embedding.h5ad --denoise")
@o.reads_cells
def embed(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: o.Out,
    denoise: Annotated[bool, typer.Option("--denoise", help="Add denoised expression (log1p CPM) as X.")] = False,
    adjust: Annotated[
        bool | None,
        typer.Option(
            "--adjust/--no-adjust",
            help="Fit denoised expression to the totals and molecules of these cells. [default: the preset's]",
        ),
    ] = None,
    layer: o.Layer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Embed cells with a trained model, and denoise them if asked to."""
    o.check_out(out, query)
    o.use_threads(threads)
    from scprism.denoise.adjust import is_adjusted
    from scprism.errors import InputError
    from scprism.estimator.load import load
    from scprism.query.files import write_embedding

    if adjust is not None and not denoise:
        msg = "`--adjust` and `--no-adjust` are about denoised expression, which was not asked for. Add --denoise."
        raise InputError(msg)
    prism, cells = load(model), o.read(query, layer=layer)
    view = prism.view(cells, layer=layer, organism=o.organism(organism), min_coverage=min_coverage)
    latent = view.embed()
    values = view.denoise(adjust=adjust) if denoise else None
    write_embedding(
        out,
        latent,
        cells=cells,
        fingerprint=prism.fingerprint,
        denoised=values,
        genes=prism.genes,
        adjusted=denoise and is_adjusted(prism.recipe, prism.config, adjust=adjust),
    )
    say(f"embedding: {out}, {latent.shape[0]:,} cells × {latent.shape[1]} units")


@app.command(epilog="Example: scprism index model reference.h5ad --labels cell_type")
@o.reads_cells
def index(
    model: o.ModelFolder,
    reference: o.Reference,
    labels: Annotated[list[str], typer.Option(help="Column of the reference's obs that holds labels; repeatable.")],
    layer: o.Layer = None,
    threads: o.Threads = None,
) -> None:
    """Store labelled cells beside a model (latents and labels), so that `label` needs no reference file."""
    o.use_threads(threads)
    from scprism.estimator.load import load

    prism = load(model).index(o.read(reference, layer=layer), labels=labels, layer=layer)
    prism.save(model)
    say(f"index: {model}, {', '.join(f'{len(r.latent):,} cells of {c}' for c, r in prism.labels_known.items())}")


@app.command(epilog="Example: scprism label model query.h5ad --reference ref.h5ad --labels cell_type --out labels.csv")
@o.reads_cells
def label(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: o.Out,
    reference: Annotated[
        Path | None, typer.Option(help="Labelled cells, in any format a query may have. [default: the model's index]")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Column of the reference's obs. [default: the only one of the index]")
    ] = None,
    layer: o.Layer = None,
    reference_layer: Annotated[str | None, typer.Option(help="Layer of the reference's raw counts.")] = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Label cells by their nearest reference cells, and the centres of the labels, in the latent space."""
    o.check_out(out, query, reference)
    o.use_threads(threads)
    from scprism.estimator.load import load
    from scprism.query.files import write_labels

    calls = load(model).label(
        o.read(query, layer=layer),
        reference=None if reference is None else o.read(reference, layer=reference_layer),
        labels=labels,
        layer=layer,
        reference_layer=reference_layer,
        organism=o.organism(organism),
        min_coverage=min_coverage,
    )
    write_labels(out, calls)
    say(f"labels: {out}, {len(calls):,} cells, {calls['novel'].mean():.1%} novel")


@app.command(epilog="Example: scprism integrate smartseq2.h5ad 10x.h5ad --batch platform --out corrected.h5ad")
@o.reads_cells
def integrate(
    data_sets: Annotated[list[Path], typer.Argument(help="Raw counts, one file or several.")],
    batch: Annotated[str, typer.Option(help="Column of obs that names the batches; added where there is none.")],
    out: o.Out,
    method: Annotated[str, typer.Option(help="combat, scanorama, or seurat (R's).")] = "combat",
    n_genes: Annotated[
        int | None, typer.Option(min=50, help="Seurat: variable genes to correct and return. [default: 2000]")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seurat: seconds after which R is ended. [default: 7200]")
    ] = None,
    layer: o.Layer = None,
    threads: o.Threads = None,
) -> None:
    """Correct batches; the result is corrected expression that a model can be trained on."""
    o.check_out(out, *data_sets)
    o.use_threads(threads)
    from scprism._check import check_choice
    from scprism._files import replacing
    from scprism.integration.methods import METHODS
    from scprism.integration.methods import integrate as correct

    check_choice("method", method, METHODS)
    corrected = correct(
        [o.read(path, layer=layer) for path in data_sets],
        batch=batch,
        method=cast("Any", method),
        layer=layer,
        n_genes=n_genes,
        timeout_seconds=timeout,
    )
    with replacing(out) as scratch:
        corrected.write_h5ad(scratch)
    record = corrected.uns["scprism"]
    say(f"genes in common: {record['n_common_genes']:,} of {', '.join(f'{n:,}' for n in record['n_genes'])}")
    negative = float((corrected.X < 0).mean())
    say(f"corrected: {out}, {corrected.n_obs:,} cells × {corrected.n_vars:,} genes, {negative:.1%} of values below 0")
