"""Compiled kernels of the shared null: the same random places serve all rankings at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism._compiled import compiled

__all__ = ["BLOCK", "NullSums", "add_draws", "nested_places"]

# Rankings walked side by side: enough to hide the latency of a sum, few enough for their weights to stay in cache.
BLOCK = 64
# Two deviations closer than this are the same in single precision: a draw so close below a score counts as reaching it.
TIE = np.float32(1e-6)


class NullSums(NamedTuple):
    """What is kept of a null, for `BLOCK` rankings.

    Attributes
    ----------
    n_positive, sum_positive, sum_negative
        Draws with a score of 0 or more, and the sums of scores of either sign, (sizes, rankings).
    n_extreme
        Draws of a set's size and sign at least as extreme as the set, (sets, rankings).
    """

    n_positive: NDArray[np.int64]
    sum_positive: NDArray[np.float64]
    sum_negative: NDArray[np.float64]
    n_extreme: NDArray[np.int64]


@compiled
def nested_places(swaps: NDArray[np.int64], sizes: NDArray[np.int64], order: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return random places of every size, ascending, one row a draw, (draws, sum of sizes).

    Each draw shuffles the front of `order` (a permutation of all places, changed) by the swaps given, and a set of size
    s is its first s places; so sets of two sizes in one draw are nested. `sizes` are ascending and distinct.
    """
    starts = np.zeros(sizes.size + 1, np.int64)
    for c in range(sizes.size):
        starts[c + 1] = starts[c] + sizes[c]
    largest = sizes.size - 1
    places = np.empty((swaps.shape[0], starts[-1]), np.int32)
    turn = np.full(order.size, order.size, np.int32)
    for draw in range(swaps.shape[0]):
        for i in range(swaps.shape[1]):
            j = swaps[draw, i]
            order[i], order[j] = order[j], order[i]
            turn[order[i]] = i
        k = starts[largest]
        for place in range(order.size):
            if turn[place] < sizes[largest]:
                places[draw, k] = place
                k += 1
        for c in range(largest - 1, -1, -1):
            k = starts[c]
            for j in range(starts[c + 1], starts[c + 2]):
                if turn[places[draw, j]] < sizes[c]:
                    places[draw, k] = places[draw, j]
                    k += 1
        for i in range(swaps.shape[1]):
            turn[order[i]] = order.size
    return places


@compiled
def _walk_block(
    weights: NDArray[np.float32], places: NDArray[np.int32], risen: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the highest and lowest points of the running sums, (rankings,); `risen` is scratch, its first row 0."""
    # Arrays made here cannot overlap others, so the compiler keeps them in registers through the loops.
    high, low = np.zeros(BLOCK, np.float32), np.zeros(BLOCK, np.float32)
    scale = np.empty(BLOCK, np.float32)
    n_hits = places.size
    for k in range(n_hits):
        place = places[k]
        for ranking in range(BLOCK):
            risen[k + 1, ranking] = risen[k, ranking] + weights[place, ranking]
    for ranking in range(BLOCK):
        scale[ranking] = np.float32(1.0) / risen[n_hits, ranking]
    step = np.float32(1.0) / np.float32(weights.shape[0] - n_hits)
    for k in range(n_hits):
        fallen = np.float32(places[k] - k) * step
        for ranking in range(BLOCK):
            before = risen[k, ranking] * scale[ranking] - fallen
            after = risen[k + 1, ranking] * scale[ranking] - fallen
            high[ranking] = after if after > high[ranking] else high[ranking]
            low[ranking] = before if before < low[ranking] else low[ranking]
    return high, low


@compiled
def add_draws(
    weights: NDArray[np.float32],
    places: NDArray[np.int32],
    sizes: NDArray[np.int64],
    *,
    scores: NDArray[np.float64],
    size_of: NDArray[np.int64],
    one_sided: bool,
    kept: NullSums,
) -> None:
    """Add draws to what is kept of the null of `BLOCK` rankings.

    Parameters
    ----------
    weights
        Weights at each place, float32 (places, rankings); sums of a few hundred of them stay within `TIE` of the truth.
    places
        From `nested_places`, (draws, sum of sizes).
    sizes
        Distinct set sizes, ascending.
    scores
        Enrichment scores of the sets, in ascending order of size, (sets, rankings).
    size_of
        Position of each set's size in `sizes`, ascending.
    """
    risen = np.zeros((sizes[-1] + 1, BLOCK), np.float32)
    for draw in range(places.shape[0]):
        start, k = 0, 0
        for c in range(sizes.size):
            high, low = _walk_block(weights, places[draw, start : start + sizes[c]], risen)
            start += sizes[c]
            for ranking in range(BLOCK):
                upper = one_sided or high[ranking] >= -low[ranking] - TIE
                drawn = high[ranking] if upper else low[ranking]
                high[ranking] = drawn
                kept.n_positive[c, ranking] += upper
                kept.sum_positive[c, ranking] += drawn if upper else 0.0
                kept.sum_negative[c, ranking] += 0.0 if upper else drawn
            while k < size_of.size and size_of[k] == c:
                for ranking in range(BLOCK):
                    score, drawn = scores[k, ranking], high[ranking]
                    reached = drawn >= max(score - TIE, 0.0) if score >= 0 else drawn <= min(score + TIE, -1e-30)
                    kept.n_extreme[k, ranking] += reached
                k += 1
