"""Compiled kernels that walk a gene set through one ranking in double precision."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism._compiled import compiled
from scprism.types import FloatArray, IntArray

__all__ = ["TIE", "SetMembers", "Tilt", "draw_tilted", "set_scores", "tilt_towards", "walk"]

# The number of a word's lowest bit stands here at (bit × DE_BRUIJN) >> 58 (Leiserson, Prokop and Randall 1998).
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
BIT_INDEX = np.zeros(64, np.int64)
BIT_INDEX[[((1 << i) * int(DE_BRUIJN) % 2**64) >> 58 for i in range(64)]] = np.arange(64)
# Two deviations closer than this differ by rounding only.
TIE = 1e-12
# Numbers of hits in a bin that are rarer than this times the likeliest are never drawn.
NEGLIGIBLE = 1e-15


class SetMembers(NamedTuple):
    """Gene sets one after the other: set k is ``genes[starts[k]:starts[k + 1]]``; gene numbers, int32."""

    genes: NDArray[np.int32]
    starts: NDArray[np.int64]


class Side(NamedTuple):
    """Numbers of hits in bins of neighbouring genes, all genes of a bin with the same odds, independent of each other.

    Attributes
    ----------
    log_odds
        Log odds of a gene to be in the set, (bins,).
    log_none
        Log probability that none of a bin's genes is in the set, (bins,).
    chances
        Probability of each number of hits in a bin, (bins, hits + 1).
    fewest, most
        The numbers outside of which it is negligible, (bins,).
    sums
        Probability of each number of hits in all bins before one, or in all from one on, (bins + 1, hits + 1).
    """

    log_odds: NDArray[np.float64]
    log_none: NDArray[np.float64]
    chances: NDArray[np.float64]
    fewest: NDArray[np.int64]
    most: NDArray[np.int64]
    sums: NDArray[np.float64]


class Tilt(NamedTuple):
    """How sets with a high score are drawn: genes before a place with high odds, genes behind it with low ones.

    Among all draws with those odds only sets of the right size are kept.

    Attributes
    ----------
    before, behind
        Odds of the genes on either side of the place.
    turns, shares
        The bins behind the places, ascending, and the probability of each.
    right
        Probability that such a draw has the right size, for each place.
    log_weights
        Logarithms of share / right.
    """

    before: Side
    behind: Side
    turns: NDArray[np.int64]
    shares: NDArray[np.float64]
    right: NDArray[np.float64]
    log_weights: NDArray[np.float64]


@compiled
def walk(weights: FloatArray, places: IntArray, one_sided: bool) -> tuple[float, int]:  # noqa: FBT001
    """Return the enrichment score of the hits at `places` (ascending), and the place of the peak.

    The running sum rises by a hit's share of the weights and falls by an equal step at each other gene
    (Subramanian et al. 2005); its extremes lie just after or just before a hit. Of two of equal size the upper counts.
    """
    total = 0.0
    for place in places:
        total += weights[place]
    step, scale = 1.0 / (weights.size - places.size), 1.0 / total
    risen, high, low, high_at, low_at = 0.0, 0.0, 0.0, 0, 0
    for k in range(places.size):
        fallen = (places[k] - k) * step
        before = risen * scale - fallen
        risen += weights[places[k]]
        after = risen * scale - fallen
        if after > high + TIE:
            high, high_at = after, places[k]
        if before < low - TIE:
            low, low_at = before, places[k]
    if one_sided or high >= -low - TIE:
        return high, high_at
    return low, low_at


@compiled
def _marked(words: NDArray[np.uint64], place: int) -> bool:
    """Return whether a place was marked, and mark it."""
    bit = np.uint64(1) << np.uint64(place & 63)
    was = words[place >> 6] & bit
    words[place >> 6] |= bit
    return bool(was != 0)


@compiled
def _take_marked(words: NDArray[np.uint64], n_marked: int) -> NDArray[np.int32]:
    """Return the marked places in ascending order, and clear the marks."""
    places = np.empty(n_marked, np.int32)
    k = 0
    for w in range(words.size):
        word = words[w]
        words[w] = 0
        while word != 0:
            lowest = word & (~word + np.uint64(1))
            places[k] = 64 * w + BIT_INDEX[(lowest * DE_BRUIJN) >> np.uint64(58)]
            k += 1
            word ^= lowest
    return places


@compiled
def set_scores(
    place_of: NDArray[np.int32],
    weights: NDArray[np.float64],
    sets: SetMembers,
    *,
    one_sided: bool,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return the enrichment score and the peak's place of every set in every ranking, each (rankings, sets)."""
    n_sets = sets.starts.size - 1
    scores = np.empty((place_of.shape[0], n_sets))
    peaks = np.empty((place_of.shape[0], n_sets), np.int32)
    words = np.zeros(weights.shape[1] // 64 + 1, np.uint64)
    for r in range(place_of.shape[0]):
        for k in range(n_sets):
            for j in range(sets.starts[k], sets.starts[k + 1]):
                _marked(words, place_of[r, sets.genes[j]])
            places = _take_marked(words, sets.starts[k + 1] - sets.starts[k])
            scores[r, k], peaks[r, k] = walk(weights[r], places, one_sided)
    return scores, peaks


@compiled
def _random_bits(state: NDArray[np.uint64]) -> np.uint64:
    """Return the next 64 bits of a splitmix64 sequence (Steele, Lea and Flood 2014)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits: np.uint64 = z ^ (z >> np.uint64(31))
    return bits


@compiled
def _uniform(state: NDArray[np.uint64]) -> float:
    return float(_random_bits(state) >> np.uint64(11)) * 2.0**-53


@compiled
def _fill_chances(width: int, log_odds: float, chances: NDArray[np.float64]) -> tuple[int, int]:
    """Fill in the binomial probabilities of 0, 1, … hits, and return outside of which numbers they are negligible."""
    largest, odds = min(width, chances.size - 1), np.exp(log_odds)
    mode = min(int((width + 1) * odds / (1.0 + odds)), largest)
    log_ways = math.lgamma(width + 1) - math.lgamma(mode + 1) - math.lgamma(width - mode + 1)
    highest = np.exp(log_ways + mode * log_odds - width * np.log1p(odds))
    chances[mode] = highest
    most = mode
    while most < largest and chances[most] > NEGLIGIBLE * highest:
        chances[most + 1] = chances[most] * odds * (width - most) / (most + 1)
        most += 1
    fewest = mode
    while fewest > 0 and chances[fewest] > NEGLIGIBLE * highest:
        chances[fewest - 1] = chances[fewest] * fewest / (odds * (width - fewest + 1))
        fewest -= 1
    return fewest, most


@compiled
def _side(
    widths: NDArray[np.int64],
    log_odds: NDArray[np.float64],
    n_hits: int,
    start: int,
    stop: int,
) -> Side:
    """Return the numbers of hits in the bins from `start` to `stop`, summed in that order, downwards too."""
    n_bins = widths.size
    chances, sums = np.zeros((n_bins, n_hits + 1)), np.zeros((n_bins + 1, n_hits + 1))
    fewest, most = np.zeros(n_bins, np.int64), np.zeros(n_bins, np.int64)
    log_none = np.zeros(n_bins)
    upwards = start < stop
    sums[start, 0] = 1.0
    low, high = 0, 0  # numbers of hits so far
    for step in range(abs(stop - start)):
        one = start + step if upwards else start - 1 - step
        fewest[one], most[one] = _fill_chances(widths[one], log_odds[one], chances[one])
        log_none[one] = -widths[one] * np.log1p(np.exp(log_odds[one]))
        told, summed = (sums[one], sums[one + 1]) if upwards else (sums[one + 1], sums[one])
        for k in range(fewest[one], most[one] + 1):
            chance = chances[one, k]
            some = told[low : min(high, n_hits - k) + 1]
            higher = summed[low + k :]
            for j in range(some.size):
                higher[j] += chance * some[j]
        low, high = low + fewest[one], min(high + most[one], n_hits)
    return Side(log_odds, log_none, chances, fewest, most, sums)


@compiled
def tilt_towards(
    widths: NDArray[np.int64],
    before: NDArray[np.float64],
    behind: NDArray[np.float64],
    n_hits: int,
    turns: NDArray[np.int64],
    shares: NDArray[np.float64],
) -> Tilt:
    """Return the tilt with these log odds of the genes in each bin, (bins,), if it stands before or behind the turn."""
    upper = _side(widths, before, n_hits, 0, turns[-1])
    lower = _side(widths, behind, n_hits, widths.size, turns[0])
    right = np.empty(turns.size)
    for step in range(turns.size):
        right[step] = (upper.sums[turns[step]] * lower.sums[turns[step]][::-1]).sum()
    return Tilt(upper, lower, turns, shares, right, np.log(shares) - np.log(right))


@compiled
def _draw_number(
    chances: NDArray[np.float64], rest: NDArray[np.float64], left: int, limits: tuple[int, int], wanted: float
) -> int:
    """Return how many of the hits left a bin gets: the first for which the chances sum to more than `wanted`.

    Minus 1 if it can get none.
    """
    number = -1
    for k in range(limits[0], min(limits[1], left) + 1):
        chance = chances[k] * rest[left - k]
        if chance > 0.0:
            number = k
            wanted -= chance
            if wanted < 0.0:
                break
    return number


@compiled
def _draw_numbers(tilt: Tilt, step: int, state: NDArray[np.uint64], numbers: NDArray[np.int64]) -> bool:
    """Draw the number of hits in each bin with the turn of this number; return whether that could be done."""
    before, behind, turn = tilt.before, tilt.behind, tilt.turns[step]
    n_hits = before.sums.shape[1] - 1
    wanted = _uniform(state) * tilt.right[step]
    left = _draw_number(before.sums[turn], behind.sums[turn], n_hits, (0, n_hits), wanted)
    if left < 0:
        return False
    left_behind = n_hits - left
    for one in range(turn - 1, -1, -1):
        wanted = _uniform(state) * before.sums[one + 1, left]
        limits = (before.fewest[one], before.most[one])
        numbers[one] = _draw_number(before.chances[one], before.sums[one], left, limits, wanted)
        if numbers[one] < 0:
            return False
        left -= numbers[one]
    for one in range(turn, numbers.size):
        wanted = _uniform(state) * behind.sums[one, left_behind]
        limits = (behind.fewest[one], behind.most[one])
        numbers[one] = _draw_number(behind.chances[one], behind.sums[one + 1], left_behind, limits, wanted)
        if numbers[one] < 0:
            return False
        left_behind -= numbers[one]
    return left == 0 and left_behind == 0


@compiled
def _mark_some(words: NDArray[np.uint64], first: int, width: int, number: int, state: NDArray[np.uint64]) -> None:
    """Mark as many of the places from `first` on, any with equal chance (Bentley and Floyd 1987)."""
    for last in range(width - number, width):
        if _marked(words, first + int(_uniform(state) * (last + 1))):
            _marked(words, first + last)


@compiled
def _log_density(tilt: Tilt, numbers: NDArray[np.int64]) -> float:
    """Return the log probability to draw a set with these numbers of hits in the bins, over all turns."""
    n_bins = numbers.size
    total = 0.0
    for one in range(tilt.turns[0]):
        total += numbers[one] * tilt.before.log_odds[one] + tilt.before.log_none[one]
    for one in range(tilt.turns[0], n_bins):
        total += numbers[one] * tilt.behind.log_odds[one] + tilt.behind.log_none[one]
    highest, summed, one = -np.inf, 0.0, tilt.turns[0]
    for step in range(tilt.turns.size):
        while one < tilt.turns[step]:
            total += numbers[one] * (tilt.before.log_odds[one] - tilt.behind.log_odds[one])
            total += tilt.before.log_none[one] - tilt.behind.log_none[one]
            one += 1
        log_density = total + tilt.log_weights[step]
        if log_density > highest:
            summed, highest = summed * np.exp(highest - log_density) + 1.0, log_density
        elif log_density > highest - 40.0:
            summed += np.exp(log_density - highest)
    return float(highest + np.log(summed))


@compiled
def draw_tilted(
    tilts: tuple[Tilt, Tilt],
    edges: NDArray[np.int64],
    weights: NDArray[np.float64],
    score: float,
    n_hits: int,
    one_sided: bool,  # noqa: FBT001
    n_draws: int,
    state: NDArray[np.uint64],
) -> NDArray[np.float64]:
    """Return the log probability of each drawn set, minus infinity for sets below `score`, (draws,).

    Sets are drawn from both of `tilts`, whose shares sum to 1 together. `edges` are the first places of the bins, and
    the number of genes at last.
    """
    log_densities = np.full(n_draws, -np.inf)
    numbers = np.empty(edges.size - 1, np.int64)
    words = np.zeros(edges[-1] // 64 + 1, np.uint64)
    for k in range(n_draws):
        level, one, step = _uniform(state), 0, 0
        while level >= tilts[one].shares[step]:
            level -= tilts[one].shares[step]
            step += 1
            if step == tilts[one].shares.size:
                if one == len(tilts) - 1:
                    step -= 1
                    break
                one, step = one + 1, 0
        if not _draw_numbers(tilts[one], step, state, numbers):
            continue
        for j in range(numbers.size):
            _mark_some(words, edges[j], edges[j + 1] - edges[j], numbers[j], state)
        if walk(weights, _take_marked(words, n_hits), one_sided)[0] >= score - TIE:
            for tilt in tilts:
                log_densities[k] = np.logaddexp(log_densities[k], _log_density(tilt, numbers))
    return log_densities
