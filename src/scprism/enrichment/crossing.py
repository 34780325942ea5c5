"""Compiled kernels that find where a random set's running sum may cross a score, and how to draw sets that do."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism._compiled import compiled

__all__ = ["Bins", "crossing_places", "tilted_odds"]

# Newton's method for a tilt; no step changes a log odds by more than the second number, and none gets further from the
# random draw's than the third.
MAX_STEPS = 60
LONGEST_STEP = 2.0
FURTHEST_ODDS = 25.0
# A solution misses the score by at most this part of what one gene outside the set takes from the running sum.
CLOSE = 0.01


class Bins(NamedTuple):
    """A ranking's weights by bins of neighbouring places.

    `cumulative` is the sum of the weights before each place, (genes + 1,); `edges` are the first places of the bins,
    and the number of genes at last.
    """

    cumulative: NDArray[np.float64]
    edges: NDArray[np.int64]


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
    """Return the random draw, with part and total as in the set at `places`, which reaches the score before `peak`."""
    n_genes, n_hits = ranking.edges[-1], places.size
    part = score + (peak - np.searchsorted(places, peak)) / (n_genes - n_hits)
    total = (ranking.cumulative[places + 1] - ranking.cumulative[places]).sum()
    return Solution(np.log(n_hits / (n_genes - n_hits)), 0.0, part, total, -np.inf)


@compiled
def crossing_places(
    ranking: Bins, score: float, places: NDArray[np.int32], peak: int, lower: NDArray[np.float64]
) -> tuple[NDArray[np.int64], float]:
    """Return places before which the running sum may reach the score, and the log probability of the likeliest.

    That one stands in the middle. On either side are those whose log probability is lower by as much as `lower` says,
    in ascending order. `places` are those of a set with this score, ascending, which reaches it before
    `peak`.
    """
    n_genes, n_hits = ranking.edges[-1], places.size
    best = peak
    known = _start(ranking, score, places, peak)
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
            inside, outside = best, 0 if side < 0 else n_genes
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
    ranking: Bins, score: float, places: NDArray[np.int32], peak: int, cut: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the first three fields of a `Tilt` towards genes before `cut`, with `strength` of the best slope."""
    weights = np.diff(ranking.cumulative)
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
