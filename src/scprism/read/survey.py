"""What values a matrix holds, in one pass over its rows."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scprism.read.chunks import row_chunks
from scprism.types import FloatArray, Matrix

__all__ = ["Survey", "survey_values"]


@dataclass(frozen=True)
class Survey:
    """How many values of each kind a matrix holds, and their extremes.

    Attributes
    ----------
    n_missing, n_infinite
        Values that are NaN, and that are infinite. All else is said of the finite values.
    n_negative, n_fractional
        Values below zero, and values that are no whole numbers.
    largest
        The largest value.
    n_empty_cells
        Rows that hold nothing but zeros.
    smallest_total, largest_total
        The extremes of the other rows' sums; infinite (above and below) if there are no such rows.
    """

    n_missing: int
    n_infinite: int
    n_negative: int
    n_fractional: int
    largest: float
    n_empty_cells: int
    smallest_total: float
    largest_total: float


def survey_values(matrix: Matrix) -> Survey:
    """Return which values `matrix` (cells, genes) holds, in one pass."""
    kinds = np.zeros(5, dtype=np.int64)
    largest, smallest_total, largest_total = 0.0, np.inf, -np.inf
    for _, chunk in row_chunks(matrix, dtype=np.float64):
        kinds += _count_kinds(chunk)
        totals = _totals(chunk)
        largest = max(largest, _finite(chunk).max(initial=0.0))
        smallest_total = min(smallest_total, totals.min(initial=np.inf))
        largest_total = max(largest_total, totals.max(initial=-np.inf))
    n_missing, n_infinite, n_negative, n_fractional, n_empty_cells = kinds.tolist()
    return Survey(
        n_missing=n_missing,
        n_infinite=n_infinite,
        n_negative=n_negative,
        n_fractional=n_fractional,
        largest=float(largest),
        n_empty_cells=n_empty_cells,
        smallest_total=float(smallest_total),
        largest_total=float(largest_total),
    )


def _count_kinds(chunk: sparse.csr_matrix) -> np.ndarray:
    finite = _finite(chunk)
    kinds = (
        np.isnan(chunk.data),
        np.isinf(chunk.data),
        finite < 0,
        finite != np.rint(finite),
        np.diff(chunk.indptr) == 0,
    )
    return np.array([int(kind.sum()) for kind in kinds])


def _totals(chunk: sparse.csr_matrix) -> FloatArray:
    """Return the sum of finite values of each row that is not empty."""
    finite = np.where(np.isfinite(chunk.data), chunk.data, 0.0)
    starts = chunk.indptr[:-1][np.diff(chunk.indptr) > 0]
    return np.add.reduceat(finite, starts) if len(starts) else np.zeros(0)


def _finite(chunk: sparse.csr_matrix) -> FloatArray:
    values: FloatArray = chunk.data[np.isfinite(chunk.data)]
    return values
