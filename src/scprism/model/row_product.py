"""A matrix product in which a cell's result does not depend on the cells beside it, to the last bit."""

import numpy as np

from scprism.types import FloatArray

__all__ = ["row_product"]

ROWS = 512
"""Rows that are multiplied at once. Libraries treat the last rows of a matrix, and small matrices, by other routines
that round otherwise; with always as many rows, a multiple of what any routine takes, each row is treated alike."""


def row_product(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return rows @ matrix, (cells, columns); each row is the same bits wherever it stands.

    Parameters
    ----------
    rows
        Values of cells, (cells, features).
    matrix
        What they are multiplied with, (features, columns).

    Examples
    --------
    >>> row_product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    dtype = np.result_type(rows, matrix)
    matrix = np.ascontiguousarray(matrix, dtype=dtype)
    result = np.empty((len(rows), matrix.shape[1]), dtype=dtype)
    for start in range(0, len(rows), ROWS):
        block = rows[start : start + ROWS]
        padded = np.zeros((ROWS, rows.shape[1]), dtype=dtype)
        padded[: len(block)] = block
        result[start : start + ROWS] = (padded @ matrix)[: len(block)]
    return result
