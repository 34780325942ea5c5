"""A rank test of gene sets that allows for the correlation of genes."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import norm, rankdata

from scprism.enrichment.kernels import SetMembers
from scprism.types import FloatArray, Matrix

__all__ = ["correlated_rank_test", "inter_gene_correlation"]

CELLS_AT_ONCE = 2048


def inter_gene_correlation(expression: Matrix, sets: SetMembers) -> NDArray[np.float64]:
    """Return the mean correlation between two genes of each set over cells, (sets,); 0 for a set of one gene.

    The variance of the sum of m standardised genes is m + m (m - 1) times their mean correlation, so one product of
    the expression with the sets gives all of them: no gene by gene matrix, and a chunk of cells at a time. Genes that
    do not vary count as uncorrelated.

    Parameters
    ----------
    expression
        Cells by genes, on the scale on which genes are compared, such as log1p; some thousand cells will do.
    sets
        Gene numbers are columns of `expression`.
    """
    n_cells, n_genes = expression.shape
    starts = range(0, n_cells, CELLS_AT_ONCE)
    chunks = (_dense(expression[start : start + CELLS_AT_ONCE]) for start in starts)
    sizes = np.diff(sets.starts)
    mean = np.asarray(expression.mean(axis=0), dtype=np.float64).ravel()
    squares, set_squares = np.zeros(n_genes), np.zeros(sizes.size)
    for chunk in chunks:
        squares += ((chunk - mean) ** 2).sum(axis=0)
    varying = squares > 0
    inverse = np.divide(1.0, np.sqrt(squares), out=np.zeros(n_genes), where=varying)
    indicator = sparse.csr_array(
        (np.ones(sets.genes.size), (sets.genes, np.repeat(np.arange(sizes.size), sizes))), shape=(n_genes, sizes.size)
    )
    for start in starts:
        standardised = (_dense(expression[start : start + CELLS_AT_ONCE]) - mean) * inverse
        set_squares += ((standardised @ indicator) ** 2).sum(axis=0)
    n_varying = indicator.T @ varying.astype(np.float64)
    pairs = sizes * (sizes - 1)
    means: NDArray[np.float64] = np.divide(set_squares - n_varying, pairs, out=np.zeros(sizes.size), where=pairs > 0)
    return means


def _dense(rows: Matrix) -> NDArray[np.float64]:
    return np.asarray(rows if isinstance(rows, np.ndarray) else rows.toarray(), dtype=np.float64)


def correlated_rank_test(
    scores: FloatArray, sets: SetMembers, correlation: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return z and two-sided p-values of a rank-sum test with a variance for correlated genes, each (rankings, sets).

    Wilcoxon's test compares a set's ranks with those of the other genes as if genes were independent. With mean
    correlation r among the set's genes the variance of the rank sum grows; for normal scores it is exact (Barry, Nobel
    and Wright 2008; Wu and Smyth 2012). The correlation should be that of the *scores* under the null; that of the
    expression over cells is what can be had, and equals it for scores linear in the cells' expression.

    Parameters
    ----------
    scores
        Rankings by genes; higher scores give a positive z.
    sets
        Gene numbers are columns of `scores`.
    correlation
        Mean correlation within each set, (sets,); a negative one counts as none.
    """
    n_genes = scores.shape[1]
    sizes = np.diff(sets.starts).astype(np.float64)
    others = n_genes - sizes
    r = np.clip(correlation, 0.0, 1.0)
    # Chances that two comparisons of a member with another gene agree, for normal scores: arcsin laws.
    angles = (
        np.arcsin(1.0)
        + np.arcsin(0.5) * (others - 1)
        + np.arcsin(r / 2) * (sizes - 1) * (others - 1)
        + np.arcsin((r + 1) / 2) * (sizes - 1)
    )
    variance = sizes * others * angles / (2 * np.pi)
    z = np.empty((scores.shape[0], sizes.size))
    for row, values in enumerate(scores):
        ranks = rankdata(values)
        sums = np.add.reduceat(ranks[sets.genes], sets.starts[:-1])
        _, ties = np.unique(values, return_counts=True)
        untied = 1.0 - float((ties.astype(float) ** 3 - ties).sum()) / (n_genes**3 - n_genes)
        centred = sums - sizes * (n_genes + 1) / 2
        shrunk = np.sign(centred) * np.maximum(np.abs(centred) - 0.5, 0.0)
        spread = np.sqrt(variance * untied)
        z[row] = np.divide(shrunk, spread, out=np.zeros_like(shrunk), where=spread > 0)
    return z, np.clip(2 * norm.sf(np.abs(z)), np.finfo(np.float64).tiny, 1.0)
