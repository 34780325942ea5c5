"""Compiled kernels that walk a gene set through one ranking in double precision."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism._compiled import compiled
from scprism.types import FloatArray, IntArray

__all__ = ["TIE", "SetMembers", "Tilt", "draw_tilted", "set_scores", "walk"]

# The number of a word's lowest bit stands here at (bit × DE_BRUIJN) >> 58 (Leiserson, Prokop and Randall 1998).
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
BIT_INDEX = np.zeros(64, np.int64)
BIT_INDEX[[((1 << i) * int(DE_BRUIJN) % 2**64) >> 58 for i in range(64)]] = np.arange(64)
# Two deviations closer than this differ by rounding only.
TIE = 1e-12


class SetMembers(NamedTuple):
    """Gene sets one after the other: set k is ``genes[starts[k]:starts[k + 1]]``; gene numbers, int32."""

    genes: NDArray[np.int32]
    starts: NDArray[np.int64]


class Tilt(NamedTuple):
    """How sets with a high score are drawn: genes before a place with high odds, genes behind it with low ones.

    Attributes
    ----------
    before
        Log odds of a gene to be in the set if it stands before the place, (genes,).
    log_missed
        Log probability that none of the genes before one is in the set, with those odds, (genes + 1,).
    log_onwards
        Logarithm of the sum of the weights with which genes from one on are drawn if they stand behind the place,
        (genes + 1,), minus infinity at last.
    turns, shares
        The places, ascending, and the probability of each.
    """

    before: NDArray[np.float64]
    log_missed: NDArray[np.float64]
    log_onwards: NDArray[np.float64]
    turns: NDArray[np.int64]
    shares: NDArray[np.float64]


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
def _exponent(left: int, genes: int) -> float:
    """Return by how much the share of the genes still to come must be raised to have `left` hits among `genes`.

    In a ranking of equal weights the next gene is then a hit with the right probability, left / genes.
    """
    share = min(left / genes, 0.95)
    return float(-genes * np.log1p(-share))


@compiled
def _next_behind(log_onwards: FloatArray, place: int, left: int, level: float) -> int:
    """Return where the next of `left` hits stands, at `place` or behind it; `level` is a uniform random number."""
    low, high = place, log_onwards.size - 1 - left  # no further: the other hits need places too
    power = _exponent(left, log_onwards.size - 1 - place)
    least = np.exp(power * (log_onwards[high + 1] - log_onwards[place])) if left > 1 else 0.0
    wanted = log_onwards[place] + np.log(1.0 - level * (1.0 - least)) / power
    while low < high:
        middle = (low + high) >> 1
        if log_onwards[middle + 1] < wanted:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def _log_next(log_onwards: FloatArray, place: int, left: int, hit: int) -> float:
    """Return the log probability that `_next_behind` gives `hit`."""
    last = log_onwards.size - 1 - left
    power = _exponent(left, log_onwards.size - 1 - place)
    least = np.exp(power * (log_onwards[last + 1] - log_onwards[place])) if left > 1 else 0.0
    step = np.expm1(power * (log_onwards[hit + 1] - log_onwards[hit])) if hit < log_onwards.size - 2 else -1.0
    return float(power * (log_onwards[hit] - log_onwards[place]) + np.log(-step / (1.0 - least)))


@compiled
def _draw_places(tilt: Tilt, turn: int, state: NDArray[np.uint64], places: NDArray[np.int32]) -> bool:
    """Fill `places` with a set, tilted towards the genes before place `turn`; return whether it has the right size."""
    n_hits, k, place = places.size, 0, 0
    while True:
        level = tilt.log_missed[place] + np.log(1.0 - _uniform(state))
        low, high = place, turn  # the first place with log_missed[place + 1] < level
        while low < high:
            middle = (low + high) >> 1
            if tilt.log_missed[middle + 1] < level:
                high = middle
            else:
                low = middle + 1
        if low >= turn:
            break
        if k == n_hits:
            return False
        places[k] = low
        k += 1
        place = low + 1
    if n_hits - k > tilt.before.size - turn:
        return False
    place = turn
    for left in range(n_hits - k, 0, -1):
        place = _next_behind(tilt.log_onwards, place, left, _uniform(state)) + 1
        places[n_hits - left] = place - 1
    return True


@compiled
def _log_density(tilt: Tilt, places: NDArray[np.int32]) -> float:
    """Return the log probability to draw this set, over all places of the turn."""
    n_genes, n_hits = tilt.before.size, places.size
    log_before, log_behind = np.zeros(n_hits + 1), np.zeros(n_hits + 1)
    for k in range(n_hits):
        log_before[k + 1] = log_before[k] + tilt.before[places[k]]
    for k in range(n_hits - 2, -1, -1):
        log_behind[k] = log_behind[k + 1] + _log_next(tilt.log_onwards, places[k] + 1, n_hits - 1 - k, places[k + 1])
    highest, total, k = -np.inf, 0.0, 0
    for step in range(tilt.turns.size):
        turn = tilt.turns[step]
        while k < n_hits and places[k] < turn:
            k += 1
        if n_hits - k > n_genes - turn:
            continue
        log_density = tilt.log_missed[turn] + log_before[k] + np.log(tilt.shares[step])
        if k < n_hits:
            log_density += _log_next(tilt.log_onwards, turn, n_hits - k, places[k]) + log_behind[k]
        if log_density > highest:
            total, highest = total * np.exp(highest - log_density) + 1.0, log_density
        else:
            total += np.exp(log_density - highest)
    return float(highest + np.log(total))


@compiled
def draw_tilted(
    tilts: tuple[Tilt, ...],
    weights: NDArray[np.float64],
    score: float,
    n_hits: int,
    one_sided: bool,  # noqa: FBT001
    n_draws: int,
    state: NDArray[np.uint64],
) -> NDArray[np.float64]:
    """Return the log probability of each drawn set, minus infinity for sets below `score`, (draws,).

    Sets are drawn from all of `tilts`, whose shares sum to 1 together.
    """
    log_densities = np.full(n_draws, -np.inf)
    places = np.empty(n_hits, np.int32)
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
        drawn = _draw_places(tilts[one], tilts[one].turns[step], state, places)
        if drawn and walk(weights, places, one_sided)[0] >= score - TIE:
            for tilt in tilts:
                log_densities[k] = np.logaddexp(log_densities[k], _log_density(tilt, places))
    return log_densities
