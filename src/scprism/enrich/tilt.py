"""Compiled kernels that find where the hits of a high-scoring random set lie, on average and without drawing any."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism._threads import compiled
from scprism.types import FloatArray

__all__ = ["Goal", "solve_tilt"]

MAX_STEPS = 30
# No step changes a log odds by more: Newton's method overshoots where all hits must lie in few bins.
LONGEST_STEP = 2.0
LIMIT = 12.0


class Goal(NamedTuple):
    """A score that random sets of `n_hits` genes should reach, in a ranking cut into bins of neighbouring places.

    Attributes
    ----------
    widths, weights
        Genes of each bin and their mean weight, (bins,).
    n_hits
        Genes in the set.
    score
        The enrichment score to reach, positive.
    """

    widths: NDArray[np.float64]
    weights: NDArray[np.float64]
    n_hits: int
    score: float


@compiled
def _shortfall(goal: Goal, share: FloatArray, cut: int) -> tuple[float, FloatArray]:
    """Return what the hits before bin `cut` lack in weight for the score, and how much one more hit in each bin gives.

    The running sum reaches the score when the weight before the cut is at least ``score + misses / all misses`` of
    the set's total weight, with `share` of each bin's genes as hits.
    """
    n_misses = goal.widths.sum() - goal.n_hits
    hits = goal.widths * share
    total = (hits * goal.weights).sum()
    part = goal.score + (goal.widths[:cut].sum() - hits[:cut].sum()) / n_misses
    gain = -part * goal.weights
    gain[:cut] += goal.weights[:cut] + total / n_misses
    return part * total - (hits[:cut] * goal.weights[:cut]).sum(), gain


@compiled
def solve_tilt(goal: Goal, cut: int) -> tuple[NDArray[np.float64], bool]:
    """Return each bin's log odds of a hit, and whether sets of this size can so reach the score before bin `cut`.

    Among all independent draws with the right number of hits on average that reach the score before bin `cut` on
    average, the least unusual one tilts each gene by what it gains: Newton's method on the two conditions.
    """
    middle = np.log(goal.n_hits / (goal.widths.sum() - goal.n_hits))
    level, tilt = middle, 0.0
    logits = np.full(goal.widths.size, middle)
    for _ in range(MAX_STEPS):
        share = 1.0 / (1.0 + np.exp(-logits))
        missing_weight, gain = _shortfall(goal, share, cut)
        missing_hits = goal.n_hits - (goal.widths * share).sum()
        total = (goal.widths * share * goal.weights).sum()
        if abs(missing_weight) < 1e-3 * total and abs(missing_hits) < 1e-3 * goal.n_hits:
            return logits, True
        spread = goal.widths * share * (1.0 - share)
        a, b, c = spread.sum(), (spread * gain).sum(), (spread * gain**2).sum()
        determinant = a * c - b * b
        if determinant <= 1e-12 * a * c:
            break
        rise = (c * missing_hits - b * missing_weight) / determinant
        turn = (a * missing_weight - b * missing_hits) / determinant
        damping = min(1.0, LONGEST_STEP / np.abs(rise + turn * gain).max())
        level += damping * rise
        tilt += damping * turn
        logits = np.minimum(np.maximum(level + tilt * gain, middle - LIMIT), middle + LIMIT)
    return logits, False
