"""Small p-values by importance sampling: random sets are drawn where high scores come from, and weighted back."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism.enrich.kernel import TIE, Proposal, bin_tables, draw_sets
from scprism.enrich.null import NullSummary
from scprism.enrich.rankings import Rankings
from scprism.enrich.tilt import Goal, solve_tilt
from scprism.types import FloatArray

__all__ = ["bin_edges", "log_tail", "resolve"]

# A test with fewer random sets beyond it is looked at again: the relative error of a count of 10 is a third.
RESOLVED = 10
# A tail is not divided by the share of random sets of its sign where that rests on fewer.
FEW_OF_SIGN = 20
# An estimate with a larger relative error says less than the count.
WORST_ERROR = 1.0
LEAST = np.finfo(np.float64).tiny

# Bins grow by this factor from both ends of the ranking, where weights change fastest, up to this share of it.
BIN_GROWTH = 1.6
WIDEST_BIN = 1 / 24
# Sets drawn to move the proposal on, the share of them that it moves to, and the sets its old odds count for.
LEVEL_DRAWS = 300
ELITE_DRAWS = 30
PRIOR_HITS = 10.0
NEIGHBOURS = 5
HIGHEST_SHARE = 0.99
MAX_LEVELS = 30
# Levels after which the rest of the way is not felt for, but leapt by components made for the score itself.
PATIENCE = 6
EARLIER = 2
FURTHEST_AHEAD = 1.5
# Where among the best sets' peaks a tilted component has its own.
PEAK_QUANTILES = (0.0, 0.3, 0.6, 0.9)
FINAL_DRAWS = 400
MAX_DRAWS = 6_000
TARGET_ERROR = 0.2


def resolve(
    rankings: Rankings,
    scores: FloatArray,
    sizes: NDArray[np.int64],
    *,
    null: NullSummary,
    one_sided: bool,
    rng: np.random.Generator,
    threads: int,
) -> FloatArray:
    """Return p-values, (rankings, sets): counts of the shared null, or estimates of the tail where counts are small."""
    p_values = (null.n_extreme + 1.0) / (null.n_same + 1.0)
    again = (null.n_extreme < RESOLVED) & (null.n_same >= FEW_OF_SIGN) & ~rankings.flat[:, None]
    edges = bin_edges(rankings.genes.size)
    seeds = rng.integers(2**63, size=int(sizes.max()) + 1, dtype=np.uint64)

    def estimate(test: tuple[int, int]) -> float:
        row, k = test
        upper = scores[row, k] >= 0
        weights = rankings.weights[row] if upper else np.ascontiguousarray(rankings.weights[row, ::-1])
        log_p, error = log_tail(
            weights, abs(scores[row, k]), n_hits=int(sizes[k]), one_sided=one_sided, edges=edges, seed=seeds[sizes[k]]
        )
        share = (null.n_same[row, k] + 1) / (null.n_draws + 1)
        # Never 0: below that number floating point has no p-values.
        return float(np.clip(math.exp(log_p) / share, LEAST, 1.0) if error < WORST_ERROR else p_values[row, k])

    tests = [(int(row), int(k)) for row, k in np.argwhere(again)]
    with ThreadPoolExecutor(threads) as pool:
        p_values[again] = list(pool.map(estimate, tests))
    return p_values


def bin_edges(n_genes: int) -> NDArray[np.int64]:
    """Return the first place of each bin of neighbouring places, narrow at both ends, and `n_genes` at last."""
    widest = max(n_genes * WIDEST_BIN, 1.0)
    edges, width = [0], 1.0
    while edges[-1] + width < n_genes / 2:
        edges.append(edges[-1] + int(width))
        width = min(width * BIN_GROWTH, widest)
    mirrored = [n_genes - edge for edge in reversed(edges)]
    return np.unique(np.asarray(edges + mirrored, dtype=np.int64))


def log_tail(
    weights: NDArray[np.float64],
    score: float,
    *,
    n_hits: int,
    one_sided: bool,
    edges: NDArray[np.int64],
    seed: np.uint64,
) -> tuple[float, float]:
    """Return the log probability that a random set of `n_hits` genes scores at least `score`, and its relative error.

    The cross-entropy method (Rubinstein and Kroese 2004): each gene of a bin is a hit with the same odds; level by
    level these odds are set to those of the best tenth of the sets drawn, until `score` is among them. Fresh sets drawn
    with the last odds then count with their likelihood ratio to the uniform draw, until the standard error is a fifth
    of the estimate, which is unbiased however small the probability. Earlier odds keep a share of the draws, so that no
    kind of high-scoring set is left out for want of luck; odds computed for the score itself (`solve_tilt`) get one, as
    those that were drawn for are noisy.

    `weights` are in order of place, `score` is positive: turn a ranking round for a negative one. `seed` fixes all
    draws. The error is infinite when the score was not reached.
    """
    state = np.array([seed], dtype=np.uint64)
    widths = np.diff(edges)
    uniform = np.full(widths.size, math.log(n_hits / (weights.size - n_hits)))
    parts = [_component(uniform, widths, n_hits)]
    for step in range(MAX_LEVELS):
        proposal = _mixture(parts, edges, n_hits)
        scores, peaks, hits = draw_sets(proposal, weights, one_sided=one_sided, n_draws=LEVEL_DRAWS, state=state)
        level = min(score, float(np.sort(scores)[-ELITE_DRAWS]))
        best = scores >= level - TIE
        fitted = _fitted_odds(hits[best], _log_ratios(proposal, hits[best]), widths)
        odds = [fitted]
        if 0 < level < score:
            # Log odds grow about in proportion to the score they aim at, so the next level is met half-way.
            odds.insert(0, uniform + min(score / level, FURTHEST_AHEAD) * (fitted - uniform))
        if level >= score or step >= PATIENCE:
            cuts = np.unique(np.searchsorted(edges, np.quantile(peaks[best], PEAK_QUANTILES), side="right"))
            odds += _tilts(weights, score, n_hits=n_hits, edges=edges, cuts=cuts)
        parts = [_component(logits, widths, n_hits) for logits in odds] + parts[:EARLIER]
        if level >= score:
            return _estimate(_mixture(parts, edges, n_hits), weights, score, one_sided=one_sided, state=state)
    return -math.inf, math.inf


def _fitted_odds(
    hits: NDArray[np.int64], log_ratios: NDArray[np.float64], widths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the log odds of a hit in each bin among sets that count by their likelihood ratio.

    Bins with few hits lean on their neighbours: what a few draws say of one place is mostly noise.
    """
    counted = np.exp(log_ratios - log_ratios.max())
    n_sets = counted.sum() ** 2 / (counted**2).sum()
    n_hits = n_sets * (counted @ hits) / counted.sum()
    expected = n_sets * widths * (hits[0].sum() / widths.sum())
    window = np.ones(min(NEIGHBOURS, widths.size))
    around = np.convolve(n_hits + 1e-3 * expected, window, mode="same") / np.convolve(expected, window, mode="same")
    rate = (n_hits + PRIOR_HITS * around) / (expected + PRIOR_HITS)
    share = np.minimum(rate * expected / (n_sets * widths), HIGHEST_SHARE)
    odds: NDArray[np.float64] = np.log(share) - np.log1p(-share)
    return odds


def _tilts(
    weights: FloatArray, score: float, *, n_hits: int, edges: NDArray[np.int64], cuts: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Return the log odds of a hit in each bin for peaks just before the given bins, without those out of reach."""
    widths = np.diff(edges)
    goal = Goal(widths.astype(np.float64), np.add.reduceat(weights, edges[:-1]) / widths, n_hits, score)
    found = [solve_tilt(goal, int(cut)) for cut in cuts if 0 < cut < widths.size]
    return [odds for odds, reached in found if reached]


class _Component(NamedTuple):
    logits: NDArray[np.float64]
    constant: float
    counts: NDArray[np.float64]
    prefixes: NDArray[np.float64]


def _component(logits: NDArray[np.float64], widths: NDArray[np.int64], n_hits: int) -> _Component:
    counts, prefixes, constant = bin_tables(logits, widths, n_hits)
    return _Component(logits, constant, counts, prefixes)


def _mixture(parts: list[_Component], edges: NDArray[np.int64], n_hits: int) -> Proposal:
    n_genes = int(edges[-1])
    log_sets = math.lgamma(n_genes + 1) - math.lgamma(n_hits + 1) - math.lgamma(n_genes - n_hits + 1)
    return Proposal(
        edges=edges,
        logits=np.stack([part.logits for part in parts]),
        constants=np.array([part.constant for part in parts]) + log_sets,
        shares=np.full(len(parts), 1.0 / len(parts)),
        counts=np.stack([part.counts for part in parts]),
        prefixes=np.stack([part.prefixes for part in parts]),
    )


def _log_ratios(proposal: Proposal, hits: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log likelihood ratio of the uniform draw to the proposal, for sets given by their hits in each bin."""
    log_odds = hits @ proposal.logits.T + proposal.constants
    largest = log_odds.max(axis=1, keepdims=True, initial=-math.inf)
    ratios: NDArray[np.float64] = -np.log(np.exp(log_odds - largest) @ proposal.shares) - largest[:, 0]
    return ratios


def _estimate(
    proposal: Proposal, weights: NDArray[np.float64], score: float, *, one_sided: bool, state: NDArray[np.uint64]
) -> tuple[float, float]:
    log_ratios, n_draws, error = np.empty(0), 0, math.inf
    while n_draws < MAX_DRAWS and error > TARGET_ERROR:
        scores, _, hits = draw_sets(proposal, weights, one_sided=one_sided, n_draws=FINAL_DRAWS, state=state)
        log_ratios = np.concatenate([log_ratios, _log_ratios(proposal, hits[scores >= score - TIE])])
        n_draws += FINAL_DRAWS
        if log_ratios.size:
            ratios = np.exp(log_ratios - log_ratios.max())
            error = math.sqrt(max((ratios**2).sum() / ratios.sum() ** 2 - 1 / n_draws, 0.0))
    if log_ratios.size == 0:
        return -math.inf, math.inf
    log_mean = math.log(np.exp(log_ratios - log_ratios.max()).sum() / n_draws) + log_ratios.max()
    return min(float(log_mean), 0.0), error
