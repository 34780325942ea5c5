"""What denoising does to biology: contrasts between labelled types, against molecules that no method has seen."""

import numpy as np
from scipy import sparse
from scipy.stats import rankdata

from denoising.task import Task
from scprism.paper.measures.denoise import deviance, log_error

__all__ = ["MEASURES", "measured"]

MEASURES = ("deviance", "log error", "fold change r", "fold change slope", "marker AUROC")
MIN_CELLS = 20
"""Cells of a type whose contrast to the others is judged."""
N_MARKERS = 20
LEAST = 5.0
"""Molecules, of the side that has fewer, that are added to both sides of a fold change; genes with less on both sides
are not judged."""


def measured(task: Task, proportions: np.ndarray) -> tuple[float, ...]:
    """Return the `MEASURES` of proportions (cells, genes)."""
    losses = deviance(task.held_out, proportions).mean(), log_error(task.held_out, proportions).mean()
    return (*losses, *contrasts(task.held_out, proportions, task.labels))


def contrasts(held_out: sparse.csr_matrix, proportions: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Return how well log fold changes of a type against the other labelled cells agree, and its markers' AUROC.

    The fold changes of the pooled unseen molecules are the truth: Pearson's r with those of the denoised cells, and
    the slope on them (1 is right, less is a contrast smoothed away). A type's markers are the genes of its highest
    unseen fold changes; AUROC: how well one denoised marker alone tells its cells from the others. Means over types.
    """
    kept = np.flatnonzero(labels != "")
    labels, values = labels[kept], proportions[kept]
    totals = held_out[kept].sum(axis=1).A1
    truth = sparse.diags(1 / totals) @ held_out[kept]
    results = []
    for kind in np.unique(labels):
        inside = labels == kind
        if inside.sum() < MIN_CELLS or (~inside).sum() < MIN_CELLS:
            continue
        high, low = (1e6 * np.asarray(truth[side].mean(axis=0)).ravel() for side in (inside, ~inside))
        least = 1e6 * LEAST / min(totals[inside].sum(), totals[~inside].sum())
        judged = np.maximum(high, low) >= least
        change = np.log2((high + least) / (low + least))[judged]
        theirs = [1e6 * values[side].mean(axis=0)[judged] + least for side in (inside, ~inside)]
        found = np.log2(theirs[0] / theirs[1])
        covariance = np.cov(change, found)
        markers = np.flatnonzero(judged)[np.argsort(-change, kind="stable")[:N_MARKERS]]
        r = covariance[0, 1] / np.sqrt(max(covariance[0, 0] * covariance[1, 1], 1e-30))
        results.append((r, covariance[0, 1] / covariance[0, 0], auroc(values[:, markers], inside).mean()))
    return tuple(np.mean(results, axis=0)) if results else (np.nan,) * 3


def auroc(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return how often a cell inside has a higher value than one outside, ties counting half, (genes,)."""
    n, m = inside.sum(), (~inside).sum()
    return (rankdata(values, axis=0)[inside].sum(axis=0) - n * (n + 1) / 2) / (n * m)
