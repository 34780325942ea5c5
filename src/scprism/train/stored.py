"""Rows of a sparse matrix in a scratch file, written once and read in any order.

Training cells that are too many for memory lie there as the network sees them: normalised, uncompressed, in the model's
genes alone. Shuffled blocks of the user's own file would be decompressed anew in each epoch, all genes of it, and would
mix cells less well. So batches are those of cells in memory, to the bit, whatever the format of the file.
"""

import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scprism.errors import InputError
from scprism.types import IntArray

__all__ = ["ScratchRows", "StoredRows", "index_type", "row_blocks"]

ROWS_A_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class StoredRows:
    """A CSR matrix of float32 (cells, genes) whose values are in files.

    Attributes
    ----------
    indptr
        Where each row begins, int64 (cells + 1,).
    indices, data
        Files of int32 and of float32.
    shape
        Cells and genes.
    owner
        What closes the files when nobody needs it.
    """

    indptr: IntArray
    indices: BinaryIO
    data: BinaryIO
    shape: tuple[int, int]
    owner: "ScratchRows"

    @property
    def nnz(self) -> int:
        """The number of values."""
        return int(self.indptr[-1])

    def __getitem__(self, rows: IntArray | slice) -> sparse.csr_matrix:
        """Return some rows in memory, in the order asked for."""
        chosen = np.arange(self.shape[0])[rows]
        starts, stops = self.indptr[chosen], self.indptr[chosen + 1]
        indptr = np.concatenate([[0], np.cumsum(stops - starts)])
        # rows that follow each other are read at once
        first = np.flatnonzero(np.concatenate([[True], starts[1:] != stops[:-1]])) if len(chosen) else starts
        places = list(zip(starts[first].tolist(), indptr[first].tolist(), strict=True))
        indices, data = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1], dtype=np.float32)
        _read(self.indices, indices, places)
        _read(self.data, data, places)
        kind = index_type(len(data))
        parts = (data, indices.astype(kind, copy=False), indptr.astype(kind))
        return sparse.csr_matrix(parts, shape=(len(chosen), self.shape[1]))


class ScratchRows:
    """Two matrices of the same places, their inputs and their counts, written block by block into files without a name.

    The files are gone when this and its rows are, at the latest when the process ends, however it ends.

    Parameters
    ----------
    folder
        Where the files lie; None for the system's folder for temporary files.
    with_counts
        Whether there is a second matrix.
    """

    def __init__(self, folder: Path | None, *, with_counts: bool) -> None:
        self.folder = tempfile.gettempdir() if folder is None else str(folder)
        self.lengths: list[NDArray[np.int64]] = []
        self.n_genes = 0
        names = ("indices", "inputs", "counts") if with_counts else ("indices", "inputs")
        self.files: dict[str, BinaryIO] = {}
        weakref.finalize(self, _close, self.files)
        for name in names:
            self.files[name] = self._new_file()

    def add(self, inputs: sparse.csr_matrix, counts: sparse.csr_matrix) -> None:
        """Append a block of rows: float32 inputs, and the counts at the same places if they are wanted.

        Raises
        ------
        InputError
            If there is no room.
        """
        parts = {"indices": (inputs.indices, np.int32), "inputs": (inputs.data, np.float32)}
        parts["counts"] = (counts.data, np.float32)
        for name, file in self.files.items():
            values, dtype = parts[name]
            try:
                _write(file, np.ascontiguousarray(values, dtype=dtype))
            except OSError as error:
                raise self._no_room(error) from error
        self.lengths.append(np.diff(inputs.indptr).astype(np.int64))
        self.n_genes = inputs.shape[1]

    def rows(self) -> tuple[StoredRows, StoredRows]:
        """Return the inputs and the counts; the inputs twice if no counts were wanted."""
        indptr = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.concatenate(self.lengths))])
        shape, indices = (len(indptr) - 1, self.n_genes), self.files["indices"]
        inputs = StoredRows(indptr, indices, self.files["inputs"], shape, self)
        if "counts" not in self.files:
            return inputs, inputs
        return inputs, StoredRows(indptr, indices, self.files["counts"], shape, self)

    def _new_file(self) -> BinaryIO:
        try:
            return cast("BinaryIO", tempfile.TemporaryFile(buffering=0, dir=self.folder, prefix=".scprism-"))
        except OSError as error:
            raise self._no_room(error) from error

    def _no_room(self, error: OSError) -> InputError:
        msg = (
            f"The training cells are too many for `max_memory`, and the folder {self.folder!r} cannot hold them "
            f"meanwhile: {error.strerror}. Make room there, raise `max_memory`, or name another folder: that of the "
            "checkpoint, or without one the environment variable TMPDIR."
        )
        return InputError(msg)


def row_blocks(matrix: sparse.csr_matrix | StoredRows) -> Iterator[sparse.csr_matrix]:
    """Yield the rows of a matrix in order, some thousand at a time."""
    for start in range(0, matrix.shape[0], ROWS_A_BLOCK):
        yield matrix[start : start + ROWS_A_BLOCK]


def index_type(n_values: int) -> type[np.int32] | type[np.int64]:
    """Return the type of the indices of a SciPy matrix of so many values."""
    return np.int32 if n_values <= np.iinfo(np.int32).max else np.int64


def _close(files: dict[str, BinaryIO]) -> None:
    for file in files.values():
        file.close()


def _read(file: BinaryIO, values: Any, places: list[tuple[int, int]]) -> None:
    """Fill `values` from a file; a place is where a run of values begins in the file and where in the array."""
    memory, size = memoryview(values).cast("B") if len(values) else memoryview(b""), values.itemsize
    ends = [start for _, start in places[1:]] + [len(values)]
    for (there, here), end in zip(places, ends, strict=False):  # of no rows there is an end alone
        part = memory[here * size : end * size]
        file.seek(there * size)
        while part:  # a read of more than 2 GB comes in pieces
            n = file.readinto(part)  # type: ignore[attr-defined]
            if not n:
                msg = "The scratch file of the training cells was cut off."
                raise InputError(msg)
            part = part[n:]


def _write(file: BinaryIO, values: Any) -> None:
    part = memoryview(values).cast("B") if len(values) else memoryview(b"")
    while part:
        part = part[file.write(part) :]
