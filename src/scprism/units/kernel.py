"""Non-negative least squares for many sparse rows through one set of programs."""

import numpy as np

from scprism._compiled import compiled

__all__ = ["nonnegative_rows"]


@compiled
def nonnegative_rows(
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
    loadings: np.ndarray,
    gram: np.ndarray,
    tolerance: float,
    out: np.ndarray,
) -> int:
    """Write each row's non-negative coefficients and return how many rows did not converge.

    Minimises ½ zᵀ G z − (x L)ᵀ z over z ≥ 0 by exact steps in one coordinate after another (Franc, Hlaváč and Navara
    2005), from zero, until no coefficient changes by more than `tolerance` of the row's largest.

    Parameters
    ----------
    indptr, indices, data
        Rows of a CSR matrix (rows, columns).
    loadings
        L, float64 (columns, programs).
    gram
        G, float64 (programs, programs); a program whose diagonal is 0 keeps the coefficient 0.
    out
        float32 (rows, programs), overwritten.
    """
    n_programs = gram.shape[0]
    products = np.empty(n_programs)
    z = np.empty(n_programs)
    unfinished = 0
    for row in range(len(indptr) - 1):
        products[:] = 0.0
        z[:] = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            value = data[entry]
            gene = indices[entry]
            for j in range(n_programs):
                products[j] += value * loadings[gene, j]
        # products becomes the gradient's negative, kept up to date as z changes
        finished = False
        for _ in range(20000):
            largest, change = 0.0, 0.0
            for j in range(n_programs):
                if gram[j, j] <= 0.0:
                    continue
                step = max(products[j] / gram[j, j], -z[j])
                if step != 0.0:
                    z[j] += step
                    for i in range(n_programs):
                        products[i] -= gram[j, i] * step
                    change = max(change, abs(step))
                largest = max(largest, z[j])
            if change <= tolerance * largest:
                finished = True
                break
        unfinished += not finished
        for j in range(n_programs):
            out[row, j] = z[j]
    return unfinished
