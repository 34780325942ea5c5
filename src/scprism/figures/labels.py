"""Figures of labels: how sure they are, and how right."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from scprism.errors import InputError
from scprism.figures.axes import axes_of, heatmap
from scprism.report.palette import GREY, VALIDATION
from scprism.report.tables import confidence_counts, label_table, wilson_interval

__all__ = ["plot_calibration", "plot_confidence", "plot_confusion"]


def plot_confidence(labels: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Return the distribution of confidence for each label: the share of its cells in each tenth.

    Parameters
    ----------
    labels
        ``Labels.table``, of `Model.label`.
    ax
        Where to draw; a new figure if not given.
    """
    counts = confidence_counts(labels)
    ax = axes_of(ax, rows=len(counts))
    cells = label_table(labels)["cells"].to_numpy()
    edges = np.concatenate([[0.0], counts.columns.to_numpy(dtype=float)])
    rows = np.arange(len(counts) + 1) - 0.5
    mesh = ax.pcolormesh(edges, rows, counts.to_numpy() / cells[:, None], cmap="Blues", vmin=0, vmax=1)
    ax.set_yticks(range(len(counts)), [f"{name} ({n:,})" for name, n in zip(counts.index, cells, strict=True)])
    ax.invert_yaxis()
    ax.set(xlabel="confidence", xlim=(0, 1))
    ax.figure.colorbar(mesh, ax=ax, label="share of the label's cells")
    return ax


def plot_confusion(labels: pd.DataFrame, truth: "pd.Series[Any]", ax: Axes | None = None) -> Axes:
    """Return which labels the cells of each known type were given, as shares of the type's cells.

    Parameters
    ----------
    labels
        ``Labels.table``: a row a cell, column ``label``.
    truth
        The known type of each cell, index: cell. Cells without one are left out.
    ax
        Where to draw; a new figure if not given.

    Raises
    ------
    InputError
        If no cell's type is known.
    """
    known = _known(labels, truth)
    counts = pd.crosstab(known, labels.loc[known.index, "label"].astype(str))
    both = [name for name in counts.index if name in counts.columns]
    rows = [*both, *(name for name in counts.index if name not in both)]
    columns = [*both, *(name for name in counts.columns if name not in both)]
    shares = counts.loc[rows, columns].div(counts.loc[rows].sum(axis=1), axis=0)
    ax = heatmap(
        shares.to_numpy(),
        ax,
        columns=columns,
        rows=[f"{name} ({n:,})" for name, n in counts.loc[rows].sum(axis=1).items()],
        cmap="Blues",
        norm=Normalize(0, 1),
        label="share of the type's cells",
    )
    ax.set(xlabel="label given", ylabel="known type")
    return ax


def plot_calibration(
    labels: pd.DataFrame, truth: "pd.Series[Any]", ax: Axes | None = None, *, n_bins: int = 10
) -> Axes:
    """Return whether confidences are what they claim: the share of right labels over confidence, by bins.

    Beside the points stands the number of cells of each bin; on the dashed line four in five of the cells labelled with
    80 % are right. The bars are 95 % intervals (Wilson 1927).

    Parameters
    ----------
    labels
        ``Labels.table``: a row a cell, columns ``label`` and ``confidence``.
    truth
        The known type of each cell, index: cell, named as the labels are. Cells without one are left out.
    ax
        Where to draw; a new figure if not given.
    n_bins
        Bins of equal width.

    Raises
    ------
    InputError
        If no cell's type is known.
    """
    known = _known(labels, truth)
    right = (labels.loc[known.index, "label"].astype(str) == known).to_numpy(dtype=float)
    confidence = labels.loc[known.index, "confidence"].to_numpy(dtype=float)
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    ax = axes_of(ax)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    for number in np.unique(bins):
        inside = bins == number
        n, share, mean = int(inside.sum()), float(right[inside].mean()), float(confidence[inside].mean())
        low, high = wilson_interval(share, n)
        ax.errorbar(mean, share, [[share - low], [high - share]], color=VALIDATION, marker="o", capsize=2)
        ax.annotate(f"{n:,}", (mean, share), textcoords="offset points", xytext=(5, -10), fontsize="small")
    ax.set(xlabel="confidence", ylabel="share of right labels", xlim=(-0.02, 1.05), ylim=(-0.02, 1.02))
    return ax


def _known(labels: pd.DataFrame, truth: "pd.Series[Any]") -> "pd.Series[str]":
    """Return the known types of the labelled cells, as text."""
    known = truth.reindex(labels.index).dropna()
    if known.empty:
        msg = "`truth` must hold the known type of some of the labelled cells, by cell, and holds that of none."
        raise InputError(msg)
    return known.astype(str)
