"""What the page states of labels beside known ones: how many agree, which types are confused, is confidence right."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from scprism.errors import InputError
from scprism.label.agreement import Agreement, agreement, truth_of
from scprism.label.grouped import UNASSIGNED
from scprism.label.labels import labels_as_text
from scprism.report.interactive import page_layout
from scprism.report.palette import GREY, VALIDATION, count_colours
from scprism.report.subject import Subject
from scprism.report.tables import wilson_interval

__all__ = ["calibration_figure", "confusion_figure", "known_agreement", "truth_section"]


def known_agreement(subject: Subject) -> Agreement | None:
    """Return how the labels agree with the known ones; None where none are given.

    Raises
    ------
    InputError
        If there are no labels, no such column, or it is not known which labels could have been given.
    """
    if subject.truth is None:
        return None
    if subject.labels is None:
        msg = f"`truth` compares labels with known ones, got {subject.truth!r} without `labels`. Give both."
        raise InputError(msg)
    return agreement(subject.labels, _possible_labels(subject), truth_of(subject.cells, subject.truth))


def truth_section(known: Agreement | None, column: str | None) -> dict[str, Any] | None:
    """Return the agreement in numbers, None without one."""
    if known is None:
        return None
    mistakes = _mistakes(known.confusion)
    return {
        "column": column,
        "accuracy": known.accuracy,
        "macro_f1": f"{known.macro_f1:.3f}",
        "calibration_error": f"{known.calibration_error:.3f}",
        "n_cells": known.n_cells,
        "n_unknown": known.n_unknown,
        "novel_unknown": None if np.isnan(known.novel_unknown) else known.novel_unknown,
        "rows": [
            {
                "label": str(label),
                "n_cells": int(row["n_cells"]),
                **{name: f"{row[name]:.3f}" for name in ("precision", "recall", "f1")},
                "mistaken": mistakes.get(str(label)),
            }
            for label, row in known.by_label.sort_values("n_cells", ascending=False, kind="stable").iterrows()
        ],
    }


def confusion_figure(known: Agreement | None) -> go.Figure | None:
    """Return known types (rows) by given labels (columns), as shares of the type's cells; None without known types.

    Labels that are also types come first, in one order, so that right cells lie on the diagonal.
    """
    if known is None:
        return None
    counts = known.confusion.loc[:, known.confusion.sum(axis=0) > 0]
    # the commonest first; those that the reference lacks last
    common = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
    order = [*(n for n in common if n in known.by_label.index), *(n for n in common if n not in known.by_label.index)]
    columns = [*(n for n in order if n in counts), *(n for n in counts if n not in counts.index)]
    counts = counts.loc[order, columns]
    totals = counts.sum(axis=1).to_numpy()
    shares = counts.to_numpy() / totals[:, None]
    figure = go.Figure(layout=page_layout(height=max(340, 190 + 26 * len(counts)), x="Label given", y=""))
    figure.add_heatmap(
        z=[[round(float(v), 4) for v in row] for row in shares],
        text=[
            [
                f"known: {escape(str(row))}<br>given: {escape(str(column))}<br>{n:,} cells"
                for column, n in zip(counts, cells, strict=True)
            ]
            for row, cells in zip(counts.index, counts.to_numpy(), strict=True)
        ],
        colorscale=[[i / 8, colour] for i, colour in enumerate(count_colours(8))],
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "Share of the<br>type's cells"}, "thickness": 12, "tickformat": ".0%"},
        hovertemplate="%{text}, %{z:.1%}<extra></extra>",
    )
    names = [f"{escape(_short(str(n)))} ({t:,})" for n, t in zip(counts.index, totals, strict=True)]
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, autorange="reversed", automargin=True, showgrid=False
    )
    figure.update_xaxes(
        tickvals=list(range(len(columns))),
        ticktext=[escape(_short(str(n))) for n in columns],
        tickangle=-40,
        automargin=True,
        showgrid=False,
    )
    return figure


def calibration_figure(known: Agreement | None) -> go.Figure | None:
    """Return the share of right labels over confidence, by tenths, with 95 % intervals; None without known types."""
    if known is None:
        return None
    table = known.calibration
    intervals = [wilson_interval(row["right"], int(row["n_cells"])) for row in table.to_dict("records")]
    figure = go.Figure(layout=page_layout(height=340, x="Confidence", y="Share of right labels"))
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dash", "width": 1}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=[round(float(v), 4) for v in table["confidence"]],
        y=[round(float(v), 4) for v in table["right"]],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [round(high - right, 4) for (_, high), right in zip(intervals, table["right"], strict=True)],
            "arrayminus": [round(right - low, 4) for (low, _), right in zip(intervals, table["right"], strict=True)],
            "color": VALIDATION,
        },
        mode="markers+lines",
        marker={"color": VALIDATION, "size": 8},
        line={"color": VALIDATION, "width": 1},
        text=[f"{n:,} cells" for n in table["n_cells"]],
        hovertemplate="confidence %{x:.2f}: %{y:.0%} right, %{text}<extra></extra>",
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=[0, 1.02], tickformat=".1f")
    figure.update_yaxes(range=[0, 1.04], tickformat=".0%")
    return figure


def _possible_labels(subject: Subject) -> tuple[str, ...]:
    """Return the labels that could have been given: what a wrong label is depends on what was on offer."""
    if subject.possible_labels:
        return subject.possible_labels
    if subject.reference is not None and subject.reference_labels is not None:
        known = labels_as_text(subject.reference.obs[subject.reference_labels])
        given: list[str] = [] if subject.labels is None else subject.labels["label"].astype(str).tolist()
        return tuple(sorted({*known.dropna(), *given} - {UNASSIGNED}))
    msg = "`truth` needs the labels that could have been given: `labels` of Model.label, or labels with probabilities"
    msg += " (scprism label --probabilities), or `reference` and `reference_labels`."
    raise InputError(msg)


def _mistakes(confusion: pd.DataFrame) -> dict[str, str]:
    """Return for each known type what its wrongly labelled cells are mostly called, with their share."""
    found = {}
    for name, row in confusion.iterrows():
        wrong = row.drop(name, errors="ignore").sort_values(ascending=False, kind="stable")
        if len(wrong) and wrong.iloc[0] > 0:
            found[str(name)] = f"{wrong.index[0]} ({wrong.iloc[0] / row.sum():.1%})"
    return found


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"
