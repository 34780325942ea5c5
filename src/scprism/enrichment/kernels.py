"""Compiled kernels that walk a gene set through one ranking in double precision."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism._compiled import compiled
from scprism.types import FloatArray, IntArray

__all__ = ["TIE", "Bins", "SetMembers", "Tilt", "crossing_places", "draw_tilted", "set_scores", "tilted_odds", "walk"]

# The number of a word's lowest bit stands here at (bit × DE_BRUIJN) >> 58 (Leiserson, Prokop and Randall 1998).
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
BIT_INDEX = np.zeros(64, np.int64)
BIT_INDEX[[((1 << i) * int(DE_BRUIJN) % 2**64) >> 58 for i in range(64)]] = np.arange(64)
# Two deviations closer than this differ by rounding only.
TIE = 1e-12
# Newton's method for a tilt; no step changes a log odds by more than the second number, and none gets further from the
# random draw's than the third.
MAX_STEPS = 60
LONGEST_STEP = 2.0
FURTHEST_ODDS = 25.0
# A solution misses the score by at most this part of what one gene outside the set takes from the running sum.
CLOSE = 0.01


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


class Bins(NamedTuple):
    """A ranking's weights by bins of neighbouring places.

    `cumulative` is the sum of the weights before each place, (genes + 1,); `edges` are the first places of the bins,
    and the number of genes at last.
    """

    cumulative: NDArray[np.float64]
    edges: NDArray[np.int64]


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
    return -genes * np.log1p(-share)


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
    return power * (log_onwards[hit] - log_onwards[place]) + np.log(-step / (1.0 - least))


@compiled
def _draw_places(tilt: Tilt, turn: int, state: NDArray[np.uint64], places: NDArray[np.int32]) -> bool:
    """Fill `places` with a random set, tilted towards the genes before place `turn`; return whether it has that size."""
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
    return highest + np.log(total)


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
        if _draw_places(tilts[one], tilts[one].turns[step], state, places):
            if walk(weights, places, one_sided)[0] >= score - TIE:
                for tilt in tilts:
                    log_densities[k] = np.logaddexp(log_densities[k], _log_density(tilt, places))
    return log_densities


class Solution(NamedTuple):
    """A tilt: the log odds of a hit are level + slope × gain.

    A gene's gain is (1 - part) × weight + total / misses before the place of crossing, and -part × weight behind it.
    `log_chance` is about the log probability that a random set reaches the score there.
    """

    level: float
    slope: float
    part: float
    total: float
    log_chance: float


@compiled
def _solve(ranking: Bins, n_hits: int, score: float, cut: int, start: Solution) -> Solution:
    """Return the tilt towards genes before `cut`, by Newton's method from `start`.

    Among all independent draws with `n_hits` hits on average whose running sum is at `score` before `cut` on average,
    this is the one nearest to the random draw. Minus its distance (Kullback and Leibler's) is about the logarithm of
    the probability that a random set does so, minus infinity where none can.
    """
    edges, n_genes = ranking.edges, ranking.edges[-1]
    n_before = np.searchsorted(edges, cut)
    split = edges[n_before] != cut
    bounds = np.empty(edges.size + split, np.int64)
    bounds[:n_before] = edges[:n_before]
    bounds[n_before] = cut
    bounds[n_before + 1 :] = edges[n_before + (1 - split) :]
    widths = (bounds[1:] - bounds[:-1]).astype(np.float64)
    weights = (ranking.cumulative[bounds[1:]] - ranking.cumulative[bounds[:-1]]) / widths
    n_misses = n_genes - n_hits
    middle = np.log(n_hits / n_misses)
    level, slope, part, total, _ = start
    gain, logits = np.empty(widths.size), np.empty(widths.size)
    for _ in range(MAX_STEPS):
        gain[:] = -part * weights
        gain[:n_before] += weights[:n_before] + total / n_misses
        low, high = -np.inf, np.inf
        for _ in range(MAX_STEPS):  # the level that gives the right number of hits
            logits[:] = np.minimum(np.maximum(level + slope * gain, middle - FURTHEST_ODDS), middle + FURTHEST_ODDS)
            hits = widths / (1.0 + np.exp(-logits))
            surplus = hits.sum() - n_hits
            if abs(surplus) < 1e-6:
                break
            spread = (hits * (1.0 - hits / widths)).sum()
            low, high = (level, high) if surplus < 0 else (low, level)
            level -= min(max(surplus / max(spread, 1e-9), -LONGEST_STEP), LONGEST_STEP)
            if not low < level < high:
                level = 0.5 * (low + high)
        reached = total * (score + cut / n_misses - part)
        missing = reached - (hits * gain).sum()
        if abs(missing) < CLOSE / n_misses * total:
            # What a hit adds depends on the other hits: near the solution, on their mean numbers.
            told = (part, total)
            total = (hits * weights).sum()
            # The sum reaches the score if the weight before the cut is at least this part of all.
            part = score + (cut - hits[:n_before].sum()) / n_misses
            missing = part * total - (hits[:n_before] * weights[:n_before]).sum()
            settled = abs(part - told[0]) < 1e-3 and abs(total - told[1]) < 1e-2 * total
            if not settled or abs(missing) > CLOSE / n_misses * total:
                continue
            part, total = told
            distance = 0.0
            for k in range(widths.size):
                chance = hits[k] / widths[k]
                distance += widths[k] * (chance * (logits[k] - middle) - np.log1p(np.exp(logits[k])))
            return Solution(level, slope, part, total, -n_genes * np.log1p(n_hits / n_misses) - distance)
        spreads = hits * (1.0 - hits / widths)
        mean = (spreads * gain).sum() / spreads.sum()
        variance = (spreads * (gain - mean) ** 2).sum()
        step = missing / max(variance, 1e-300)
        for k in range(widths.size):
            change = step * (gain[k] - mean)
            # Bins with next to no hits may lose them at once, and gain until they have some.
            if hits[k] > 0.01 or change > 0:
                most = LONGEST_STEP + max(np.log(0.01 / max(hits[k], 1e-30)), 0.0)
                if abs(change) > most:
                    step *= most / abs(change)
        slope += step
    return Solution(level, slope, part, total, -np.inf)


@compiled
def _start(ranking: Bins, score: float, places: NDArray[np.int32], peak: int) -> Solution:
    """Return the random draw, with part and total as in the set at `places`, whose sum is at the score before `peak`."""
    n_genes, n_hits = ranking.edges[-1], places.size
    part = score + (peak - np.searchsorted(places, peak)) / (n_genes - n_hits)
    total = (ranking.cumulative[places + 1] - ranking.cumulative[places]).sum()
    return Solution(np.log(n_hits / (n_genes - n_hits)), 0.0, part, total, -np.inf)


@compiled
def crossing_places(
    ranking: Bins, score: float, places: NDArray[np.int32], lower: NDArray[np.float64]
) -> tuple[NDArray[np.int64], float]:
    """Return places before which the running sum may reach the score, and the log probability of the likeliest.

    That one stands in the middle. On either side are those whose log probability is lower by as much as `lower` says,
    in ascending order. `places` are those of a set with this score, ascending.
    """
    n_genes, n_hits = ranking.edges[-1], places.size
    best = np.int64(walk(np.diff(ranking.cumulative), places, True)[1]) + 1  # noqa: FBT003
    known = _start(ranking, score, places, best)
    at_best = _solve(ranking, n_hits, score, best, known)
    reach = n_genes // 4
    while reach > 0:
        moved = False
        for place in (best - reach, best + reach):
            if 0 < place < n_genes:
                found = _solve(ranking, n_hits, score, place, known)
                if found.log_chance > at_best.log_chance:
                    best, at_best, moved = place, found, True
        if not moved:
            reach //= 2
    crossings = np.full(2 * lower.size + 1, best)
    for k in range(lower.size):
        for side in (-1, 1):
            inside, outside = best, np.int64(0) if side < 0 else n_genes
            while abs(outside - inside) > 1:
                place = (inside + outside) // 2
                if _solve(ranking, n_hits, score, place, known).log_chance > at_best.log_chance - lower[k]:
                    inside = place
                else:
                    outside = place
            crossings[lower.size + side * (k + 1)] = inside
    return crossings, at_best.log_chance


@compiled
def tilted_odds(
    ranking: Bins, score: float, places: NDArray[np.int32], cut: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the first three fields of a `Tilt` towards genes before `cut`, with `strength` of the best slope."""
    weights = np.diff(ranking.cumulative)
    peak = np.int64(walk(weights, places, True)[1]) + 1  # noqa: FBT003
    n_hits = places.size
    level, slope, part, total, _ = _solve(ranking, n_hits, score, cut, _start(ranking, score, places, peak))
    n_genes = weights.size
    middle = np.log(n_hits / (n_genes - n_hits))
    level, slope = middle + strength * (level - middle), strength * slope
    before, log_missed = np.empty(n_genes), np.zeros(n_genes + 1)
    log_onwards = np.full(n_genes + 1, -np.inf)
    for place in range(n_genes):
        logit = level + slope * ((1.0 - part) * weights[place] + total / (n_genes - n_hits))
        before[place] = min(max(logit, middle - FURTHEST_ODDS), middle + FURTHEST_ODDS)
        log_missed[place + 1] = log_missed[place] - np.log1p(np.exp(before[place]))
    onwards = 0.0
    for place in range(n_genes - 1, -1, -1):
        onwards += np.exp(max(-slope * part * weights[place], -FURTHEST_ODDS))
        log_onwards[place] = np.log(onwards)
    return before, log_missed, log_onwards
