"""Cells as other platforms might have measured them, and the directions in which that moves them.

Everything random is drawn by the gene's name and by the cell, never by where they stand in a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.special import pdtr, pdtrik

from scprism._compiled import compiled
from scprism.prepare.draws import gene_keys, normal_of_genes, uniform_draws
from scprism.query.view import Query
from scprism.types import FloatArray, IntArray

__all__ = [
    "THINNED",
    "UNSEEN_PLATFORMS",
    "Platform",
    "by_platform",
    "copied_rows",
    "measured_by",
    "moved_by_platforms",
    "platform_covariance",
    "rank_in_label",
]


@dataclass(frozen=True)
class Platform:
    """A platform that does not exist.

    Attributes
    ----------
    name
        Its draws of efficiencies and counts belong to it.
    spread
        Standard deviation of the logarithm of the efficiency with which it captures each gene.
    depth
        Counts relative to those of the cells.
    """

    name: str
    spread: float
    depth: float


PLATFORMS = tuple(
    Platform(f"platform {i}", spread, depth)
    for i, (spread, depth) in enumerate(zip((0.5, 1.0, 1.5, 1.0) * 2, (1.0, 0.5, 1.0, 0.2) * 2, strict=True))
)
"""Eight of them, from another laboratory's run of the same protocol to another protocol at a fifth of the depth."""
UNSEEN_PLATFORMS = tuple(
    Platform(f"unseen {i}", spread, depth) for i, (spread, depth) in enumerate(((0.5, 1.0), (1.0, 0.5), (1.5, 1.0)))
)
"""Three that a rule was not learned on, the farthest last: confidence and novelty are learned on these."""
THINNED = tuple(Platform(f"depth {depth}", 0.0, depth) for depth in (0.5, 0.2))
"""The same platform, less deeply sequenced."""

COPIED_CELLS = 200
"""Cells that what platforms do is learned on."""
MOST = 1000
"""Counts that a mean below `LARGE_MEAN` never reaches."""
LARGE_MEAN = 30.0
"""Above, a Poisson quantile is found by its inverse function, below by adding up probabilities."""


def measured_by(
    platform: Platform, counts: sparse.csr_matrix, genes: Sequence[str], *, keys: IntArray
) -> sparse.csr_matrix:
    """Return counts of the same cells as a platform might have measured them, csr float32 (cells, genes).

    A gene's counts are Poisson around the cell's counts times the gene's efficiency.

    Parameters
    ----------
    counts
        Raw counts, csr (cells, genes).
    genes
        Names of the genes.
    keys
        A number of each cell (`scprism.prepare.draws.cell_keys`), uint64 (cells,).
    """
    efficiency = platform.depth * np.exp(platform.spread * normal_of_genes(genes, draw=platform.name))
    of_genes = gene_keys(genes, draw=f"{platform.name} counts")
    chance = uniform_draws(np.repeat(keys, np.diff(counts.indptr)), of_genes[counts.indices])
    drawn = _poisson(chance, counts.data * efficiency[counts.indices])
    copy = sparse.csr_matrix((drawn, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)
    copy.eliminate_zeros()
    return copy


def by_platform(query: Query, platform: Platform, *, keys: IntArray) -> Query:
    """Return a query as a platform might have measured it.

    Parameters
    ----------
    query
        Cells in a recipe's genes, one column more for the rest of their library
        (`scprism.query.model_genes.in_model_genes`). The rest changes as much as the genes do together.
    platform
        The platform.
    keys
        A number of each cell, uint64 (cells,).
    """
    matrix = sparse.csr_matrix(query.matrix)
    counts, others = matrix[:, :-1], np.asarray(matrix[:, [-1]].todense(), dtype=np.float64)
    copy = measured_by(platform, counts, query.recipe.genes, keys=keys)
    before, after = (np.asarray(m.sum(axis=1), dtype=np.float64) for m in (counts, copy))
    rest = others * after / np.maximum(before, 1)
    whole = sparse.hstack([copy, sparse.csr_matrix(rest)], format="csr", dtype=np.float32)
    return replace(query, matrix=whole)


def copied_rows(codes: IntArray, keys: IntArray) -> IntArray:
    """Return the row numbers of the cells that what platforms do is learned on, in order, of each label alike.

    Parameters
    ----------
    codes
        Label numbers, (cells,).
    keys
        A number of each cell, uint64 (cells,); of a label's cells those with the lowest are taken.
    """
    return np.sort(np.argsort(rank_in_label(codes, keys), kind="stable")[:COPIED_CELLS])


def rank_in_label(codes: IntArray, keys: IntArray) -> FloatArray:
    """Return how many cells of its own label have a lower key than each cell, (cells,); below 1 apart by the key."""
    order = np.lexsort((keys, codes))
    start = np.searchsorted(codes[order], codes[order])
    rank = np.empty(len(codes))
    rank[order] = np.arange(len(codes)) - start
    by_key = np.argsort(np.argsort(keys, kind="stable"))
    return rank + by_key / (len(codes) + 1)


def moved_by_platforms(query: Query, *, keys: IntArray) -> list[sparse.csr_matrix]:
    """Return the normalised expression of cells by each of eight platforms, each csr (cells, genes).

    There are none of values that are no counts. Arguments as in `by_platform`.
    """
    if query.recipe.normalise == "none":
        return []
    copies = (by_platform(query, platform, keys=keys) for platform in PLATFORMS)
    return [sparse.vstack([chunk.inputs for chunk in copy.chunks()], format="csr") for copy in copies]


def platform_covariance(points: FloatArray, copies: Sequence[FloatArray]) -> FloatArray:
    """Return the mean outer product of what platforms do to cells, float64 (dimensions, dimensions).

    Added to the covariance within labels before whitening, it makes the directions count little in which platforms
    differ (nuisance attribute projection).

    Parameters
    ----------
    points
        Cells, scaled as they are compared, (cells, dimensions).
    copies
        The same cells as each platform measured them, each (cells, dimensions).

    References
    ----------
    Solomonoff, Campbell and Boardman, ICASSP (2005), 629–632.
    """
    total = np.zeros((points.shape[1], points.shape[1]))
    for copy in copies:
        shift = copy.astype(np.float64) - points
        total += shift.T @ shift
    return total / max(len(copies) * len(points), 1)


def _poisson(chance: FloatArray, mean: FloatArray) -> FloatArray:
    """Return the Poisson quantiles at `chance`, float32: the least count whose cumulative probability reaches it."""
    mean = mean.astype(np.float64)
    counts = np.zeros(len(mean))
    large = mean > LARGE_MEAN
    guess = np.ceil(pdtrik(chance[large], mean[large]))
    guess -= (guess > 0) & (pdtr(guess - 1, mean[large]) >= chance[large])  # the inverse is continuous and rounded
    counts[large] = guess
    small = ~large
    counts[small] = _by_adding_up(chance[small], mean[small])
    return counts.astype(np.float32)


@compiled
def _by_adding_up(chance: FloatArray, mean: FloatArray) -> FloatArray:
    counts = np.zeros(len(mean))
    for i in range(len(mean)):
        term = np.exp(-mean[i])
        total, count = term, 0
        while chance[i] > total and count < MOST:
            count += 1
            term = term * mean[i] / count
            total += term
        counts[i] = count
    return counts
