"""What enrichment scores would be by chance: random genes, or random genes of like expression, in place of a set's."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scprism.enrichment.kernels import SetMembers, set_scores
from scprism.enrichment.permutation_kernels import BLOCK, NullSums, add_draws, nested_places
from scprism.enrichment.rankings import Rankings
from scprism.types import FloatArray

__all__ = ["NullSummary", "matched_members", "observed_scores", "summarise_draws", "summarise_shared"]

# Draws held at once: their places take about 3 MB for 50 sets of Hallmark's sizes.
DRAWS_AT_ONCE = 128
# Genes of one expression bin, at least: fewer, and a random set would often be the set itself.
GENES_PER_BIN = 20
MAX_BINS = 20


@dataclass(frozen=True)
class NullSummary:
    """What a test needs of its null, each (rankings, sets).

    Attributes
    ----------
    n_same, sum_same
        Draws with a score of the set's sign, and the sum of their sizes |score|.
    n_extreme
        Those at least as extreme as the set.
    n_draws
        All draws.
    """

    n_same: NDArray[np.int64]
    sum_same: NDArray[np.float64]
    n_extreme: NDArray[np.int64]
    n_draws: int


def observed_scores(
    rankings: Rankings, sets: SetMembers, *, one_sided: bool, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return the enrichment score and the peak's place of every set in every ranking, each (rankings, sets)."""
    n = len(rankings.names)
    parts = [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]

    def score(part: slice) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        return set_scores(rankings.place_of[part], rankings.weights[part], sets, one_sided=one_sided)

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(score, parts))
    return np.concatenate([scores for scores, _ in results]), np.concatenate([peaks for _, peaks in results])


def summarise_draws(scores: FloatArray, draws: Iterable[FloatArray]) -> NullSummary:
    """Return the summary of any null, given as one table of scores (rankings, sets) a draw.

    Every null comes down to this: `matched_members` draws sets, and rankings of other models can be drawn as well.
    """
    n_same, n_extreme = np.zeros(scores.shape, np.int64), np.zeros(scores.shape, np.int64)
    sum_same, n_draws = np.zeros(scores.shape), 0
    for drawn in draws:
        same = (drawn >= 0) == (scores >= 0)
        n_same += same
        sum_same += np.where(same, np.abs(drawn), 0.0)
        n_extreme += same & (np.abs(drawn) >= np.abs(scores) - 1e-12)
        n_draws += 1
    return NullSummary(n_same, sum_same, n_extreme, n_draws)


def summarise_shared(
    rankings: Rankings,
    scores: FloatArray,
    sizes: NDArray[np.int64],
    *,
    n_permutations: int,
    one_sided: bool,
    rng: np.random.Generator,
    threads: int,
) -> NullSummary:
    """Return the summary of the null in which a set of size s is any s genes with equal chance.

    Such a set's places are the same random places whatever the ranking, so they are drawn once for all rankings, and
    once for all sizes (the first s of a shuffle). Each test sees independent draws of its own null, so its p-value is
    right; tests share the luck of the draws, so their p-values err together, by a Monte-Carlo error and no more.

    Needs twice (rankings × sum of distinct sizes × permutations) steps of two single-precision sums, on arrays
    that stay in cache; nothing of the null is kept but counts and sums.
    """
    by_size = np.argsort(sizes, kind="stable")
    distinct, size_of = np.unique(sizes[by_size], return_inverse=True)
    n_rankings, n_genes = rankings.weights.shape
    starts = range(0, n_rankings, BLOCK)
    weights = [_in_columns(rankings.weights[s : s + BLOCK]).astype(np.float32) for s in starts]
    limits = [_in_columns(scores[s : s + BLOCK, by_size]) for s in starts]
    null_sums = [_no_sums(distinct.size, sizes.size) for _ in starts]
    order = np.arange(n_genes, dtype=np.int32)
    with ThreadPoolExecutor(threads) as pool:
        for done in range(0, n_permutations, DRAWS_AT_ONCE):
            n_draws = min(DRAWS_AT_ONCE, n_permutations - done)
            swaps = rng.integers(np.arange(distinct[-1]), n_genes, size=(n_draws, distinct[-1]))
            places = nested_places(swaps, distinct, order)

            def add(block: int, places: NDArray[np.int32] = places) -> None:
                part, kept = limits[block], null_sums[block]
                add_draws(
                    weights[block], places, distinct, scores=part, size_of=size_of, one_sided=one_sided, kept=kept
                )

            list(pool.map(add, range(len(starts))))
    return _summary(null_sums, scores, size_of, by_size, n_permutations)


def _in_columns(rows: FloatArray) -> NDArray[np.float64]:
    """Return up to `BLOCK` rows as columns, the rest filled with ones."""
    columns = np.ones((rows.shape[1], BLOCK))
    columns[:, : rows.shape[0]] = rows.T
    return columns


def _no_sums(n_sizes: int, n_sets: int) -> NullSums:
    sums = np.zeros((2, n_sizes, BLOCK))
    return NullSums(np.zeros((n_sizes, BLOCK), np.int64), sums[0], sums[1], np.zeros((n_sets, BLOCK), np.int64))


def _summary(
    null_sums: list[NullSums], scores: FloatArray, size_of: NDArray[np.int64], by_size: NDArray[np.int64], n_draws: int
) -> NullSummary:
    n_rankings = scores.shape[0]

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        table = np.empty((n_rankings, by_size.size), parts[0].dtype)
        table[:, by_size] = np.concatenate(parts, axis=1).T[:n_rankings]
        return table

    n_positive = joined([t.n_positive[size_of] for t in null_sums])
    upper = scores >= 0
    return NullSummary(
        n_same=np.where(upper, n_positive, n_draws - n_positive),
        sum_same=np.where(
            upper,
            joined([t.sum_positive[size_of] for t in null_sums]),
            -joined([t.sum_negative[size_of] for t in null_sums]),
        ),
        n_extreme=joined([t.n_extreme for t in null_sums]),
        n_draws=n_draws,
    )


def matched_members(
    sets: SetMembers, expression: FloatArray, *, n_permutations: int, rng: np.random.Generator
) -> Iterator[SetMembers]:
    """Yield random sets that have as many genes as each set in every bin of mean expression.

    `expression` is by gene number; bins hold equal numbers of genes, at least `GENES_PER_BIN`.
    """
    n_bins = max(1, min(MAX_BINS, expression.size // GENES_PER_BIN))
    rank = np.argsort(np.argsort(expression, kind="stable"), kind="stable")
    bin_of = rank * n_bins // expression.size
    in_bin = [np.flatnonzero(bin_of == b).astype(np.int32) for b in range(n_bins)]
    counts = [
        np.bincount(bin_of[sets.genes[start:stop]], minlength=n_bins)
        for start, stop in zip(sets.starts[:-1], sets.starts[1:], strict=True)
    ]
    for _ in range(n_permutations):
        # One shuffle of each bin serves all sets, as in the shared null.
        shuffled = [rng.permutation(genes) for genes in in_bin]
        drawn = [shuffled[b][:n] for count in counts for b, n in enumerate(count)]
        yield SetMembers(np.concatenate(drawn), sets.starts)
