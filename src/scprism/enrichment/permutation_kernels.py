"""Compiled kernels of the shared null: the same random places serve all rankings at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism._compiled import compiled

__all__ = ["LANES", "Tally", "add_draws", "nested_places"]

# Rankings walked side by side: enough to hide the latency of a sum, few enough for their weights to stay in cache.
LANES = 64
# Two deviations closer than this are the same in single precision: a draw so close below a score counts as reaching it.
TIE = np.float32(1e-6)


class Tally(NamedTuple):
    """What is kept of a null, for `LANES` rankings.

    Attributes
    ----------
    n_positive, sum_positive, sum_negative
        Draws with a score of 0 or more, and the sums of scores of either sign, (sizes, lanes).
    n_extreme
        Draws of a set's size and sign at least as extreme as the set, (sets, lanes).
    """

    n_positive: NDArray[np.int64]
    sum_positive: NDArray[np.float64]
    sum_negative: NDArray[np.float64]
    n_extreme: NDArray[np.int64]


@compiled
def nested_places(swaps: NDArray[np.int64], sizes: NDArray[np.int64], deck: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return random places of every size, ascending, one row a draw, (draws, sum of sizes).

    Each draw shuffles the front of `deck` (a permutation of all places, changed) by the swaps given, and a set of size
    s is its first s places; so sets of two sizes in one draw are nested. `sizes` are ascending and distinct.
    """
    starts = np.zeros(sizes.size + 1, np.int64)
    for c in range(sizes.size):
        starts[c + 1] = starts[c] + sizes[c]
    largest = sizes.size - 1
    places = np.empty((swaps.shape[0], starts[-1]), np.int32)
    turn = np.full(deck.size, deck.size, np.int32)
    for draw in range(swaps.shape[0]):
        for i in range(swaps.shape[1]):
            j = swaps[draw, i]
            deck[i], deck[j] = deck[j], deck[i]
            turn[deck[i]] = i
        k = starts[largest]
        for place in range(deck.size):
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
            turn[deck[i]] = deck.size
    return places


@compiled
def _walk_lanes(
    weights: NDArray[np.float32], places: NDArray[np.int32], risen: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the highest and lowest points of the running sums, (lanes,); `risen` is scratch, its first row 0."""
    # Arrays made here cannot overlap others, so the compiler keeps them in registers through the loops.
    high, low = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    scale = np.empty(LANES, np.float32)
    n_hits = places.size
    for k in range(n_hits):
        place = places[k]
        for lane in range(LANES):
            risen[k + 1, lane] = risen[k, lane] + weights[place, lane]
    for lane in range(LANES):
        scale[lane] = np.float32(1.0) / risen[n_hits, lane]
    step = np.float32(1.0) / np.float32(weights.shape[0] - n_hits)
    for k in range(n_hits):
        fallen = np.float32(places[k] - k) * step
        for lane in range(LANES):
            before = risen[k, lane] * scale[lane] - fallen
            after = risen[k + 1, lane] * scale[lane] - fallen
            high[lane] = after if after > high[lane] else high[lane]
            low[lane] = before if before < low[lane] else low[lane]
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
    tally: Tally,
) -> None:
    """Add draws to the tally of `LANES` rankings.

    Parameters
    ----------
    weights
        Weights at each place, float32 (places, lanes); sums of a few hundred of them stay within `TIE` of the truth.
    places
        From `nested_places`, (draws, sum of sizes).
    sizes
        Distinct set sizes, ascending.
    scores
        Enrichment scores of the sets, in ascending order of size, (sets, lanes).
    size_of
        Position of each set's size in `sizes`, ascending.
    """
    risen = np.zeros((sizes[-1] + 1, LANES), np.float32)
    for draw in range(places.shape[0]):
        start, k = 0, 0
        for c in range(sizes.size):
            high, low = _walk_lanes(weights, places[draw, start : start + sizes[c]], risen)
            start += sizes[c]
            for lane in range(LANES):
                upper = one_sided or high[lane] >= -low[lane] - TIE
                drawn = high[lane] if upper else low[lane]
                high[lane] = drawn
                tally.n_positive[c, lane] += upper
                tally.sum_positive[c, lane] += drawn if upper else 0.0
                tally.sum_negative[c, lane] += 0.0 if upper else drawn
            while k < size_of.size and size_of[k] == c:
                for lane in range(LANES):
                    score, drawn = scores[k, lane], high[lane]
                    reached = drawn >= max(score - TIE, 0.0) if score >= 0 else drawn <= min(score + TIE, -1e-30)
                    tally.n_extreme[k, lane] += reached
                k += 1
