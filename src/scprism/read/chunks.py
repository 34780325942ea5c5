"""Blocks of rows: how every pass over cells reads a matrix, wherever it lies."""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from anndata.abc import CSCDataset, CSRDataset
from numpy.typing import DTypeLike
from scipy import sparse

from scprism.errors import InputError
from scprism.types import IntArray, Matrix

__all__ = ["picked_rows", "row_chunks"]

DENSE_VALUES = 2**23
"""Dense input is turned sparse in pieces of about this many values, which bounds the memory of wide matrices."""


def row_chunks(
    matrix: Matrix, *, size: int = 4096, dtype: DTypeLike = np.float32
) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """Yield the rows of `matrix` in order, as pairs of their place and a CSR block (rows, genes).

    Blocks are the caller's own and canonical (indices sorted, no duplicates, no stored zeros), so the same values give
    the same blocks to the bit, however they are stored.

    Parameters
    ----------
    matrix
        Dense, or sparse of any format, or a backed dataset of an h5ad file (dense, CSR or CSC). Rows of CSC lie
        scattered: it is turned to CSR once a pass, which holds one sparse copy in memory.
    size
        Rows in a block; the last may have fewer.
    dtype
        Type of the blocks' values. float32 holds counts up to 2**24 exactly; above, counts are rounded to 24 bits.

    Raises
    ------
    InputError
        If `matrix` is none of these, or `size` is below 1.
    """
    if size < 1:
        msg = f"`size` must be at least 1 row, got {size}."
        raise InputError(msg)
    rows = _by_rows(matrix)
    n_rows = rows.shape[0]
    for start in range(0, n_rows, size):
        span = slice(start, min(start + size, n_rows))
        block = _dense_block(rows, span, dtype) if _is_dense(rows) else sparse.csr_matrix(rows[span], dtype=dtype)
        block.sum_duplicates()
        block.eliminate_zeros()
        yield span, block


def picked_rows(matrix: Matrix, rows: IntArray) -> sparse.csr_matrix:
    """Return some rows of `matrix`, in its order, reading it in blocks as `row_chunks` does."""
    wanted = np.zeros(matrix.shape[0], dtype=bool)
    wanted[rows] = True
    return sparse.vstack([chunk[wanted[span]] for span, chunk in row_chunks(matrix)], format="csr")


def _by_rows(matrix: Any) -> Any:
    """Return the same matrix in a form whose rows can be sliced cheaply."""
    if isinstance(matrix, CSCDataset):
        return matrix.to_memory().tocsr()
    if isinstance(matrix, CSRDataset) or _is_dense(matrix):
        return matrix
    if sparse.issparse(matrix):
        return matrix.tocsr()
    msg = (
        f"A count matrix must be a NumPy array, a SciPy sparse matrix or a backed dataset of an h5ad file, got "
        f"{type(matrix).__module__}.{type(matrix).__qualname__}."
    )
    raise InputError(msg)


def _is_dense(matrix: Any) -> bool:
    return isinstance(matrix, np.ndarray | h5py.Dataset)


def _dense_block(matrix: Any, span: slice, dtype: DTypeLike) -> sparse.csr_matrix:
    step = max(1, DENSE_VALUES // max(1, matrix.shape[1]))
    starts = range(span.start, span.stop, step)
    blocks = [sparse.csr_matrix(np.asarray(matrix[s : min(s + step, span.stop)]), dtype=dtype) for s in starts]
    return sparse.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]
