"""Several methods' probabilities of the labels as one, and how much each method counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from scprism.types import FloatArray, IntArray

__all__ = ["LEAST_PROBABILITY", "Ranked", "ranked", "stacked"]

LEAST_PROBABILITY = 1e-3
"""Probabilities are raised to this, so that no method rules out a label by itself."""


@dataclass(frozen=True)
class Ranked:
    """The likeliest label of each cell and the next; arrays over cells.

    Attributes
    ----------
    label, runner_up
        Label numbers. With one label only, both are 0.
    probability, margin
        Of the likeliest label, and by how much it exceeds that of the runner-up.
    """

    label: IntArray
    runner_up: IntArray
    probability: FloatArray
    margin: FloatArray


def stacked(log_probabilities: Sequence[FloatArray], weights: Sequence[float] | FloatArray) -> FloatArray:
    """Return the logarithm of the labels' probabilities by several methods together, float64 (cells, labels).

    The weighted sum of the methods' log probabilities, each at least that of `LEAST_PROBABILITY`, scaled so that a
    cell's probabilities add up to 1 (a product of experts).

    Parameters
    ----------
    log_probabilities
        Of each method, (cells, labels).
    weights
        Of each method. Their sum says how sure the result is; their ratios say which method counts.

    Examples
    --------
    >>> sure, torn = np.log([[0.9, 0.1]]), np.log([[0.5, 0.5]])
    >>> np.exp(stacked([sure, torn], [1, 1])).round(3)
    array([[0.9, 0.1]])

    References
    ----------
    Hinton, Neural Computation 14 (2002), 1771–1800.
    """
    result: FloatArray = log_softmax(_summed(_clipped(log_probabilities), np.asarray(weights, dtype=float)), axis=1)
    return result


def ranked(log_probabilities: FloatArray) -> Ranked:
    """Return the likeliest label and the next of each cell; of equals, the label that comes first.

    Parameters
    ----------
    log_probabilities
        (cells, labels).
    """
    order = np.argsort(-log_probabilities, axis=1, kind="stable")
    label, runner_up = order[:, 0], order[:, min(1, order.shape[1] - 1)]
    rows = np.arange(len(order))
    first, second = np.exp(log_probabilities[rows, label]), np.exp(log_probabilities[rows, runner_up])
    alone = log_probabilities.shape[1] == 1
    return Ranked(label, runner_up, first, first if alone else first - second)


def _clipped(log_probabilities: Sequence[FloatArray]) -> list[FloatArray]:
    return [np.maximum(log, np.log(LEAST_PROBABILITY)) for log in log_probabilities]


def _summed(logs: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    total = np.zeros(logs[0].shape)
    for log, weight in zip(logs, weights, strict=True):
        total += weight * log
    return total
