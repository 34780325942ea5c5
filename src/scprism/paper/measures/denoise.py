"""How good denoised expression is, by molecules that the method has not seen (`scprism.denoise.thinning`)."""

import numpy as np
from scipy import sparse

from scprism.denoise.thinning import deviance, thin_counts
from scprism.types import FloatArray

__all__ = ["deviance", "log_error", "mixed", "thin_counts"]


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
