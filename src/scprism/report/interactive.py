"""The page's figures with plotly; the embedding, which has too many views for it, is in `scprism.report.embedding`."""

import html
import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from scprism.genes.sets import set_name
from scprism.report.palette import (
    BEST,
    TRAINING,
    VALIDATION,
    count_colours,
)
from scprism.report.tables import SIGNIFICANT, confidence_counts, counted_groups, label_table, significant_groups
from scprism.types import FloatArray

__all__ = [
    "confidence_figure",
    "figure_json",
    "histogram_figure",
    "page_layout",
    "pathway_figure",
    "safe_json",
    "set_name",
    "training_figure",
    "unit_name",
]

MAX_HOVER_GROUPS = 10


def safe_json(value: Any) -> str:
    """Return JSON that can stand inside an HTML script element whatever strings it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def figure_json(figure: go.Figure) -> str:
    """Return a figure as JSON for a script element."""
    return safe_json(json.loads(figure.to_json()))


def unit_name(name: str) -> str:
    """Return a unit's name for a place that says "unit" already: ``latent_7`` is "7"; other names stay."""
    return name.removeprefix("latent_").removeprefix("unit_")


def training_figure(log: pd.DataFrame, *, best_epoch: int) -> go.Figure:
    """Return the training curve, its best epoch marked."""
    mode = "lines" if len(log) > 30 else "lines+markers"
    figure = go.Figure(layout=_layout(height=360, x="Epoch", y="Mean loss per cell"))
    for column, name, colour in (
        ("train_loss", "Training", TRAINING),
        ("validation_loss", "Validation", VALIDATION),
    ):
        figure.add_scatter(x=_numbers(log["epoch"]), y=_numbers(log[column]), name=name, mode=mode, line_color=colour)
    best = log.loc[log["epoch"] == best_epoch, "validation_loss"]
    marker = {"color": BEST, "size": 11, "symbol": "diamond"}
    figure.add_scatter(
        x=[best_epoch] * len(best), y=_numbers(best), name=f"Best epoch: {best_epoch}", mode="markers", marker=marker
    )
    figure.update_layout(
        hovermode="x unified", legend={"x": 1, "xanchor": "right", "y": 1, "bgcolor": "rgba(255,255,255,0.8)"}
    )
    return figure


def confidence_figure(labels: pd.DataFrame) -> go.Figure:
    """Return the distribution of confidence for each label, most frequent label on top."""
    counts = confidence_counts(labels)
    cells = label_table(labels)["cells"].to_numpy()
    n_bins = counts.shape[1]
    names = [f"{html.escape(_short(str(n)))} ({c:,})" for n, c in zip(counts.index, cells, strict=True)]
    figure = go.Figure(layout=_layout(height=150 + 26 * len(counts), x="Confidence", y=""))
    figure.add_heatmap(
        z=_rounded(counts.to_numpy() / cells[:, None]),
        x=[(i + 0.5) / n_bins for i in range(n_bins)],
        text=_confidence_texts(counts),
        colorscale=_scale(count_colours(8)),
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=2,
        colorbar=_colour_bar("Share of the<br>label's cells") | {"tickformat": ".0%"},
        hovertemplate="%{text}, %{z:.1%}<extra></extra>",
    )
    _name_rows(figure, names)
    figure.update_xaxes(range=[0, 1], dtick=0.2, tickformat=".1f", showgrid=False)
    return figure


def pathway_figure(enrichment: pd.DataFrame) -> go.Figure | None:
    """Return the map of the paper's Figure 5, or None where no set is significant.

    Columns are units, rows gene sets, colours the number of groups; the hover text lists the groups with NES and q.
    """
    counts = significant_groups(enrichment)
    if counts.empty:
        return None
    highest = int(counts.to_numpy().max())
    colours = count_colours(highest)
    steps = [(e / (highest + 1), c) for i, c in enumerate(colours) for e in (i, i + 1)]
    figure = go.Figure(layout=_layout(height=170 + 19 * len(counts), x="Unit", y=""))
    ticks = list(range(0, highest + 1, max(1, highest // 10)))
    figure.add_heatmap(
        z=counts.to_numpy().tolist(),
        x=[html.escape(unit_name(u)) for u in counts.columns],
        text=_hover_texts(enrichment, counts),
        colorscale=steps,
        zmin=-0.5,
        zmax=highest + 0.5,
        xgap=1,
        ygap=1,
        colorbar=_colour_bar("Groups") | {"tickvals": ticks},
        hovertemplate="%{text}<extra></extra>",
    )
    _name_rows(figure, [html.escape(_short(set_name(str(s)), 44)) for s in counts.index])
    figure.update_xaxes(type="category", showgrid=False, tickfont_size=10, automargin=True, title_standoff=10)
    return figure


def histogram_figure(counts: pd.Series) -> go.Figure:
    """Return how many units have no, one, two, … significant sets, from `sets_per_unit`."""
    units = np.bincount(counts.to_numpy(), minlength=2)
    layout = _layout(height=280, x="Significant gene sets of a unit", y="Units")
    figure = go.Figure(layout=layout)
    figure.add_bar(
        x=list(range(len(units))),
        y=units.tolist(),
        text=units.tolist(),
        textposition="outside",
        cliponaxis=False,
        marker_color=VALIDATION,
        hovertemplate="%{y} units with %{x} sets<extra></extra>",
    )
    figure.update_xaxes(dtick=max(1, len(units) // 20), showgrid=False)
    return figure


def page_layout(*, height: int, x: str, y: str) -> go.Layout:
    """Return how the page's figures look; `x` and `y` are the titles of the axes."""
    return _layout(height=height, x=x, y=y)


def _numbers(values: pd.Series) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]


def _rounded(values: FloatArray) -> list[list[float]]:
    return [[round(float(v), 4) for v in row] for row in values]


def _short(name: str, length: int = 32) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _hover_texts(enrichment: pd.DataFrame, counts: pd.DataFrame) -> list[list[str]]:
    table = enrichment[enrichment["group"].astype(str).isin(counted_groups(enrichment))]
    hits = table[table["q_value"] < SIGNIFICANT].sort_values("q_value", kind="stable")
    lines: dict[tuple[str, str], list[str]] = {}
    for row in hits.itertuples():
        text = f"{html.escape(str(row.group))}: NES {row.nes:+.2f}, q = {row.q_value:.2g}"
        lines.setdefault((str(row.gene_set), str(row.unit)), []).append(text)
    return [
        [_hover_text(str(s), str(u), lines.get((str(s), str(u)), [])) for u in counts.columns] for s in counts.index
    ]


def _hover_text(gene_set: str, unit: str, lines: list[str]) -> str:
    shown = lines[:MAX_HOVER_GROUPS]
    if len(lines) > len(shown):
        shown = [*shown, f"and {len(lines) - len(shown)} more"]
    head = f"<b>{html.escape(gene_set)}</b><br>unit {html.escape(unit_name(unit))}"
    return "<br>".join([head, *(shown or ["significant in no group"])])


def _confidence_texts(counts: pd.DataFrame) -> list[list[str]]:
    edges = [(i / counts.shape[1], (i + 1) / counts.shape[1]) for i in range(counts.shape[1])]
    return [
        [
            f"{html.escape(str(name))}<br>confidence {a:.1f}–{b:.1f}<br>{n:,} cells"
            for n, (a, b) in zip(row, edges, strict=True)
        ]
        for name, row in zip(counts.index, counts.to_numpy(), strict=True)
    ]


def _name_rows(figure: go.Figure, names: list[str]) -> None:
    # rows have numbers, not names, as places: two names that are shortened alike stay two rows
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=names,
        tickfont_size=11,
        autorange="reversed",
        automargin=True,
        showgrid=False,
        ticks="",
    )


def _scale(colours: list[str]) -> list[list[Any]]:
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def _colour_bar(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 12}},
        "thickness": 12,
        "outlinewidth": 0,
        "len": 0.9,
        "tickfont": {"size": 11},
    }


def _layout(*, height: int, x: str, y: str) -> go.Layout:
    axis = {
        "gridcolor": "#E6E9EC",
        "zeroline": False,
        "linecolor": "#9AA5AE",
        "ticks": "outside",
        "tickcolor": "#9AA5AE",
    }
    return go.Layout(
        template="none",
        dragmode=False,  # a finger on a small screen should scroll the page
        height=height,
        margin={"l": 64, "r": 16, "t": 36, "b": 52},
        font={
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
            "size": 13,
        },
        paper_bgcolor="white",
        plot_bgcolor="white",
        xaxis=axis | {"title": {"text": x, "font": {"size": 13}}},
        yaxis=axis | {"title": {"text": y, "font": {"size": 13}}},
    )
