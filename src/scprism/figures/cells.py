"""Figures of cells: where they lie, and which labels samples are made of."""

from typing import Any

import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes

from scprism._check import closest, some
from scprism.errors import InputError
from scprism.figures.axes import axes_of
from scprism.report.palette import GREY, MUTED, UNLABELLED, label_styles

__all__ = ["plot_composition", "plot_embedding"]

UMAP_KEY, PREFIX = "X_umap", "prism_"
HATCHES = ("", "//", "..", "xx")
"""Tell labels of one colour apart."""


def plot_embedding(table: pd.DataFrame | AnnData, ax: Axes | None = None, *, colour: str = "label") -> Axes:
    """Return a scatter plot of cells in two dimensions.

    Parameters
    ----------
    table
        Annotated cells (`scprism.write_annotated`, ``obsm["X_umap"]``); or one row a cell, ``x``, ``y`` and the column
        `colour`.
    ax
        Where to draw; a new figure if not given.
    colour
        A column; of annotated cells one of ``obs``, with or without ``prism_`` before its name. Numbers are shown on a
        colour scale, cells without a value in grey; anything else as labels.

    Raises
    ------
    InputError
        If there is no such column, or the cells have no coordinates.
    """
    table = _plane(table, colour) if isinstance(table, AnnData) else table
    if not {"x", "y", colour} <= set(table.columns):
        msg = f"`table` must have the columns 'x', 'y' and {colour!r}, got {some(table.columns)}."
        raise InputError(msg)
    ax = axes_of(ax)
    values = table[colour]
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        lacks = values.isna().to_numpy()
        ax.scatter(table["x"][lacks], table["y"][lacks], s=6, c=GREY, linewidths=0)
        drawn = ax.scatter(table["x"][~lacks], table["y"][~lacks], s=6, c=values[~lacks], cmap="viridis", linewidths=0)
        ax.figure.colorbar(drawn, ax=ax, label=colour, shrink=0.5)
    else:
        names = values.astype(object).where(values.notna(), UNLABELLED).astype(str)
        for name, style in label_styles(names.value_counts().index).items():
            chosen = (names == name).to_numpy()
            ax.scatter(
                table["x"][chosen],
                table["y"][chosen],
                s=8,
                c=style.colour,
                marker=style.marker,
                linewidths=0,
                label=name,
            )
        ax.legend(frameon=False, fontsize="small", markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
    ax.set(xticks=[], yticks=[], aspect="equal")
    return ax


def plot_composition(labels: pd.DataFrame, groups: "pd.Series[Any]", ax: Axes | None = None) -> Axes:
    """Return which share of each group's cells has each label, as bars on top of one another.

    Parameters
    ----------
    labels
        ``Labels.table``: a row a cell, column ``label``.
    groups
        The sample or condition of each cell, index: cell. Cells without one are left out.
    ax
        Where to draw; a new figure if not given.
    """
    counts = pd.crosstab(groups.reindex(labels.index), labels["label"].astype(str))
    shares = counts.div(counts.sum(axis=1), axis=0)
    shares = shares[shares.sum().sort_values(ascending=False, kind="stable").index]
    ax = axes_of(ax, rows=max(len(shares), 8))
    left = pd.Series(0.0, index=shares.index)
    names = [f"{name} ({n:,})" for name, n in counts.sum(axis=1).items()]
    for number, (label, style) in enumerate(label_styles(shares.columns).items()):
        hatch = HATCHES[number // len(MUTED) % len(HATCHES)]
        ax.barh(names, shares[label], left=left, color=style.colour, hatch=hatch, edgecolor="white", label=label)
        left = left + shares[label]
    ax.invert_yaxis()
    ax.set(xlabel="share of cells", xlim=(0, 1))
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def _plane(cells: AnnData, colour: str) -> pd.DataFrame:
    """Return coordinates and one column of annotated cells."""
    if UMAP_KEY not in cells.obsm:
        msg = f"The cells have no coordinates, `.obsm[{UMAP_KEY!r}]`: it has {some(cells.obsm)}."
        raise InputError(f"{msg} scprism.write_annotated adds them, and scanpy.tl.umap does.")
    column = colour if colour in cells.obs else f"{PREFIX}{colour}"
    if column not in cells.obs:
        msg = f"`colour` must be a column of `.obs`, got {colour!r}. Closest: {closest(colour, cells.obs.columns)}."
        raise InputError(msg)
    plane = cells.obsm[UMAP_KEY]
    return pd.DataFrame({"x": plane[:, 0], "y": plane[:, 1], colour: cells.obs[column].to_numpy()})
