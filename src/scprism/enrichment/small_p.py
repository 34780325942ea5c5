"""Small p-values: the probability that a random gene set scores at least as high, however small it is.

Random sets alone cannot tell 1e-4 from 1e-40. Here sets are drawn so that the observed score is common, and each counts
by how much rarer it is among truly random sets (importance sampling). A random set scores high where its running sum
crosses the score at some place of the ranking. For a given place there is one best way to draw: genes before it are
in the set more often and genes behind it less often, by what each adds to the sum (exponential tilting). The sum
can cross at many places, so each draw takes one of them at random and is weighed against all of them (Adler, Blanchet
and Liu 2012, Annals of Applied Probability 22, 1167). Then no set counts for much more than the others, and the spread
of what they count is the error of the result.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism.enrichment.crossing import Bins, crossing_places, tilted_odds
from scprism.enrichment.kernels import TIE, SetMembers, Tilt, draw_tilted, walk
from scprism.enrichment.permutation import NullSummary
from scprism.enrichment.rankings import Rankings
from scprism.types import FloatArray

__all__ = ["PValues", "SmallP", "counted", "log_tail", "resolved"]

# A test with fewer random sets beyond it is looked at again: the relative error of a count of 10 is a third.
RESOLVED = 10
# A tail is not divided by the share of random sets of its sign where that rests on fewer.
FEW_OF_SIGN = 20
# The smallest number with full precision.
LEAST = np.finfo(np.float64).tiny

# Places to cross at lie between those whose log probability is lower by the larger of these than at the best place.
BELOW_BEST = (1.0, 4.0)
# An estimate lower than the probability of crossing at the likeliest place by more than this, as logarithms, is wrong.
FURTHEST_BELOW = 3.0
N_TURNS = 48
# Some draws are less tilted, for sets that score high in another way than most: their share, and part of the tilt.
WEAK_SHARE = 0.1
WEAK_STRENGTH = 0.5
BATCH = 250
MAX_DRAWS = 10_000
TARGET_ERROR = 0.1
# A tail with a larger error is not used.
WORST_ERROR = 0.5
# For the search of places neighbouring genes are taken together, fewer at both ends, where weights change fastest.
BIN_GROWTH = 1.4
WIDEST_BIN = 1 / 20


class PValues(NamedTuple):
    """P-values of sets in rankings, each (rankings, sets).

    Attributes
    ----------
    p_values
        The p-values, never 0.
    log_errors
        Standard error of their natural logarithms.
    are_bounds
        Whether the true p-value may be smaller than the one given by any factor: no random set was as extreme, or the
        p-value is below the smallest number.
    """

    p_values: NDArray[np.float64]
    log_errors: NDArray[np.float64]
    are_bounds: NDArray[np.bool_]


class SmallP(NamedTuple):
    """A probability: its natural logarithm and the standard error of that, infinite where nothing was found."""

    log_p: float
    error: float


def counted(null: NullSummary) -> PValues:
    """Return p-values (k + 1) / (n + 1) of k random sets as extreme as the set among the n that have its sign."""
    p_values = (null.n_extreme + 1.0) / (null.n_same + 1.0)
    return PValues(p_values, np.sqrt((1.0 - p_values) / (null.n_extreme + 1.0)), null.n_extreme == 0)


def resolved(
    rankings: Rankings,
    sets: SetMembers,
    scores: FloatArray,
    *,
    null: NullSummary,
    one_sided: bool,
    rng: np.random.Generator,
    threads: int,
) -> PValues:
    """Return p-values counted among random sets, and by `log_tail` where fewer than 10 of those are as extreme.

    A tail is divided by the share of random sets of the score's sign, as the count is. Where the tail cannot be told
    the count stays.
    """
    found = counted(null)
    again = (null.n_extreme < RESOLVED) & (null.n_same >= FEW_OF_SIGN) & ~rankings.flat[:, None]
    sizes = np.diff(sets.starts)
    seeds = rng.integers(2**63, size=int(sizes.max()) + 1, dtype=np.uint64)

    def resolve(test: tuple[int, int]) -> None:
        row, k = test
        places = np.sort(rankings.place_of[row, sets.genes[sets.starts[k] : sets.starts[k + 1]]])
        weights = rankings.weights[row]
        if scores[row, k] < 0:
            weights = np.ascontiguousarray(weights[::-1])
            places = np.ascontiguousarray(weights.size - 1 - places[::-1])
        tail = log_tail(weights, places, one_sided=one_sided, seed=seeds[sizes[k]])
        if tail.error > WORST_ERROR:
            return
        share = (null.n_same[row, k] + 1) / (null.n_draws + 1)
        p_value = math.exp(min(tail.log_p - math.log(share), 0.0))
        found.p_values[row, k] = max(p_value, LEAST)
        found.log_errors[row, k] = math.hypot(tail.error, math.sqrt((1 - share) / (null.n_same[row, k] + 1)))
        found.are_bounds[row, k] = p_value < LEAST

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(resolve, [(int(row), int(k)) for row, k in np.argwhere(again)]))
    return found


def log_tail(
    weights: NDArray[np.float64], places: NDArray[np.int32], *, one_sided: bool, seed: int | np.uint64
) -> SmallP:
    """Return the probability that a random set of as many genes scores at least as high as the set at `places`.

    Draws until the standard error of the log probability is at most 0.1, or 10,000 sets were drawn.

    Parameters
    ----------
    weights
        Weight of a hit at each place, (genes,).
    places
        Where the set's genes stand, ascending, (hits,). Its score is positive: for a negative one turn the ranking
        round.
    one_sided
        Sets count by their highest point even where their lowest is further away.
    seed
        Fixes all draws.
    """
    n_genes, n_hits = weights.size, places.size
    score, peak = walk(weights, places, one_sided)
    peak = int(peak) + 1
    log_number_of_sets = math.lgamma(n_genes + 1) - math.lgamma(n_hits + 1) - math.lgamma(n_genes - n_hits + 1)
    if score > 1 - TIE:
        return SmallP(_log_number_of_best(weights, n_hits) - log_number_of_sets, 0.0)
    ranking = Bins(np.concatenate([[0.0], np.cumsum(weights)]), _bin_edges(n_genes))
    crossings, log_chance = crossing_places(ranking, score, places, peak, np.array(BELOW_BEST))
    falls = np.array([-BELOW_BEST[1], -BELOW_BEST[0], 0.0, -BELOW_BEST[0], -BELOW_BEST[1]])
    turns = np.unique(np.linspace(crossings[0], crossings[-1], N_TURNS).round().astype(np.int64))
    shares = np.exp(np.interp(turns, crossings, falls))
    shares *= (1.0 - WEAK_SHARE) / shares.sum()
    # Turns that are far apart need tilts of their own: one for those about each of the three middle places.
    nearest = np.abs(turns[:, None] - crossings[None, 1:4]).argmin(axis=1)
    tilts = [
        Tilt(
            *tilted_odds(ranking, score, places, peak, int(crossings[k + 1]), 1.0),
            turns[nearest == k],
            shares[nearest == k],
        )
        for k in np.unique(nearest)
    ]
    few = crossings[1:4]
    weak = tilted_odds(ranking, score, places, peak, int(crossings[2]), WEAK_STRENGTH)
    tilts.append(Tilt(*weak, few, np.full(3, WEAK_SHARE / 3)))
    state = np.array([seed], dtype=np.uint64)
    log_ratios, n_draws, error = np.empty(0), 0, math.inf
    while n_draws < MAX_DRAWS and error > TARGET_ERROR:
        log_densities = draw_tilted(tuple(tilts), weights, score, n_hits, one_sided, BATCH, state)
        log_ratios = np.concatenate([log_ratios, -log_number_of_sets - log_densities[np.isfinite(log_densities)]])
        n_draws += BATCH
        if log_ratios.size:
            ratios = np.exp(log_ratios - log_ratios.max())
            error = math.sqrt(max((ratios**2).sum() / ratios.sum() ** 2 - 1 / n_draws, 0.0))
    if log_ratios.size == 0:
        return SmallP(-math.inf, math.inf)
    log_p = float(log_ratios.max()) + math.log(ratios.sum() / n_draws)
    log_p = min(max(log_p, -log_number_of_sets), 0.0)
    # Much less than the best place alone would give: the draws missed where such sets are.
    return SmallP(log_p, error if log_p > log_chance - FURTHEST_BELOW else math.inf)


def _log_number_of_best(weights: NDArray[np.float64], n_hits: int) -> float:
    """Return the logarithm of the number of sets that score 1: no gene stands between those that have weight.

    These are the first genes of the ranking, and any genes without weight.
    """
    light = weights < TIE
    n_top = int(np.argmax(light)) if light.any() else weights.size
    n_light = int(light.sum())
    numbers = [math.comb(n_light, n_hits - k) for k in range(1, min(n_hits, n_top) + 1)]
    return math.log(max(sum(numbers), 1))


def _bin_edges(n_genes: int) -> NDArray[np.int64]:
    """Return the first place of each bin of neighbouring places, narrow at both ends, and `n_genes` at last."""
    widest = max(n_genes * WIDEST_BIN, 1.0)
    edges, width = [0], 1.0
    while edges[-1] + width < n_genes / 2:
        edges.append(edges[-1] + int(width))
        width = min(width * BIN_GROWTH, widest)
    mirrored = [n_genes - edge for edge in reversed(edges)]
    return np.unique(np.asarray(edges + mirrored, dtype=np.int64))
