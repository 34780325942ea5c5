"""Blocks of rows: how every pass over cells reads a matrix, wherever it lies."""

import sys
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import zarr
from anndata.abc import CSCDataset, CSRDataset
from numpy.typing import DTypeLike
from scipy import sparse

from scprism._stores import on_disk
from scprism.errors import InputError
from scprism.types import IntArray, Matrix

__all__ = ["is_dask", "picked_rows", "row_chunks"]

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
        Dense, or sparse of any format, or a dataset of an h5ad file or a zarr store (dense, CSR or CSC), or a Dask
        array of dense or sparse pieces. Rows of CSC lie scattered: it is turned to CSR once a pass, which holds one
        sparse copy in memory.
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
    if is_dask(matrix):
        yield from _dask_chunks(matrix, size, dtype)
        return
    rows = _by_rows(matrix)
    n_rows = rows.shape[0]
    for start in range(0, n_rows, size):
        span = slice(start, min(start + size, n_rows))
        try:
            block = _dense_block(rows, span, dtype) if _is_dense(rows) else sparse.csr_matrix(rows[span], dtype=dtype)
        except Exception as error:  # each library has its own ways to fail on a damaged file
            if on_disk(rows):
                raise _unreadable(rows, span, error) from error
            if isinstance(error, ValueError):
                msg = f"The count matrix is damaged: {str(error).rstrip('.')}. Take the file from its source again."
                raise InputError(msg) from error
            raise
        yield span, _canonical(block)


def is_dask(matrix: object) -> bool:
    """Return whether a matrix is a Dask array; Dask is not imported for that."""
    dask = sys.modules.get("dask.array")
    return dask is not None and isinstance(matrix, dask.Array)


def _dask_chunks(matrix: Any, size: int, dtype: DTypeLike) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """Yield blocks of `size` rows; each piece of a Dask array is computed once, whatever its number of rows."""
    pieces = matrix.rechunk({1: -1})
    start, waiting, n_waiting = 0, list[sparse.csr_matrix](), 0
    for number in range(pieces.numblocks[0]):
        values = pieces.blocks[number].compute()
        whole = slice(0, values.shape[0])
        waiting.append(_dense_block(values, whole, dtype) if _is_dense(values) else _csr(values, dtype))
        n_waiting += waiting[-1].shape[0]
        is_last = number == pieces.numblocks[0] - 1
        if n_waiting < size and not is_last:
            continue
        rows = sparse.vstack(waiting, format="csr")
        stop = n_waiting if is_last else n_waiting // size * size
        for first in range(0, stop, size):
            block = rows[first : min(first + size, stop)]
            yield slice(start + first, start + first + block.shape[0]), _canonical(block)
        start, waiting, n_waiting = start + stop, [rows[stop:]], n_waiting - stop


def _csr(values: Any, dtype: DTypeLike) -> sparse.csr_matrix:
    return sparse.csr_matrix(values, dtype=dtype)


def _unreadable(matrix: Any, span: slice, error: Exception) -> InputError:
    """Return the error for rows that a file does not give, damaged or changed since it was opened."""
    array = matrix.group["data"] if isinstance(matrix, CSRDataset) else matrix
    place = array.file.filename if isinstance(array, h5py.Dataset) else array.store_path
    reason = (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")
    msg = (
        f"The cells {span.start + 1:,} to {span.stop:,} of '{place}' cannot be read: {reason}. The file may be cut off,"
    )
    return InputError(f"{msg} damaged or changed meanwhile: compare its size with the source's and copy it again.")


def _canonical(block: sparse.csr_matrix) -> sparse.csr_matrix:
    block.sum_duplicates()
    block.eliminate_zeros()
    return block


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
        "A count matrix must be a NumPy array, a SciPy sparse matrix, a Dask array of such, or a dataset of an h5ad "
        f"file or a zarr store, got {type(matrix).__module__}.{type(matrix).__qualname__}."
    )
    raise InputError(msg)


def _is_dense(matrix: Any) -> bool:
    return isinstance(matrix, np.ndarray | h5py.Dataset | zarr.Array)


def _dense_block(matrix: Any, span: slice, dtype: DTypeLike) -> sparse.csr_matrix:
    step = max(1, DENSE_VALUES // max(1, matrix.shape[1]))
    starts = range(span.start, span.stop, step)
    blocks = [sparse.csr_matrix(np.asarray(matrix[s : min(s + step, span.stop)]), dtype=dtype) for s in starts]
    return sparse.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]
