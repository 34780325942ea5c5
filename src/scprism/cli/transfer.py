"""The commands that apply a model to other cells."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from scprism.cli import options as o
from scprism.cli.annotated import check_umap, made_by, write_cells
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import say
from scprism.cli.paths import Input, Output
from scprism.errors import InputError

__all__ = ["denoise", "embed", "index", "integrate", "label"]


@command(app, example="scprism embed model query.h5ad --out embedding.h5ad --denoise")
@o.reads_cells
def embed(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: Annotated[
        Path,
        typer.Option(help="Result: .h5ad or .zarr, the cells annotated; .csv, .tsv or .parquet for a table of values."),
        Output(suffixes=(*o.CELLS, *o.TABLE), beside=(".json",)),
    ],
    denoise: Annotated[
        bool, typer.Option("--denoise", help="Denoised expression (log1p CPM) as X, in place of the cells' own.")
    ] = False,
    adjust: Annotated[
        bool | None,
        typer.Option(
            "--adjust/--no-adjust",
            help="Fit denoised expression to the totals and molecules of these cells. [default: the preset's]",
        ),
    ] = None,
    umap: o.Umap = None,
    layer: o.QueryLayer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Embed cells with a trained model, and denoise them if asked to."""
    check_umap(out, umap=umap)
    if adjust is not None and not denoise:
        msg = "--adjust and --no-adjust are about denoised expression, which was not asked for. Add --denoise."
        raise InputError(msg)
    if denoise and out.suffix.lower() in o.TABLE:
        msg = f"--out {str(out)!r} is a table of latents, which has no room for denoised expression (--denoise)."
        raise InputError(f"{msg} Choose a name that ends in .h5ad or .zarr.")
    if denoise and umap is not None:
        msg = "--umap and --no-umap are about a file of the cells' own expression, and --denoise replaces it."
        raise InputError(f"{msg} Leave one of them out.")
    o.use_threads(threads)
    from scprism._warnings import kept_warnings
    from scprism.estimator.denoised import write_denoised
    from scprism.estimator.load import load
    from scprism.query.files import write_embedding

    prism, cells = load(model), o.read(query, layer=layer)
    with kept_warnings() as messages:
        view = prism.view(cells, layer=layer, organism=organism, min_coverage=min_coverage)
        latent = view.embed()
        activity = None if prism.named_units is None else view.activity()
    if denoise:
        write_denoised(out, view, adjust=adjust, made_by=made_by())
    elif out.suffix.lower() in o.CELLS:
        write_cells(out, view, umap=umap)
    else:
        write_embedding(out, latent, cells=cells, fingerprint=prism.fingerprint, activity=activity, messages=messages)
    found = "" if activity is None else f", activities of {activity.shape[1]} units"
    say(f"embedding: {out}, {latent.shape[0]:,} cells × {latent.shape[1]} latent values{found}")


@command(app, example="scprism denoise model query.h5ad --out denoised.h5ad")
@o.reads_cells
def denoise(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: Annotated[
        Path, typer.Option(help="Result: .h5ad or .zarr, cells × genes of the model."), Output(suffixes=o.CELLS)
    ],
    adjust: Annotated[
        bool | None,
        typer.Option(
            "--adjust/--no-adjust",
            help="Fit the values to the totals and molecules of these cells. [default: the preset's]",
        ),
    ] = None,
    layer: o.QueryLayer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Write the expression that a model decodes from each cell, log1p counts per million, block by block."""
    o.use_threads(threads)
    from scprism.estimator.denoised import write_denoised
    from scprism.estimator.load import load

    prism, cells = load(model), o.read(query, layer=layer)
    view = prism.view(cells, layer=layer, organism=organism, min_coverage=min_coverage)
    write_denoised(out, view, adjust=adjust, made_by=made_by())
    say(f"denoised expression: {out}, {cells.n_obs:,} cells × {len(prism.genes):,} genes")


@command(app, example="scprism index model reference.h5ad --labels cell_type")
@o.reads_cells
def index(
    model: Annotated[
        Path, typer.Argument(help="Model folder that `scprism fit` wrote; it gets the index."), Input(), Output("index")
    ],
    reference: o.Reference,
    labels: Annotated[list[str], typer.Option(help="Column of the reference's obs that holds labels; repeatable.")],
    layer: o.ReferenceLayer = None,
    threads: o.Threads = None,
) -> None:
    """Store what labelled cells teach beside a model, so that `label` needs no reference file.

    An index that the model has already is replaced: name all columns of labels in one call.
    """
    o.use_threads(threads)
    from scprism.estimator.load import load

    prism = load(model)
    before = list(prism.labels_known)
    prism = prism.index(o.read(reference, layer=layer), labels=labels, layer=layer)
    prism.save(model)
    say(f"index: {model}, {', '.join(f'{r.n_cells:,} cells of {c}' for c, r in prism.labels_known.items())}")
    gone = [column for column in before if column not in prism.labels_known]
    if gone:
        say(f"no longer in the index: {', '.join(gone)}; to have both, give --labels for each column in one call")


@command(app, example="scprism label model query.h5ad --reference ref.h5ad --labels cell_type --out labels.csv")
@o.reads_cells
def label(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: Annotated[
        Path,
        typer.Option(
            help="Result: .csv, .tsv or .parquet (settings and warnings go to OUT.json); .h5ad or .zarr, the cells "
            "annotated with labels, latent and units."
        ),
        Output(suffixes=(*o.TABLE, *o.CELLS), beside=(".json",)),
    ],
    reference: Annotated[
        Path | None,
        typer.Option(help="Labelled cells, in any format a query may have. [default: the model's index]"),
        Input(),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Column of the reference's obs. [default: the only one of the index]")
    ] = None,
    umap: o.Umap = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add a column with the probability of each label.")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Cells of lower confidence are called 'unassigned'.")
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(help="One label a group of cells: a column of the query's obs, or 'leiden'."),
    ] = None,
    truth: Annotated[
        str | None, typer.Option(help="Column of the query's obs with known labels, to compare with.")
    ] = None,
    confusion: Annotated[
        Path | None,
        typer.Option(help="Where the table of known against given labels goes: .csv, .tsv or .parquet."),
        Output(suffixes=o.TABLE),
    ] = None,
    reasons: Annotated[
        Path | None,
        typer.Option(help="Where the genes that speak for each label go: .csv, .tsv or .parquet."),
        Output(suffixes=o.TABLE),
    ] = None,
    cell: Annotated[
        list[str] | None, typer.Option(help="A cell to give reasons for, too; repeatable. Needs --reasons.")
    ] = None,
    layer: o.QueryLayer = None,
    reference_layer: o.ReferenceLayer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Label cells by labelled ones, and say how sure each label is, why it was given, and which cells are new."""
    if reference is not None and labels is None:
        msg = "--labels is needed beside --reference: the column of its obs that holds the labels."
        raise InputError(msg)
    check_umap(out, umap=umap)
    if confusion is not None and truth is None:
        msg = "--confusion compares with known labels: name their column of the query's obs by --truth."
        raise InputError(msg)
    if cell and reasons is None:
        msg = "--cell asks for the reasons for a cell's label, and there is no file for them. Add --reasons FILE."
        raise InputError(msg)
    o.use_threads(threads)
    from scprism._files import write_table
    from scprism.estimator.load import load
    from scprism.label.agreement import truth_of

    prism, cells = load(model), o.read(query, layer=layer)
    known = None if truth is None else truth_of(cells, truth)
    view = prism.view(cells, layer=layer, organism=organism, min_coverage=min_coverage)
    labelled = None if reference is None else o.read(reference, layer=reference_layer)
    source: dict[str, Any] = {"reference": labelled, "labels": labels, "reference_layer": reference_layer}
    calls = view.label(**source, threshold=threshold, over=over)
    why = None if reasons is None else view.reasons(**source, cells=cell or ())
    if out.suffix.lower() in o.CELLS:
        write_cells(out, view, labels=calls, umap=umap)
    else:
        calls.save(out, probabilities=probabilities)
    say(f"labels: {out}, {len(calls):,} cells, {calls['novel'].mean():.1%} novel")
    if why is not None and reasons is not None:
        write_table(why, reasons)
        say(f"reasons: {reasons}")
    if known is not None:
        agreement = calls.agreement(known)
        say(agreement.summary())
        if confusion is not None:
            write_table(agreement.confusion.reset_index(names="known label"), confusion)
            say(f"known against given labels: {confusion}")


@command(
    app,
    example="scprism integrate smartseq2.h5ad 10x.h5ad --batch platform --out corrected.h5ad",
    called={"timeout_seconds": "--timeout"},
)
@o.reads_cells
def integrate(
    data_sets: Annotated[list[Path], typer.Argument(help="Raw counts, one file or several."), Input()],
    batch: Annotated[str, typer.Option(help="Column of obs that names the batches; added where there is none.")],
    out: Annotated[Path, typer.Option(help="Result: .h5ad or .zarr."), Output(suffixes=o.CELLS)],
    method: Annotated[
        Literal["combat", "scanorama", "seurat"], typer.Option(help="Method; seurat needs R.")
    ] = "combat",
    target_sum: Annotated[
        float, typer.Option(min=1, help="Counts that each cell is scaled to before the logarithm.")
    ] = 1e4,
    n_genes: Annotated[
        int | None, typer.Option(min=50, help="Seurat: variable genes to correct and return. [default: 2000]")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seurat: seconds after which R is ended. [default: 7200]")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer of the raw counts, or 'raw'; of all data sets. [default: X]")
    ] = None,
    threads: o.Threads = None,
) -> None:
    """Correct batches; the result is corrected expression that a model can be trained on."""
    for option, value in (("--n-genes", n_genes), ("--timeout", timeout)):
        if value is not None and method != "seurat":
            msg = f"{option} is for --method seurat only, and the method is {method}."
            raise InputError(msg)
    o.use_threads(threads)
    from scprism._stores import write_anndata
    from scprism.integration.methods import integrate as correct

    corrected = correct(
        [o.read(path, layer=layer, max_memory=float("inf")) for path in data_sets],
        batch=batch,
        method=method,
        layer=layer,
        target_sum=target_sum,
        n_genes=n_genes,
        timeout_seconds=timeout,
    )
    write_anndata(corrected, out)
    record = corrected.uns["scprism"]
    say(f"genes in common: {record['n_common_genes']:,} of {', '.join(f'{n:,}' for n in record['n_genes'])}")
    negative = float((corrected.X < 0).mean())
    say(f"corrected: {out}, {corrected.n_obs:,} cells × {corrected.n_vars:,} genes, {negative:.1%} of values below 0")
