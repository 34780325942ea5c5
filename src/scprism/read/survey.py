"""What values a matrix holds, in one pass over its rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scprism.read.chunks import row_chunks
from scprism.types import FloatArray, IntArray, Matrix

__all__ = ["Survey", "survey_values"]

BLOCK = 4096
SIMPLE_TYPES = tuple(np.dtype(name) for name in ("f4", "f8", "i4", "i8", "u4", "u8", "i2", "u2"))


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
    for data, indptr in _blocks_of_values(matrix):
        is_finite = np.isfinite(data)
        finite = data if is_finite.all() else data[is_finite]
        kinds += _count_kinds(data, finite, indptr)
        totals = _totals(data, is_finite, indptr)
        largest = max(largest, float(finite.max(initial=0)))
        smallest_total = min(smallest_total, totals.min(initial=np.inf))
        largest_total = max(largest_total, totals.max(initial=-np.inf))
    n_missing, n_infinite, n_negative, n_fractional, n_empty_cells = kinds.tolist()
    return Survey(
        n_missing=n_missing,
        n_infinite=n_infinite,
        n_negative=n_negative,
        n_fractional=n_fractional,
        largest=largest,
        n_empty_cells=n_empty_cells,
        smallest_total=float(smallest_total),
        largest_total=float(largest_total),
    )


def _blocks_of_values(matrix: Matrix) -> Iterator[tuple[FloatArray, IntArray]]:
    """Yield values other than 0, and starts of rows, of blocks of rows; those of a csr matrix in memory uncopied."""
    if isinstance(matrix, sparse.csr_matrix) and matrix.dtype in SIMPLE_TYPES and _is_plain(matrix):
        for start in range(0, matrix.shape[0], BLOCK):
            indptr = matrix.indptr[start : start + BLOCK + 1]
            yield matrix.data[indptr[0] : indptr[-1]], indptr - indptr[0]
        return
    for _, chunk in row_chunks(matrix, dtype=np.float64):
        yield chunk.data, chunk.indptr


def _is_plain(matrix: sparse.csr_matrix) -> bool:
    """Return whether each stored value is another place's, and none is 0."""
    return bool(matrix.has_canonical_format and np.all(matrix.data))


def _count_kinds(data: FloatArray, finite: FloatArray, indptr: IntArray) -> IntArray:
    n_missing = n_infinite = n_fractional = 0
    if len(finite) < len(data):
        n_missing, n_infinite = np.isnan(data).sum(), np.isinf(data).sum()
    if data.dtype.kind == "f":
        n_fractional = (finite != np.rint(finite)).sum()
    return np.array([n_missing, n_infinite, (finite < 0).sum(), n_fractional, (np.diff(indptr) == 0).sum()])


def _totals(data: FloatArray, is_finite: np.ndarray, indptr: IntArray) -> FloatArray:
    """Return the sum of finite values of each row that is not empty, in float64."""
    starts = indptr[:-1][np.diff(indptr) > 0]
    values = data if is_finite.all() else np.where(is_finite, data, 0)
    return np.add.reduceat(values, starts, dtype=np.float64) if len(starts) else np.zeros(0)
