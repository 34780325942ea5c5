"""How good denoised expression is, by molecules that the method has not seen: molecular cross-validation.

Each molecule goes to one of two halves by chance. If a cell's counts are Poisson, the halves are independent given the
cell's expression; a method that denoises the first can be scored on the second without knowing the truth.
"""

import numpy as np
from scipy import sparse
from scipy.special import xlogy

from scprism.errors import InputError
from scprism.types import FloatArray, RNGLike

__all__ = ["deviance", "log_error", "matched_to_totals", "mixed", "shrunk_to_counts", "thin_counts"]


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
    generator = np.random.default_rng(rng)
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


def log_error(counts: sparse.csr_matrix, proportions: FloatArray, *, target_sum: float = 1e6) -> FloatArray:
    """Return each cell's mean squared difference of log1p counts per `target_sum`, (cells,); NaN without molecules.

    The logarithm of a mean is no mean of logarithms: the true proportions are not what minimises this. It is what
    others report; `deviance` is the measure to choose by.
    """
    total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    errors = np.full(len(total), np.nan)
    for i in np.flatnonzero(total > 0):
        seen = np.zeros(counts.shape[1])
        span = slice(counts.indptr[i], counts.indptr[i + 1])
        seen[counts.indices[span]] = counts.data[span] / total[i]
        errors[i] = np.mean((np.log1p(target_sum * seen) - np.log1p(target_sum * proportions[i])) ** 2)
    return errors


def mixed(proportions: FloatArray, background: FloatArray, *, share: float) -> FloatArray:
    """Return proportions with a share of a `background` (genes,) mixed in, which rules no gene out that it holds."""
    result: FloatArray = (1 - share) * proportions + share * background
    return result


def shrunk_to_counts(proportions: FloatArray, counts: sparse.csr_matrix, *, strength: float) -> FloatArray:
    """Return the mean of a Dirichlet posterior: `proportions` count as `strength` molecules beside the cell's own.

    A cell of n molecules keeps strength / (strength + n) of what a model says of it, the rest are its own counts.

    Parameters
    ----------
    proportions
        Of a model, (cells, genes); rows add up to 1.
    counts
        The cell's own molecules, which the model may have seen, (cells, genes).
    """
    total = np.asarray(counts.sum(axis=1), dtype=np.float64)
    result: FloatArray = (strength * proportions + counts.toarray()) / (strength + total.reshape(-1, 1))
    return result


def matched_to_totals(proportions: FloatArray, counts: sparse.csr_matrix, *, prior: float = 10.0) -> FloatArray:
    """Return proportions with each gene scaled by what the data set holds of it over what is expected.

    A platform or laboratory sees some genes more than others, in all cells alike; one factor a gene mends this.

    Parameters
    ----------
    proportions
        Of a model, (cells, genes); rows add up to 1.
    counts
        Molecules of the same cells.
    prior
        Molecules a gene that speak for a factor of 1.
    """
    total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    seen = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
    scaled = proportions * ((seen + prior) / (total @ proportions + prior))
    result: FloatArray = scaled / scaled.sum(axis=1, keepdims=True)
    return result
