"""Cells split by molecule, and predictions scored on the molecules that they have not seen: molecular cross-validation.

Each molecule goes to one of two parts by chance. If a cell's counts are Poisson, the parts are independent given the
cell's expression; a method that denoises the first can be scored on the second without knowing the truth.
"""

import numpy as np
from scipy import sparse
from scipy.special import xlogy

from scprism._random import random_generator
from scprism.errors import InputError
from scprism.types import FloatArray, RNGLike

__all__ = ["deviance", "thin_counts"]


def thin_counts(
    counts: sparse.csr_matrix, *, share: float = 0.5, rng: RNGLike = None
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return the counts split by molecule: each goes to the first matrix with probability `share`, else to the second.

    Parameters
    ----------
    counts
        Raw counts, (cells, genes).
    share
        Half for molecular cross-validation; 0.9 holds a tenth of the molecules out.

    Raises
    ------
    InputError
        If `share` is not between 0 and 1, or a value is not a count.

    References
    ----------
    Batson, Royer and Webber, bioRxiv 786269 (2019).
    """
    if not 0 < share < 1:
        msg = f"`share` must lie between 0 and 1, got {share!r}."
        raise InputError(msg)
    if (counts.data < 0).any() or (counts.data != np.rint(counts.data)).any():
        msg = "Only raw counts can be thinned, but some values are negative or no whole numbers. Give the raw counts."
        raise InputError(msg)
    generator = random_generator(rng)
    n_first = generator.binomial(counts.data.astype(np.int64), share)
    halves = []
    for part in (n_first, counts.data.astype(np.int64) - n_first):
        half = sparse.csr_matrix(
            (part.astype(np.float32), counts.indices.copy(), counts.indptr.copy()), shape=counts.shape
        )
        half.eliminate_zeros()
        halves.append(half)
    return halves[0], halves[1]


def deviance(counts: sparse.csr_matrix, proportions: FloatArray) -> FloatArray:
    """Return each cell's multinomial deviance, 2 Σ y log(y / (n p)) / n, in nats a molecule; NaN without molecules.

    With the cell's total n as its expected total this is the Poisson deviance too, over n. It is least, on average, for
    the true proportions; infinite where a molecule was seen that `proportions` rules out.

    Parameters
    ----------
    counts
        Molecules that the method has not seen, (cells, genes).
    proportions
        Expected share of each gene in a cell's molecules, (cells, genes); rows add up to 1.
    """
    total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    y = counts.data.astype(np.float64)
    expected = total[rows] * np.asarray(proportions)[rows, counts.indices]
    with np.errstate(divide="ignore"):
        terms = xlogy(y, y) - xlogy(y, expected)
    sums = np.bincount(rows, weights=terms, minlength=counts.shape[0])
    by_cell: FloatArray = np.divide(2 * sums, total, out=np.full(len(total), np.nan), where=total > 0)
    return by_cell
