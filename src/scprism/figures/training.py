"""Figures of a model's training, and of how a query meets its genes."""

import pandas as pd
from matplotlib.axes import Axes

from scprism.figures.axes import axes_of
from scprism.report.palette import BEST, TRAINING, VALIDATION

__all__ = ["plot_coverage", "plot_training"]

FOUND = {
    "name": "by name",
    "id": "by Ensembl id",
    "ortholog": "through an ortholog",
    "alias": "by another name",
    "filtered": "filtered, taken for zero",
    "missing": "missing",
}
"""How a gene of the model was found in a query."""


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
    ax = axes_of(ax)
    ax.plot(log["epoch"], log["train_loss"], color=TRAINING, label="training")
    ax.plot(log["epoch"], log["validation_loss"], color=VALIDATION, label="validation")
    if best_epoch is not None:
        ax.axvline(best_epoch, color=BEST, linestyle="--", linewidth=1, label=f"best epoch ({best_epoch})")
    ax.set(xlabel="epoch", ylabel="mean loss a cell")
    ax.legend(frameon=False)
    return ax


def plot_coverage(coverage: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Return how the model's genes were found in a query: their share, and the share of expression that they hold.

    Parameters
    ----------
    coverage
        `View.coverage`: a row a gene, ``gene found sources share``.
    ax
        Where to draw; a new figure if not given.
    """
    kinds = [kind for kind in FOUND if (coverage["found"] == kind).any()]
    ax = axes_of(ax, rows=max(2 * len(kinds), 6))
    genes = [float((coverage["found"] == kind).mean()) for kind in kinds]
    held = [float(coverage.loc[coverage["found"] == kind, "share"].sum()) for kind in kinds]
    places = range(len(kinds))
    for shift, values, name, colour in (
        (-0.2, genes, "of the genes", VALIDATION),
        (0.2, held, "of expression", TRAINING),
    ):
        bars = ax.barh([place + shift for place in places], values, height=0.38, color=colour, label=name)
        ax.bar_label(bars, [f"{value:.1%}" for value in values], padding=2, fontsize="small")
    ax.set_yticks(places, [FOUND[kind] for kind in kinds])
    ax.invert_yaxis()
    ax.set(xlabel="share", xlim=(0, 1.15))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax
