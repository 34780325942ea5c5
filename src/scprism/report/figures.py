"""Static figures with matplotlib, for papers and notebooks. Each takes a table and returns the Axes.

The page draws the same tables interactively (`scprism.report.interactive`).
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap

from scprism.report.palette import BEST, GREY, TRAINING, UNLABELLED, VALIDATION, count_colours, label_styles
from scprism.report.tables import (
    SIGNIFICANT,
    confidence_counts,
    counted_groups,
    label_table,
    sets_per_unit,
    significant_groups,
)

__all__ = ["plot_confidence", "plot_embedding", "plot_pathways", "plot_sets_per_unit", "plot_training"]


def plot_embedding(table: pd.DataFrame, ax: Axes | None = None, *, colour: str = "label") -> Axes:
    """Return a scatter plot of cells in two dimensions.

    Parameters
    ----------
    table
        One row a cell: ``x``, ``y`` (see `scprism.report.projection.project`) and the column `colour`.
    ax
        Where to draw; a new figure if not given.
    colour
        A column. Numbers are shown on a colour scale, cells without a value in grey; anything else as labels.
    """
    ax = _axes(ax)
    values = table[colour]
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        lacks = values.isna().to_numpy()
        ax.scatter(table["x"][lacks], table["y"][lacks], s=6, c=GREY, linewidths=0)
        drawn = ax.scatter(table["x"][~lacks], table["y"][~lacks], s=6, c=values[~lacks], cmap="viridis", linewidths=0)
        ax.figure.colorbar(drawn, ax=ax, label=colour)
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


def plot_training(log: pd.DataFrame, ax: Axes | None = None, *, best_epoch: int | None = None) -> Axes:
    """Return the training curve: loss a cell of training and validation cells over epochs.

    Parameters
    ----------
    log
        `Model.log`.
    ax
        Where to draw; a new figure if not given.
    best_epoch
        ``summary["best_epoch"]``; marked if given.
    """
    ax = _axes(ax)
    ax.plot(log["epoch"], log["train_loss"], color=TRAINING, label="training")
    ax.plot(log["epoch"], log["validation_loss"], color=VALIDATION, label="validation")
    if best_epoch is not None:
        ax.axvline(best_epoch, color=BEST, linestyle="--", linewidth=1, label=f"best epoch ({best_epoch})")
    ax.set(xlabel="epoch", ylabel="mean loss a cell")
    ax.legend(frameon=False)
    return ax


def plot_confidence(labels: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Return the distribution of confidence for each label: the share of its cells in each tenth.

    Parameters
    ----------
    labels
        The result of `Model.label`.
    ax
        Where to draw; a new figure if not given.
    """
    ax = _axes(ax)
    counts = confidence_counts(labels)
    cells = label_table(labels)["cells"].to_numpy()
    edges = np.concatenate([[0.0], counts.columns.to_numpy(dtype=float)])
    rows = np.arange(len(counts) + 1) - 0.5
    mesh = ax.pcolormesh(edges, rows, counts.to_numpy() / cells[:, None], cmap="Blues", vmin=0, vmax=1)
    ax.set_yticks(range(len(counts)), [f"{name} ({n:,})" for name, n in zip(counts.index, cells, strict=True)])
    ax.invert_yaxis()
    ax.set(xlabel="confidence", xlim=(0, 1))
    ax.figure.colorbar(mesh, ax=ax, label="share of the label's cells")
    return ax


def plot_pathways(enrichment: pd.DataFrame, ax: Axes | None = None, *, threshold: float = SIGNIFICANT) -> Axes:
    """Return the map of the paper's Figure 5: in how many groups a gene set is significant for a unit.

    Parameters
    ----------
    enrichment
        ``group unit gene_set … q_value``.
    ax
        Where to draw; a new figure if not given.
    threshold
        A set is significant below this q-value.
    """
    ax = _axes(ax)
    counts = significant_groups(enrichment, threshold=threshold)
    if counts.empty:
        ax.text(0.5, 0.5, f"no gene set has q < {threshold:g}", ha="center", va="center", transform=ax.transAxes)
        ax.set_axis_off()
        return ax
    highest = int(counts.to_numpy().max())
    norm = BoundaryNorm(np.arange(highest + 2) - 0.5, highest + 1)
    image = ax.imshow(counts.to_numpy(), cmap=ListedColormap(count_colours(highest)), norm=norm, aspect="auto")
    ax.set_xticks(range(counts.shape[1]), list(counts.columns), rotation=90, fontsize="small")
    ax.set_yticks(range(counts.shape[0]), list(counts.index), fontsize="small")
    ax.set(xlabel="unit")
    n_groups = len(counted_groups(enrichment))
    ax.figure.colorbar(image, ax=ax, label=f"groups (of {n_groups}) with q < {threshold:g}", ticks=range(highest + 1))
    return ax


def plot_sets_per_unit(enrichment: pd.DataFrame, ax: Axes | None = None, *, threshold: float = SIGNIFICANT) -> Axes:
    """Return a histogram: how many units have no, one, two, … significant gene sets.

    Arguments are those of `plot_pathways`.
    """
    ax = _axes(ax)
    counts = np.bincount(sets_per_unit(enrichment, threshold=threshold).to_numpy(), minlength=1)
    bars = ax.bar(np.arange(len(counts)), counts, color=VALIDATION)
    ax.bar_label(bars)
    ax.set(xlabel=f"gene sets with q < {threshold:g} in at least one group", ylabel="units")
    return ax


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots(layout="constrained")[1] if ax is None else ax
