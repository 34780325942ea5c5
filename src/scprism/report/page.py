"""The report: one HTML file that holds everything it shows and asks no network for anything."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from anndata import AnnData
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from scprism._files import check_suffix, replacing
from scprism._warnings import warnings_of
from scprism.enrichment.result import Enrichment, table_of
from scprism.estimator.model import Model
from scprism.estimator.view import View
from scprism.explain.explanation import Explanation
from scprism.label.agreement import Agreement
from scprism.label.result import Labels
from scprism.query.align import Alignment
from scprism.report import findings, sections
from scprism.report.cards import card_section, judged_units, program_trust, shown_genes, unit_titles
from scprism.report.composition import (
    check_sample,
    composition_figure,
    composition_section,
    composition_table,
    grouping_columns,
)
from scprism.report.conditions import condition_section, volcano_figure
from scprism.report.embedding import Named, embedding_data, read_counts
from scprism.report.interactive import (
    confidence_figure,
    figure_json,
    histogram_figure,
    pathway_figure,
    safe_json,
    training_figure,
)
from scprism.report.odd_cells import find_odd_cells, odd_section
from scprism.report.packing import packed
from scprism.report.subject import (
    Subject,
    check_subject,
    drawn_cells,
    query_values,
    query_view,
    reference_latent,
    reference_values,
    shows_programs,
)
from scprism.report.tables import percent, sets_per_unit
from scprism.report.trust import trust_section
from scprism.report.truth import calibration_figure, confusion_figure, known_agreement, truth_section
from scprism.report.verdict import verdict_section
from scprism.trust.result import Trust
from scprism.types import FloatArray, PathLike
from scprism.units.comparison import Comparison

__all__ = ["PAGE_SUFFIXES", "write_report"]

PAGE_SUFFIXES = (".html", ".htm")
TEMPLATE, STYLE, SCRIPTS = "page.html.jinja", "page.css", ("start.js", "tables.js", "embedding.js", "page.js")


def write_report(
    path: PathLike,
    *,
    model: Model,
    explanation: Explanation,
    enrichment: Enrichment | pd.DataFrame,
    embedding: FloatArray,
    cells: AnnData | View,
    labels: Labels | pd.DataFrame | None = None,
    reference: AnnData | View | None = None,
    reference_labels: str | None = None,
    messages: Collection[str] = (),
    trust: Trust | None = None,
    comparison: Comparison | None = None,
    layer: str | None = None,
    truth: str | None = None,
    sample: str | None = None,
    made_by: Mapping[str, str] | None = None,
) -> None:
    """Write one self-contained HTML page: can the labels be trusted, which cells are odd, what do the units mean.

    The page holds its figures' data and plotly.js (zipped, about 2 MB) and loads nothing. Same results, same bytes.

    Parameters
    ----------
    path
        Where to write; an older page stays until the new one is complete.
    model
        The trained model.
    explanation
        The result of `Model.explain` on the query.
    enrichment
        The result of `scprism.enrich` on it, whose warnings are shown too.
    embedding
        Latent of the query, (cells, latent values).
    cells
        The query, or the model's view of it.
    labels
        The result of `Model.label`, or its table, which has no warnings; without it the page has no section on labels.
    reference
        The reference, drawn beside the query: its counts, or what `scprism embed` wrote for it with this model.
    reference_labels
        The column of ``reference.obs`` with its labels.
    messages
        Warnings to show on top, beside those that the results keep: of the embedding, for example, which keeps none.
    trust
        The result of `scprism.assess_units`, shown at each unit. Without it programs are judged by the runs that found
        them and by these cells; of raw units nothing is said.
    comparison
        The result of `scprism.compare`; without it the page has no section on conditions.
    layer
        Where the query's counts are, whose genes the coverage is about; that of the model if not given.
    truth
        A column of the query's ``.obs`` with known labels, which those that were given are compared with.
    sample
        A column of the query's ``.obs`` with samples or donors: the page shows which labels each is made of.
    made_by
        How the page came to be, shown at its top as it is given: ``reference`` and ``query`` (names of files),
        ``command``, ``written`` (when), or anything else.

    Raises
    ------
    InputError
        If the results do not belong together, or the name does not end in ``.html``; nothing is written then.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from scprism import Prism, enrich, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, units="raw", device="cpu", rng=0).fit(cells)
    >>> why = model.explain(cells, groupby="cell_type")
    >>> paths = enrich(why, {"program_0": cells.var_names[cells.var["program_0"]]}, rng=0)
    >>> page = Path(tempfile.mkdtemp()) / "report.html"
    >>> write_report(page, model=model, explanation=why, enrichment=paths, embedding=model.embed(cells), cells=cells)
    >>> page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    True
    """
    check_suffix(path, PAGE_SUFFIXES)
    subject = Subject(
        model,
        explanation,
        table_of(enrichment),
        np.asarray(embedding),
        cells.cells if isinstance(cells, View) else cells,
        labels.table if isinstance(labels, Labels) else labels,
        reference.cells if isinstance(reference, View) else reference,
        reference_labels,
        (*messages, *warnings_of(enrichment, labels, explanation, trust, comparison)),
        trust,
        layer,
        cells if isinstance(cells, View) else None,
        reference if isinstance(reference, View) else None,
        comparison,
        truth,
        sample,
        made_by or {},
        labels if isinstance(labels, Labels) else None,
    )
    check_subject(subject)
    if sample is not None:
        check_sample(subject.cells, sample)
    known = known_agreement(subject)  # before any work
    if shows_programs(subject):
        subject = replace(subject, view=query_view(subject))  # opened once
    text = _render(_content(subject, known))
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def _content(subject: Subject, known: Agreement | None) -> dict[str, Any]:
    alignment = _alignment(subject)
    reference = reference_latent(subject)
    own, others = query_values(subject), reference_values(subject, reference)
    values = own if others is None else np.concatenate([others, own])
    drawn = drawn_cells(subject, reference, values=values)
    units = sections.unit_names(subject, values.shape[1])
    trust = program_trust(subject)
    judged = judged_units(subject, trust, own, None if subject.labels is None else subject.labels["label"])
    titles = unit_titles(judged) or units
    by_name = dict(zip(units, titles, strict=True))
    counted = None if subject.view is None else read_counts(subject.view, shown_genes(judged), drawn.query_rows)
    depth = None if counted is None else counted.depth
    odd = None if subject.labels is None else find_odd_cells(subject.labels, depth)
    named = [Named(name, title) for name, title in zip(units, titles, strict=True)]
    data = embedding_data(drawn, units=named, obs=subject.cells.obs, counted=counted)
    figures = _figures(subject, known, by_name)
    return {
        "warnings": _warnings(subject, alignment, values, units, trust),
        "done": sections.done_section(subject),
        "n_query": subject.cells.n_obs,
        "model": sections.model_section(subject),
        "verdict": verdict_section(
            subject.labels,
            alignment=alignment,
            known=known,
            messages=subject.messages,
            held_out=subject.label_settings.get("held_out_accuracy"),
        ),
        "truth": truth_section(known, subject.truth),
        "odd": odd_section(subject, odd),
        "has_depth": depth is not None,
        "labels": sections.label_section(subject),
        "composition": composition_section(subject),
        "projection": sections.projection_section(drawn),
        "pathways": sections.pathway_section(subject.enrichment),
        "units": sections.unit_section(subject, own),
        "cards": card_section(subject, judged, trust, own),
        "conditions": condition_section(subject.comparison, by_name),
        "unit_verdicts": trust_section(subject.trust),
        "coverage": sections.coverage_section(alignment),
        "provenance": sections.provenance_section(subject),
        "shown": {column["key"] for column in data["columns"]},
        "embedding_data": packed(safe_json(data)),
        # safe_json leaves nothing in it that HTML could take for markup
        "figures": {name: Markup(figure_json(f)) for name, f in figures.items() if f is not None},  # noqa: S704
    }


def _figures(subject: Subject, known: Agreement | None, titles: Mapping[str, str]) -> dict[str, go.Figure | None]:
    best_epoch = subject.model.summary["best_epoch"]
    tables = [] if subject.labels is None else [composition_table(subject, c) for c in grouping_columns(subject)]
    return {
        "training": training_figure(subject.model.log, best_epoch=best_epoch),
        "confidence": confidence_figure(subject.labels) if subject.labels is not None else None,
        "confusion": confusion_figure(known),
        "calibration": calibration_figure(known),
        "pathways": pathway_figure(subject.enrichment),
        "histogram": histogram_figure(sets_per_unit(subject.enrichment)),
        "conditions": volcano_figure(subject.comparison, titles),
        **{f"composition-{number}": composition_figure(table) for number, table in enumerate(tables)},
    }


def _alignment(subject: Subject) -> Alignment:
    if subject.view is not None:
        return subject.view.query.alignment
    return subject.model.align(subject.cells, layer=subject.layer)


def _warnings(
    subject: Subject, alignment: Alignment, values: FloatArray, units: list[str], trust: Trust | None
) -> list[str]:
    config = subject.model.config
    computed = [
        *findings.coverage_finding(alignment),
        *findings.label_findings(subject.labels),
        *findings.training_finding(
            subject.model.log, best_epoch=subject.model.summary["best_epoch"], max_epochs=config.max_epochs
        ),
        *findings.dead_unit_finding(values, units=units),
        *findings.explanation_finding(subject.explanation),
        *findings.pathway_finding(subject.enrichment),
    ]
    told = dict.fromkeys([*subject.model.warnings, *subject.messages, *warnings_of(trust)])
    # a message that a computed warning repeats with more words is said once
    return [*(m for m in told if not any(text.startswith(m) for text in computed)), *computed]


def _render(content: dict[str, Any]) -> str:
    folder = files("scprism.report") / "template"
    source, style, *scripts = ((folder / name).read_text(encoding="utf-8") for name in (TEMPLATE, STYLE, *SCRIPTS))
    environment = Environment(
        loader=DictLoader({TEMPLATE: source}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    script = Markup("\n".join(scripts))  # noqa: S704
    assets = {"style": Markup(style), "script": script, "plotly": packed(get_plotlyjs())}  # noqa: S704
    return environment.get_template(TEMPLATE).render(**assets, **content)
