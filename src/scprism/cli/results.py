"""The commands that explain, test and report."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from scprism._check import check_choice
from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.console import say
from scprism.errors import InputError

__all__ = ["enrich", "explain", "report"]


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
    baseline: Annotated[
        str | None, typer.Option(help="What attributions are relative to: zero or mean. [default: the preset's]")
    ] = None,
    layer: o.Layer = None,
    organism: o.OrganismName = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Say which genes drive each unit, in each group of cells and in all."""
    o.check_out(out, query)
    o.use_threads(threads)
    from scprism.explain.explanation import write_explanation
    from scprism.saved import load

    prism, cells = load(model), o.read(query, layer=layer)
    explanation = prism.explain(
        cells,
        groupby=o.groups(groupby),
        method=o.method(method),
        baseline=o.baseline(baseline),
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
    scores: Annotated[str, typer.Option(help="What genes are ranked by: signed, absolute or difference.")] = "signed",
    null: Annotated[
        str,
        typer.Option(
            help="What a set must stand out from: genes (random sets), matched (random sets of like mean expression; "
            "needs --model), networks (random sets, and untrained networks; needs --model and --query)."
        ),
    ] = "genes",
    model: Annotated[Path | None, typer.Option(help="Model folder, for --null matched or networks.")] = None,
    query: Annotated[Path | None, typer.Option(help="The cells that were explained, for --null networks.")] = None,
    groupby: Annotated[str | None, typer.Option(help="With --query: as given to `scprism explain`.")] = None,
    layer: o.Layer = None,
    null_networks: Annotated[int, typer.Option(min=1, help="Untrained networks, for --null networks.")] = 100,
    rng: o.Seed = 0,
    threads: o.Threads = None,
) -> None:
    """Test which gene sets each unit's genes form."""
    o.check_out(out, explanation, query)
    o.use_threads(threads)
    check_null(null, model=model, query=query, groupby=groupby, layer=layer)
    import pandas as pd

    from scprism.enrichment.enrich import enrich as test_sets
    from scprism.enrichment.gene_sets import gene_sets as load_sets
    from scprism.enrichment.network_null import enrich_against
    from scprism.enrichment.result import check_suffix
    from scprism.enrichment.settings import GseaSettings
    from scprism.explain.attribution import MEAN_CELL
    from scprism.explain.explanation import read_explanation
    from scprism.explain.null_networks import Nulls, null_explanations
    from scprism.prepare.organism import detect_organism
    from scprism.saved import load

    check_suffix(out)
    ranked_by = o.scores(scores)
    record = read_explanation(explanation)
    of = o.organism(organism) or detect_organism(record.genes)
    if gene_sets == "hallmark" and of is None:
        msg = "The explanation's genes do not tell their organism; give --organism human or --organism mouse."
        raise InputError(msg)
    sets = load_sets(gene_sets, organism=of)
    if null == "networks":
        prism, cells = load(cast("Path", model)), o.read(cast("Path", query), layer=layer)
        nulls = null_explanations(
            prism,
            cells,
            nulls=Nulls(
                n=null_networks,
                absolute=ranked_by != "signed",
                baseline="mean" if record.baseline == MEAN_CELL else "zero",
            ),
            groupby=o.groups(groupby),
            method=o.method(record.method),
            layer=layer,
            rng=rng,
        )
        result = enrich_against(record, sets, nulls, scores=ranked_by, rng=rng, threads=threads)
    else:
        recipe = None if model is None else load(model).recipe_
        mean = None if recipe is None else pd.Series(recipe.mean, index=list(recipe.genes))
        settings = GseaSettings(null=cast("Any", null), expression=mean)
        result = test_sets(record, sets, scores=ranked_by, settings=settings, rng=rng, threads=threads)
    result.save(out)
    table = result.table
    say(f"enrichment: {out}, {len(table):,} tests, {(table['q_value'] < 0.05).sum():,} with q < 0.05")


def check_null(null: str, *, model: Path | None, query: Path | None, groupby: str | None, layer: str | None) -> None:
    """Refuse a null without what it is made of, and options that it would ignore."""
    check_choice("null", null, ("genes", "matched", "networks"))
    given = {"--model": model, "--query": query, "--groupby": groupby, "--layer": layer}
    needed = {"genes": (), "matched": ("--model",), "networks": ("--model", "--query")}[null]
    missing = [name for name in needed if given[name] is None]
    allowed = tuple(given) if null == "networks" else needed
    surplus = [name for name, value in given.items() if value is not None and name not in allowed]
    if missing or surplus:
        what = f"needs {' and '.join(missing)}" if missing else f"takes no {' or '.join(surplus)}"
        msg = f"--null {null} {what}. See `scprism enrich --help`."
        raise InputError(msg)


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
    trust: Annotated[Path | None, typer.Option(help="File that `scprism trust` wrote.")] = None,
    min_coverage: o.Coverage = None,
    threads: o.Threads = None,
) -> None:
    """Write the report of results on disk as one HTML page."""
    o.check_out(out, query, explanation, enrichment, labels_file, reference)
    o.use_threads(threads)
    from scprism.enrichment.result import read_enrichment
    from scprism.evaluate.trust_table import read_trust
    from scprism.explain.explanation import read_explanation
    from scprism.report.page import write_report
    from scprism.saved import load
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
        trust=None if trust is None else read_trust(trust),
        layer=query_layer,
    )
    say(f"report: {out.resolve()}")
