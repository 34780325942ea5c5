"""Compiled kernels that find where a random set's running sum may cross a score, and how to draw sets that do."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism._compiled import compiled

__all__ = ["Bins", "bins_to_draw", "crossing_places", "tilted_odds"]

# Newton's method for a tilt; no step changes a log odds by more than the second number, and none gets further from the
# random draw's than the third.
MAX_STEPS = 60
LONGEST_STEP = 2.0
FURTHEST_ODDS = 25.0
# A solution misses the score by at most this part of what one gene outside the set takes from the running sum.
CLOSE = 0.01
# The more uneven the odds of the genes in a bin, the more draws are needed for the same error.
UNEVEN = 0.005


class Bins(NamedTuple):
    """A ranking's weights by bins of neighbouring places.

    `cumulative` is the sum of the weights before each place, (genes + 1,); `edges` are the first places of the bins,
    and the number of genes at last.
    """

    cumulative: NDArray[np.float64]
    edges: NDArray[np.int64]


class Solution(NamedTuple):
    """An exponential tilt: the log odds of a hit are level + slope × gain.

    A gene's gain is (1 - part) × weight + total / misses before the place of crossing, and -part × weight behind it.
    `log_chance` is about the log probability that a random set reaches the score there.
    """

    level: float
    slope: float
    part: float
    total: float
    log_chance: float


@compiled
def solve(ranking: Bins, n_hits: int, score: float, cut: int, start: Solution) -> Solution:
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
            if abs(surplus) < 1e-4:
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
def start_of(ranking: Bins, score: float, places: NDArray[np.int32], peak: int) -> Solution:
    """Return the random draw, with part and total as in the set at `places`, which reaches the score before `peak`."""
    n_genes, n_hits = ranking.edges[-1], places.size
    part = score + (peak - np.searchsorted(places, peak)) / (n_genes - n_hits)
    total = (ranking.cumulative[places + 1] - ranking.cumulative[places]).sum()
    return Solution(np.log(n_hits / (n_genes - n_hits)), 0.0, part, total, -np.inf)


@compiled
def solve_near(ranking: Bins, n_hits: int, score: float, cut: int, starts: tuple[Solution, Solution]) -> Solution:
    """Return the tilt towards genes before `cut`, from the first start or, where that leads nowhere, the second."""
    found = solve(ranking, n_hits, score, cut, starts[0])
    return found if np.isfinite(found.log_chance) else solve(ranking, n_hits, score, cut, starts[1])


@compiled
def crossing_places(
    ranking: Bins, score: float, places: NDArray[np.int32], peak: int, lower: float
) -> tuple[NDArray[np.int64], tuple[Solution, Solution, Solution, Solution, Solution]]:
    """Return places before which the running sum may reach the score, (5,) ascending, and the tilt to each.

    The likeliest stands in the middle. Outermost are those whose log probability is lower by about `lower`, or the last
    that can be, and between are those half way. `places` are those of a set with this score, ascending, which reaches
    it before `peak`.
    """
    n_genes, n_hits = ranking.edges[-1], places.size
    known = start_of(ranking, score, places, peak)
    # Where all hits stand before the place, and the score is only just reached.
    last = min(n_genes - 1, n_hits + int((1.0 - score) * (n_genes - n_hits)) + 1)
    best = peak
    at_best = solve(ranking, n_hits, score, best, known)
    reach = max(min(best, n_genes - best) // 2, 1)
    while reach > best // 16:
        moved = False
        for place in (best - reach, best + reach):
            if 0 < place <= last:
                found = solve_near(ranking, n_hits, score, place, (at_best, known))
                if found.log_chance > at_best.log_chance:
                    best, at_best, moved = place, found, True
                    break
        if not moved:
            reach //= 2
    crossings = np.full(5, best)
    outermost = (at_best, at_best)
    for side in (-1, 1):
        inside, outside = best, 0 if side < 0 else last + 1
        near = at_best
        while abs(outside - inside) > 1 + abs(inside - best) // 4:
            place = (inside + outside) // 2
            found = solve_near(ranking, n_hits, score, place, (near, known))
            if found.log_chance > at_best.log_chance - lower:
                inside, near = place, found
            else:
                outside = place
        crossings[2 + 2 * side], crossings[2 + side] = inside, (inside + best) // 2
        outermost = (near, at_best) if side < 0 else (outermost[0], near)
    first = solve_near(ranking, n_hits, score, crossings[1], (at_best, known))
    third = solve_near(ranking, n_hits, score, crossings[3], (at_best, known))
    return crossings, (outermost[0], first, at_best, third, outermost[1])


@compiled
def bins_to_draw(
    weights: NDArray[np.float64], turns: NDArray[np.int64], n_hits: int, solution: Solution
) -> NDArray[np.int64]:
    """Return the first places of bins whose genes have nearly the same odds, and the number of genes at last.

    A bin begins at each of the places `turns`, ascending. In a bin the variance of the tilt's log odds, summed over
    its expected hits, is at most `UNEVEN`.
    """
    n_genes = weights.size
    edges = np.empty(n_genes + 1, np.int64)
    n_edges, step, number, mean, squares = 0, 0, 0, 0.0, 0.0
    upper, shift = solution.slope * (1.0 - solution.part), solution.slope * solution.total / (n_genes - n_hits)
    lower = -solution.slope * solution.part
    for place in range(n_genes):
        is_before = place < turns[-1]
        logit = solution.level + (upper * weights[place] + shift if is_before else lower * weights[place])
        number += 1
        off = logit - mean
        mean += off / number
        squares += off * (logit - mean)
        at_turn = step < turns.size and turns[step] == place
        odds = np.exp(logit)
        if at_turn or place == 0 or squares * odds > UNEVEN * (1.0 + odds) ** 2:
            edges[n_edges] = place
            n_edges += 1
            number, mean, squares = 1, logit, 0.0
        step += at_turn
    edges[n_edges] = n_genes
    return edges[: n_edges + 1].copy()


@compiled
def tilted_odds(
    ranking: Bins, n_hits: int, solution: Solution, cut: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the log odds of the genes in each bin if they stand before a turn, and behind it, each (bins,).

    `solution` is that of `cut`; `strength` is how much of its slope to take. The level is such that the right number of
    hits is drawn on average.
    """
    edges = ranking.edges
    widths = (edges[1:] - edges[:-1]).astype(np.float64)
    weights = (ranking.cumulative[edges[1:]] - ranking.cumulative[edges[:-1]]) / widths
    n_genes = edges[-1]
    middle = np.log(n_hits / (n_genes - n_hits))
    slope = strength * solution.slope
    before = slope * ((1.0 - solution.part) * weights + solution.total / (n_genes - n_hits))
    behind = -slope * solution.part * weights
    n_before = np.searchsorted(edges, cut)
    gain = np.concatenate((before[:n_before], behind[n_before:]))
    level, low, high = middle + strength * (solution.level - middle), -np.inf, np.inf
    for _ in range(MAX_STEPS):
        logits = np.minimum(np.maximum(level + gain, middle - FURTHEST_ODDS), middle + FURTHEST_ODDS)
        hits = widths / (1.0 + np.exp(-logits))
        surplus = hits.sum() - n_hits
        if abs(surplus) < 1e-2:
            break
        spread = (hits * (1.0 - hits / widths)).sum()
        low, high = (level, high) if surplus < 0 else (low, level)
        level -= min(max(surplus / max(spread, 1e-9), -LONGEST_STEP), LONGEST_STEP)
        if not low < level < high:
            level = 0.5 * (low + high)
    before = np.minimum(np.maximum(level + before, middle - FURTHEST_ODDS), middle + FURTHEST_ODDS)
    behind = np.minimum(np.maximum(level + behind, middle - FURTHEST_ODDS), middle + FURTHEST_ODDS)
    return before, behind
