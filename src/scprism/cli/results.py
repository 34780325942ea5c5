"""The commands that explain, test and report."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from scprism.cli import options as o
from scprism.cli.annotated import made_by
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import say
from scprism.cli.paths import Input, Output
from scprism.errors import InputError

__all__ = ["enrich", "explain", "report"]


@command(app, example="scprism explain model query.h5ad --groupby cell_type --out explanation.h5ad")
@o.reads_cells
def explain(
    model: o.ModelFolder,
    query: o.QueryFile,
    out: Annotated[Path, typer.Option(help="Result: .h5ad or .zarr."), Output(suffixes=o.CELLS)],
    groupby: o.Groupby = None,
    method: o.MethodName = None,
    baseline: o.BaselineName = None,
    units: Annotated[
        Literal["programs", "raw"] | None,
        typer.Option(help="What is explained. [default: the model's units; raw where a method or baseline is given]"),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Cells that are the baselines, for --method expected_gradients."), Input()
    ] = None,
    layer: o.QueryLayer = None,
    reference_layer: o.ReferenceLayer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Say which genes drive each unit, in each group of cells and in all."""
    if (method == "expected_gradients" and reference is None) or (
        method not in (None, "expected_gradients") and reference is not None
    ):
        msg = "--reference and --method expected_gradients go together: its cells are what that method compares with."
        raise InputError(msg)
    if reference_layer is not None and reference is None:
        msg = "--reference-layer is about the cells of --reference, which was not given."
        raise InputError(msg)
    o.use_threads(threads)
    from scprism.estimator.load import load
    from scprism.explain.explanation import write_explanation

    grouping = o.groups(groupby)
    prism, cells = load(model), o.read(query, layer=layer)
    explanation = prism.explain(
        cells,
        groupby=grouping,
        method=method,
        baseline=baseline,
        reference=None
        if reference is None
        else prism.view(o.read(reference, layer=reference_layer), layer=reference_layer),
        units=units,
        layer=layer,
        organism=organism,
        min_coverage=min_coverage,
    )
    write_explanation(explanation, out)
    say(f"explanation: {out}, {len(explanation.groups)} groups × {len(explanation.units)} units")


@command(
    app,
    example="scprism enrich explanation.h5ad --gene-sets hallmark --out enrichment.tsv",
    called={"n_permutations": "--permutations", "sets": "--gene-sets"},
)
@o.reads_cells
def enrich(
    explanation: Annotated[Path, typer.Argument(help="File that `scprism explain` wrote."), Input()],
    out: Annotated[
        Path,
        typer.Option(help="Result: .tsv, .csv or .parquet; how it was tested goes to OUT.json."),
        Output(suffixes=o.TABLE, beside=(".json",)),
    ],
    gene_sets: o.GeneSetsName = "hallmark",
    organism: o.OrganismName = None,
    scores: o.Scores = "signed",
    min_size: Annotated[int, typer.Option(min=1, help="Smallest set tested, in genes of the explanation.")] = 10,
    max_size: Annotated[int, typer.Option(min=1, help="Largest set tested, in genes of the explanation.")] = 500,
    permutations: Annotated[int, typer.Option(min=1, help="Random sets of each size.")] = 1000,
    weight: Annotated[float, typer.Option(min=0, help="Power of the score by which a gene counts; 0: by rank.")] = 1.0,
    null: Annotated[
        Literal["genes", "matched", "networks"],
        typer.Option(
            help="What a set must stand out from: random sets of genes; sets of matched mean expression (needs "
            "--model); also untrained networks (needs --model and --query)."
        ),
    ] = "genes",
    model: Annotated[
        str | None, typer.Option(help="Model, for --null matched or networks."), Input(o.model_path)
    ] = None,
    query: Annotated[
        Path | None, typer.Option(help="The cells that were explained, for --null networks."), Input()
    ] = None,
    groupby: Annotated[
        str | None, typer.Option(help="With --query: as given to `scprism explain`."), Input(o.if_file)
    ] = None,
    layer: o.QueryLayer = None,
    null_networks: Annotated[int, typer.Option(min=1, help="Untrained networks, for --null networks.")] = 100,
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Test which gene sets each unit's genes form."""
    check_null(null, model=model, query=query, groupby=groupby, layer=layer)
    o.use_threads(threads)
    import pandas as pd

    from scprism.enrichment.enrich import enrich as test_sets
    from scprism.enrichment.gene_sets import gene_sets as load_sets
    from scprism.enrichment.network_null import enrich_against
    from scprism.enrichment.settings import GseaSettings, check_settings
    from scprism.estimator.load import load
    from scprism.explain.attribution import MEAN_CELL
    from scprism.explain.explanation import read_explanation
    from scprism.genes.organism import detect_organism
    from scprism.trust.null_networks import Nulls, null_explanations

    record = read_explanation(explanation)
    known = organism or detect_organism(record.genes)
    if gene_sets == "hallmark" and known is None:
        msg = "The explanation's genes do not tell their organism; give --organism human or --organism mouse."
        raise InputError(msg)
    sets = load_sets(gene_sets, organism=known)
    settings = GseaSettings(n_permutations=permutations, weight=weight, min_size=min_size, max_size=max_size)
    check_settings(settings)
    if null == "networks":
        prism, cells = load(cast("Path", model)), o.read(cast("Path", query), layer=layer)
        nulls = null_explanations(
            prism,
            cells,
            nulls=Nulls(
                n=null_networks,
                absolute=scores != "signed",
                baseline="mean" if record.baseline == MEAN_CELL else "zero",
            ),
            groupby=o.groups(groupby),
            method=cast("Any", record.method),
            layer=layer,
            rng=rng,
        )
        result = enrich_against(record, sets, nulls, scores=scores, settings=settings, rng=rng, threads=threads)
    else:
        recipe = None if model is None else load(model).recipe
        mean = None if recipe is None else pd.Series(recipe.mean, index=list(recipe.genes))
        settings = replace(settings, null=null, expression=mean)
        result = test_sets(record, sets, scores=scores, settings=settings, rng=rng, threads=threads)
    result.save(out)
    table = result.table
    say(f"enrichment: {out}, {len(table):,} tests, {(table['q_value'] < 0.05).sum():,} with q < 0.05")


def check_null(null: str, *, model: str | None, query: Path | None, groupby: str | None, layer: str | None) -> None:
    """Refuse a null without what it is made of, and options that it would ignore."""
    given = {"--model": model, "--query": query, "--groupby": groupby, "--layer": layer, **o.reading_given()}
    needed = {"genes": (), "matched": ("--model",), "networks": ("--model", "--query")}[null]
    missing = [name for name in needed if given[name] is None]
    allowed = tuple(given) if null == "networks" else needed
    surplus = [name for name, value in given.items() if value is not None and name not in allowed]
    if missing or surplus:
        what = f"needs {' and '.join(missing)}" if missing else f"takes no {' or '.join(surplus)}"
        msg = f"--null {null} {what}. See `scprism enrich --help`."
        raise InputError(msg)


@command(
    app,
    example="scprism report --model results/model --query query.h5ad --explanation results/explanation.h5ad "
    "--enrichment results/enrichment.tsv --labels-file results/labels.csv --out report.html",
    called={"cells": "--query", "labels": "--labels-file", "reference_labels": "--labels"},
)
@o.reads_cells
def report(
    model: Annotated[str, typer.Option(help="Model folder, or what else a model may be."), Input(o.model_path)],
    query: Annotated[Path, typer.Option(help="The query's cells."), Input()],
    explanation: Annotated[Path, typer.Option(help="File that `scprism explain` wrote."), Input()],
    enrichment: Annotated[Path, typer.Option(help="File that `scprism enrich` wrote."), Input()],
    out: Annotated[Path, typer.Option(help="Page to write: .html."), Output(suffixes=o.PAGE)],
    labels_file: Annotated[Path | None, typer.Option(help="File that `scprism label` wrote."), Input()] = None,
    reference: Annotated[
        Path | None, typer.Option(help="The reference's cells, to draw beside the query."), Input()
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Column of the reference's obs with its labels.")] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            help="File that `scprism trust` wrote. [default: programs are judged by their runs and the query]"
        ),
        Input(),
    ] = None,
    comparison: Annotated[Path | None, typer.Option(help="File that `scprism compare` wrote."), Input()] = None,
    truth: o.Truth = None,
    sample: o.Sample = None,
    layer: o.QueryLayer = None,
    reference_layer: o.ReferenceLayer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Write the report of results on disk as one HTML page, with the warnings that the results keep."""
    o.use_threads(threads)
    from scprism._warnings import kept_warnings
    from scprism.enrichment.result import read_enrichment
    from scprism.estimator.load import load
    from scprism.explain.explanation import read_explanation
    from scprism.report.page import write_report
    from scprism.trust.result import read_trust
    from scprism.units.comparison import read_comparison

    prism, cells = load(model), o.read(query, layer=layer)
    known = None if reference is None else o.read(reference, layer=reference_layer)
    with kept_warnings() as messages:
        view = prism.view(cells, layer=layer, organism=organism, min_coverage=min_coverage)
        embedding = view.embed()
    write_report(
        out,
        model=prism,
        explanation=read_explanation(explanation),
        enrichment=read_enrichment(enrichment),
        embedding=embedding,
        cells=view,
        labels=None if labels_file is None else o.labels_in(labels_file),
        reference=None if known is None else prism.view(known, layer=reference_layer),
        reference_labels=labels,
        messages=messages,
        trust=None if trust is None else read_trust(trust),
        comparison=None if comparison is None else read_comparison(comparison),
        truth=truth,
        sample=sample,
        made_by={
            "query": str(query),
            **({} if reference is None else {"reference": str(reference)}),
            **made_by(),
        },
    )
    say(f"report: {out.resolve()}")
