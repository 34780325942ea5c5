"""What values a matrix holds, in one pass over its rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scprism.read.chunks import row_chunks
from scprism.read.kernel import count_kinds
from scprism.types import FloatArray, IntArray, Matrix

__all__ = ["Survey", "survey_values"]

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
    extremes = np.array([0.0, np.inf, -np.inf])
    for data, indptr in _rows_of_values(matrix):
        count_kinds(data, indptr, kinds, extremes)
    n_missing, n_infinite, n_negative, n_fractional, n_empty_cells = kinds.tolist()
    largest, smallest_total, largest_total = extremes.tolist()
    return Survey(
        n_missing=n_missing,
        n_infinite=n_infinite,
        n_negative=n_negative,
        n_fractional=n_fractional,
        largest=largest,
        n_empty_cells=n_empty_cells,
        smallest_total=smallest_total,
        largest_total=largest_total,
    )


def _rows_of_values(matrix: Matrix) -> Iterator[tuple[FloatArray, IntArray]]:
    """Yield values and starts of rows; those of a canonical csr matrix in memory as they are, without a copy."""
    is_csr = isinstance(matrix, sparse.csr_matrix | sparse.csr_array)
    if is_csr and matrix.dtype in SIMPLE_TYPES and matrix.has_canonical_format:
        yield matrix.data, matrix.indptr
        return
    for _, chunk in row_chunks(matrix, dtype=np.float64):
        yield chunk.data, chunk.indptr
