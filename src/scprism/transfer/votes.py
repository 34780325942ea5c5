"""The vote of a cell's nearest reference cells."""

import numpy as np

from scprism.types import FloatArray, IntArray

__all__ = ["cast_votes", "worth_of_votes"]

SIZE_POWER = 0.25
"""A vote for a label of n reference cells is worth n to the power of minus this (`docs/labels.md`): half as much as one
for a label of a sixteenth of the cells. 1 would take labels for equally common in the query, 0 for as common as in the
reference."""


def worth_of_votes(codes: IntArray, *, n_labels: int) -> FloatArray:
    """Return what a vote for each label is worth, relative to one for the most common, float64 (labels,).

    Parameters
    ----------
    codes
        Label number of each reference cell, (cells,).
    n_labels
        How many labels there are; one without a cell counts as if it had one.
    """
    sizes = np.maximum(np.bincount(codes, minlength=n_labels), 1).astype(np.float64)
    worth: FloatArray = (sizes.max() / sizes) ** SIZE_POWER
    return worth


def cast_votes(ballots: IntArray, *, worth: FloatArray | None = None) -> tuple[IntArray, FloatArray]:
    """Return the label with most votes and its share of them.

    Parameters
    ----------
    ballots
        Labels of each cell's neighbours, nearest first, int (cells, neighbours).
    worth
        Of a vote for each label (`worth_of_votes`); the r-th nearest neighbour then has a vote of 1/√r. Without it all
        votes are equal, and of labels with equally many that of the nearer voters wins.
    """
    k, n_labels = ballots.shape[1], int(ballots.max(initial=0)) + 1
    ranks = np.arange(1, k + 1)
    # equal votes but for what decides between equals, too small to change a majority
    by_rank = 1 + 1e-3 * ranks[::-1] / k**2 if worth is None else 1 / np.sqrt(ranks)
    by_label = np.ones(n_labels) if worth is None else worth
    rows = np.arange(len(ballots))
    votes = np.zeros((len(ballots), n_labels))
    for rank, weight in enumerate(by_rank):
        label = ballots[:, rank]
        votes[rows, label] += weight * by_label[label]
    best = votes.argmax(axis=1)
    if worth is None:
        return best, (ballots == best[:, None]).mean(axis=1)
    return best, votes[rows, best] / votes.sum(axis=1)
