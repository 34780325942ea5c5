"""One step of several non-negative factorisations that share their cells."""

import numpy as np

from scprism._compiled import compiled_sums

__all__ = ["coordinate_pass"]


@compiled_sums
def coordinate_pass(
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
    given: np.ndarray,
    gram: np.ndarray,
    ends: np.ndarray,
    sought: np.ndarray,
) -> None:
    """Set each coefficient of `sought` in turn to its non-negative minimiser, the others held.

    Parameters
    ----------
    indptr, indices, data
        Rows of a CSR matrix (rows, columns).
    given
        float32 (columns, programs).
    gram
        Its inner products, float32 (programs, programs).
    ends
        Where the programs of each factorisation begin, and where the last ends, int (factorisations + 1,).
    sought
        float32 (rows, programs), overwritten.
    """
    products = np.empty(given.shape[1], dtype=np.float32)
    for row in range(len(indptr) - 1):
        products[:] = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            value = data[entry]
            loadings = given[indices[entry]]
            for j in range(len(products)):
                products[j] += value * loadings[j]
        for block in range(len(ends) - 1):
            start, stop = ends[block], ends[block + 1]
            own, system = sought[row, start:stop], gram[start:stop, start:stop]  # views: the loops count from 0
            slopes = products[start:stop]  # the error's, downwards; kept up to date as coefficients change
            for j in range(len(own)):
                if own[j] > 0.0:
                    for i in range(len(own)):
                        slopes[i] -= own[j] * system[j, i]
            for j in range(len(own)):
                if system[j, j] > 0.0:
                    step = max(slopes[j] / system[j, j], -own[j])
                    if step != 0.0:
                        own[j] += step
                        for i in range(len(own)):
                            slopes[i] -= step * system[j, i]
