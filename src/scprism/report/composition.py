"""What the page states of composition: which labels each sample or condition is made of, beside the reference."""

from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from anndata import AnnData

from scprism._check import closest
from scprism.errors import InputError
from scprism.label.labels import labels_as_text
from scprism.report.interactive import page_layout
from scprism.report.palette import MUTED, label_styles
from scprism.report.subject import Subject
from scprism.units.comparison import Comparison

__all__ = ["check_sample", "composition_figure", "composition_section", "composition_table", "grouping_columns"]

MOST_GROUPS = 60
"""More groups than this are no samples, and no figure shows them."""
REFERENCE = "reference"
PATTERNS = ("", "/", ".", "x")
"""Tell labels of one colour apart."""


def check_sample(cells: AnnData, column: str) -> None:
    """Raise `InputError` unless `column` is one of the query's ``.obs`` with not too many values."""
    if column not in cells.obs:
        near = closest(column, cells.obs.columns)
        msg = f"`sample` must be a column of the query's `.obs`, got {column!r}. Closest: {near}."
        raise InputError(msg)
    n_groups = cells.obs[column].nunique()
    if not 1 <= n_groups <= MOST_GROUPS:
        msg = f"`sample` must be a column of 1 to {MOST_GROUPS} samples, got {column!r} with {n_groups:,}."
        raise InputError(f"{msg} Choose the column that names samples, donors or conditions.")


def grouping_columns(subject: Subject) -> list[str]:
    """Return the columns whose groups are shown: the conditions that were compared, and the samples."""
    asked = [_condition(subject.comparison), subject.sample]
    found = [column for column in asked if column is not None and column in subject.cells.obs]
    return [column for column in dict.fromkeys(found) if subject.cells.obs[column].nunique() <= MOST_GROUPS]


def composition_table(subject: Subject, column: str) -> pd.DataFrame:
    """Return cells by label (rows, the commonest of the query first) and group; the reference's is the first column.

    The reference is a column where its labels are known. Cells without a group are left out.
    """
    if subject.labels is None:
        return pd.DataFrame()
    groups = labels_as_text(subject.cells.obs[column]).to_numpy()
    labels = subject.labels["label"].astype(str).to_numpy()
    counts = pd.crosstab(labels, groups)
    order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
    counts = counts.loc[order]
    if subject.reference is not None and subject.reference_labels is not None:
        known = labels_as_text(subject.reference.obs[subject.reference_labels]).value_counts()
        counts = counts.reindex([*order, *(name for name in known.index if name not in order)], fill_value=0)
        counts.insert(0, REFERENCE, known.reindex(counts.index, fill_value=0))
    return counts.rename_axis(index="label", columns=None)


def composition_section(subject: Subject) -> list[dict[str, Any]]:
    """Return a table for each grouping: labels by groups, as cells and shares."""
    if subject.labels is None:
        return []
    return [_section(column, composition_table(subject, column)) for column in grouping_columns(subject)]


def composition_figure(counts: pd.DataFrame) -> go.Figure:
    """Return a bar for each group, made of the shares of its labels."""
    shares = counts / counts.sum(axis=0)
    names = [f"{escape(str(name))} ({n:,})" for name, n in counts.sum(axis=0).items()]
    figure = go.Figure(layout=page_layout(height=150 + 32 * len(names), x="Share of cells", y=""))
    for number, (label, style) in enumerate(label_styles(shares.index).items()):
        figure.add_bar(
            y=names,
            x=[round(float(v), 4) for v in shares.loc[label].to_numpy()],
            orientation="h",
            name=escape(label if len(label) <= 30 else f"{label[:29]}…"),
            marker={
                "color": style.colour,
                "pattern": {"shape": PATTERNS[number // len(MUTED) % len(PATTERNS)], "fgcolor": "white"},
            },
            text=[f"{escape(label)}, {n:,} cells" for n in counts.loc[label]],
            textposition="none",
            hovertemplate="%{text}, %{x:.1%}<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        bargap=0.25,
        legend={"traceorder": "normal", "orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    return figure


def _section(column: str, counts: pd.DataFrame) -> dict[str, Any]:
    totals = counts.sum(axis=0)
    own = counts.drop(columns=REFERENCE, errors="ignore")
    return {
        "column": column,
        "groups": [{"name": str(name), "n": int(n)} for name, n in zip(counts, totals.to_numpy(), strict=True)],
        "rows": [
            {
                "label": str(label),
                "cells": [
                    {"n": int(n), "share": n / max(total, 1)} for n, total in zip(cells, totals.to_numpy(), strict=True)
                ],
            }
            for label, cells in zip(counts.index, counts.to_numpy(), strict=True)
        ],
        "most": _most_varied(own / own.sum(axis=0)) if own.shape[1] > 1 else None,
    }


def _most_varied(shares: pd.DataFrame) -> dict[str, Any]:
    """Return the label whose share differs most between groups, and where it is least and greatest."""
    values = shares.to_numpy()
    row = int((values.max(axis=1) - values.min(axis=1)).argmax())
    low, high = int(values[row].argmin()), int(values[row].argmax())
    return {
        "label": str(shares.index[row]),
        "low": {"name": str(shares.columns[low]), "share": float(values[row, low])},
        "high": {"name": str(shares.columns[high]), "share": float(values[row, high])},
    }


def _condition(comparison: Comparison | None) -> str | None:
    return None if comparison is None else comparison.settings.get("groupby")
