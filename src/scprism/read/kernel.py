"""The loop that looks at every value of sparse cells."""

import numpy as np

from scprism._compiled import compiled
from scprism.types import FloatArray, IntArray

__all__ = ["count_kinds"]


@compiled
def count_kinds(data: FloatArray, indptr: IntArray, kinds: IntArray, extremes: FloatArray) -> None:
    """Add the values of a csr matrix to a survey.

    Parameters
    ----------
    data, indptr
        Values, and where rows start.
    kinds
        Numbers of values that are NaN, infinite, negative, fractional; of rows without a value other than 0. Raised.
    extremes
        The largest value, the smallest and the largest sum of a row that is not empty. Changed where exceeded.
    """
    for row in range(len(indptr) - 1):
        total = 0.0
        is_empty = True
        for i in range(indptr[row], indptr[row + 1]):
            value = np.float64(data[i])
            if value == 0:
                continue
            is_empty = False
            if np.isnan(value):
                kinds[0] += 1
            elif np.isinf(value):
                kinds[1] += 1
            else:
                kinds[2] += value < 0
                kinds[3] += value != np.rint(value)
                total += value
                extremes[0] = max(extremes[0], value)
        if is_empty:
            kinds[4] += 1
        else:
            extremes[1] = min(extremes[1], total)
            extremes[2] = max(extremes[2], total)
