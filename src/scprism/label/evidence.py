"""The vote of a cell's nearest reference cells, and what the centres of the labels say."""

import numpy as np

from scprism.types import FloatArray, IntArray

__all__ = ["cast_votes", "say_of_centres", "vote_shares", "worth_of_votes"]

SIZE_POWER = 0.25
"""A vote for a label of n reference cells is worth n to the power of minus this (`docs/labels.md`): half as much as one
for a label of a sixteenth of the cells. 1 would take labels for equally common in the query, 0 for as common as in the
reference."""
TEMPERATURE = 0.1
"""A centre whose cosine is higher by this has e times the say; from 0.05 to 0.2 labels hardly change."""


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


def cast_votes(ballots: IntArray) -> tuple[IntArray, FloatArray]:
    """Return the label with most votes, all equal, and its share of them; of equals that of the nearer voters.

    Parameters
    ----------
    ballots
        Labels of each cell's neighbours, nearest first, int (cells, neighbours).
    """
    k, n_labels = ballots.shape[1], int(ballots.max(initial=0)) + 1
    # what decides between equals is too small to change a majority
    by_rank = 1 + 1e-3 * np.arange(k, 0, -1) / k**2
    best = _sums(ballots, by_rank, np.ones(n_labels)).argmax(axis=1)
    return best, (ballots == best[:, None]).mean(axis=1)


def vote_shares(ballots: IntArray, *, worth: FloatArray) -> FloatArray:
    """Return the share of the votes that each label has, float64 (cells, labels).

    The r-th nearest neighbour has a vote of 1/√r times the worth of its label.

    Parameters
    ----------
    ballots
        Labels of each cell's neighbours, nearest first, int (cells, neighbours).
    worth
        Of a vote for each label (`worth_of_votes`).
    """
    votes = _sums(ballots, 1 / np.sqrt(np.arange(1, ballots.shape[1] + 1)), worth)
    shares: FloatArray = votes / votes.sum(axis=1, keepdims=True)
    return shares


def say_of_centres(points: FloatArray, centres: FloatArray, *, barred: int | None = None) -> FloatArray:
    """Return how much the labels' centres speak for each label, adding up to 1, float64 (cells, labels).

    Compared are the directions of cell and centre as seen from the middle of the centres.

    Parameters
    ----------
    points
        Cells, (cells, units).
    centres
        Mean of each label's reference cells in the same space, (labels, units).
    barred
        A label that has no say.
    """
    middle = np.delete(centres, barred, axis=0).mean(axis=0) if barred is not None else centres.mean(axis=0)
    odds = _directions(points - middle) @ _directions(centres - middle).T / TEMPERATURE
    if barred is not None:
        odds[:, barred] = -np.inf
    say = np.exp(odds - odds.max(axis=1, keepdims=True))
    shares: FloatArray = say / say.sum(axis=1, keepdims=True)
    return shares


def _sums(ballots: IntArray, by_rank: FloatArray, by_label: FloatArray) -> FloatArray:
    rows, votes = np.arange(len(ballots)), np.zeros((len(ballots), len(by_label)))
    for rank, weight in enumerate(by_rank):
        label = ballots[:, rank]
        votes[rows, label] += weight * by_label[label]
    return votes


def _directions(deviations: FloatArray) -> FloatArray:
    norms = np.linalg.norm(deviations, axis=1, keepdims=True)
    directions: FloatArray = np.divide(
        deviations, norms, out=np.zeros_like(deviations, dtype=np.float64), where=norms > 0
    )
    return directions
