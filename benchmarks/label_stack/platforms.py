"""Reference cells as other platforms might have measured them, and the directions in which that moves them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import pdtr, pdtrik

from label_stack.draws import cell_keys, gene_keys, normal_of_genes, uniform_draws
from scprism.types import FloatArray

__all__ = ["PLATFORMS", "Platform", "measured_by", "platform_covariance"]


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
"""Eight of them, from another lab's run of the same protocol to another protocol at a fifth of the depth."""


MOST = 1000
"""Counts that a mean below `LARGE_MEAN` never reaches."""
LARGE_MEAN = 30.0
"""Above, a Poisson quantile is found by its inverse function, below by adding up probabilities."""


def measured_by(platform: Platform, counts: sparse.csr_matrix, genes: Sequence[str]) -> sparse.csr_matrix:
    """Return counts of the same cells as a platform might have measured them, csr float32 (cells, genes).

    A gene's counts are Poisson around the cell's counts times the gene's efficiency. Every draw belongs to the name of
    a gene, and to a cell's counts, so that other cells and the order of genes and cells change nothing.

    Parameters
    ----------
    counts
        Raw counts, csr (cells, genes).
    genes
        Names of the genes.
    """
    efficiency = platform.depth * np.exp(platform.spread * normal_of_genes(genes, draw=platform.name))
    cells = cell_keys(counts, gene_keys(genes))
    of_genes = gene_keys(genes, draw=f"{platform.name} counts")
    chance = uniform_draws(np.repeat(cells, np.diff(counts.indptr)), of_genes[counts.indices])
    drawn = _poisson(chance, counts.data * efficiency[counts.indices])
    copy = sparse.csr_matrix((drawn, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)
    copy.eliminate_zeros()
    return copy


def platform_covariance(latent: FloatArray, copies: Sequence[FloatArray]) -> FloatArray:
    """Return the mean outer product of what platforms do to cells, float64 (units, units).

    Added to the covariance within labels before whitening, it makes the directions count little in which platforms
    differ (nuisance attribute projection).

    Parameters
    ----------
    latent
        Cells, scaled as they are compared, (cells, units).
    copies
        The same cells as each platform measured them, each (cells, units).

    References
    ----------
    Solomonoff, Campbell and Boardman, ICASSP (2005), 629–632.
    """
    n_units = latent.shape[1]
    total = np.zeros((n_units, n_units))
    for copy in copies:
        shift = copy.astype(np.float64) - latent
        total += shift.T @ shift
    return total / max(len(copies) * len(latent), 1)


def _poisson(chance: FloatArray, mean: FloatArray) -> FloatArray:
    """Return the Poisson quantiles at `chance`, float32: the least count whose cumulative probability reaches it."""
    mean = mean.astype(np.float64)
    counts = np.zeros(len(mean))
    large = mean > LARGE_MEAN
    guess = np.ceil(pdtrik(chance[large], mean[large]))
    guess -= (guess > 0) & (pdtr(guess - 1, mean[large]) >= chance[large])  # the inverse is continuous and rounded
    counts[large] = guess
    left = np.flatnonzero(~large)
    term = np.exp(-mean[left])
    total, count = term.copy(), 0
    while len(left) and count < MOST:
        above = chance[left] > total
        counts[left[~above]] = count
        left, term, total = left[above], term[above], total[above]
        count += 1
        term = term * mean[left] / count
        total = total + term
    return counts.astype(np.float32)
