"""Why a file cannot be read, said as it is; and zarr stores of which a part is not there."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scprism._check import some
from scprism._text import not_text
from scprism._warnings import warn
from scprism.errors import InputError

__all__ = ["check_declared", "check_hdf5", "check_zarr", "unreadable"]

CUT_OFF = "The file may be cut off or damaged: compare its size with the source's and copy it again."
OTHER_FORMAT = "Its name says one format and its content another: give the file as the source has it."
LOCKED = "Another program has it open for writing: close that, or copy the file and read the copy."
NEWER = "It was written by a newer version of the package than is installed here: update anndata and h5py."
FLOAT16 = "Its values are of the type float16, which sparse matrices cannot hold: write them as float32."
FILTER = "It is compressed in a way that is not installed here: install hdf5plugin, or write it with gzip."
NOT_ALLOWED = "You have no permission to read it: ask its owner, or change its permissions."
REASONS = (
    (("unable to lock", "resource temporarily unavailable"), LOCKED),
    (("permission denied",), NOT_ALLOWED),
    (("truncated", "eof", "end-of-stream", "unexpected end", "ended before"), CUT_OFF),
    (("float16",), FLOAT16),
    (("no read method registered", "superblock version", "unsupported version"), NEWER),
    (("filter", "codec"), FILTER),
    (("signature not found", "not a gzipped file", "bad magic"), OTHER_FORMAT),
)
"""What libraries say, in small letters, and what it means; the first that fits."""
LEAST_DECLARED = 2**28
MOST_COMPRESSED = 5000
"""Times that values can be compressed at most: gzip reaches 1,032, zstd some thousand where all are the same."""
AS_ZEROS = "zarr reads what is missing as zeros"


def unreadable(path: Path, kind: str, error: Exception) -> InputError:
    """Return the error for a file that a library failed on: its words, and what they mean where that is known."""
    if isinstance(error, UnicodeError):
        return not_text(path, what="file", error=error)
    chain = [error, *_causes(error)]
    said = " ".join(str(e) for e in chain).lower()
    meaning = next((text for words, text in REASONS if any(word in said for word in words)), "")
    if any(isinstance(e, OSError) and e.errno in (errno.EACCES, errno.EPERM) for e in chain):
        meaning = NOT_ALLOWED
    if isinstance(error, KeyError):
        meaning = f"A part that {kind} files have is not in it. {CUT_OFF}"
    reason = (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")
    return InputError(f"'{path}' cannot be read as {kind}: {reason}. {meaning}".rstrip())


def _causes(error: BaseException) -> Iterator[BaseException]:
    while (error := error.__cause__ or error.__context__) is not None:  # type: ignore[assignment]
        yield error


def check_declared(path: Path, n_declared: int, n_stored: int) -> None:
    """Raise `InputError` if a file says that it holds more than it can, before memory is taken for it.

    Parameters
    ----------
    n_declared, n_stored
        Bytes of the values that its header tells of, and those that there are, compressed or not.
    """
    if n_declared > LEAST_DECLARED and n_declared > MOST_COMPRESSED * n_stored:
        msg = f"'{path}' says that it holds {n_declared / 1e9:,.1f} GB, and there are {n_stored / 1e9:,.3f} GB of it."
        raise InputError(f"{msg} {CUT_OFF}")


def check_hdf5(file: h5py.File, path: Path) -> None:
    """Raise `InputError` if an array of an HDF5 file says that it holds more than it can."""

    def check(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.size is not None and item.chunks is not None:
            check_declared(path, item.size * item.dtype.itemsize, item.id.get_storage_size())

    file.visititems(check)


def check_zarr(path: Path) -> None:
    """Raise `InputError` if parts of a zarr store's values are not there, which zarr would read as zeros.

    Pieces that are all zero are usually not written either. So in sparse matrices, whose values are never zero, and in
    names, a piece that is missing is an error; in dense matrices and in categories it may be right, and is warned of.

    Raises
    ------
    InputError
        If an array that the store lists has no folder, or a piece of a sparse matrix or of the names is missing.

    Warns
    -----
    PrismWarning
        If pieces of a dense matrix or of the categories of cells are missing.
    """
    import zarr

    store = zarr.open_group(str(path), mode="r")
    arrays = {name: item for name, item in store.members(max_depth=None) if hasattr(item, "nchunks")}
    absent = [name for name in arrays if not any((path / name / file).is_file() for file in ("zarr.json", ".zarray"))]
    if absent:
        msg = f"The zarr store '{path}' is not complete: it lists {some(absent)}, of which nothing is there."
        raise InputError(f"{msg} Copy the whole folder again.")
    missing = {name: n for name, array in arrays.items() if (n := array.nchunks - array.nchunks_initialized) > 0}
    damaged = {name: n for name, n in missing.items() if _is_damage(store, name)}
    if damaged:
        parts = some(f"{name} ({n:,} of {arrays[name].nchunks:,} pieces)" for name, n in damaged.items())
        msg = f"The zarr store '{path}' is not complete: pieces of its arrays are missing, and {AS_ZEROS}: {parts}."
        raise InputError(f"{msg} Copy the whole folder again.")
    doubtful = {name: n for name, n in missing.items() if _is_doubtful(store, name)}
    if doubtful:
        parts = some(f"{name} ({n:,} of {arrays[name].nchunks:,} pieces)" for name, n in doubtful.items())
        msg = (
            f"Pieces of arrays are missing in the zarr store '{path}', and {AS_ZEROS}: {parts}. That is right if they "
            "were zeros when it was written. If the folder was copied, compare it with the source."
        )
        warn(msg)


def _is_damage(store: Any, name: str) -> bool:
    """Return whether a piece missing in this array cannot be one of zeros."""
    folder, _, last = name.rpartition("/")
    kind = store[folder].attrs.get("encoding-type", "") if folder else ""
    if kind in ("csr_matrix", "csc_matrix"):
        n_values = store[f"{folder}/data"].shape[0]
        if last != "indices":
            return bool(n_values)
        return _repeats_zero(store[name], store[f"{folder}/indptr"][:])
    if kind.startswith("nullable-"):  # names of anndata 0.13 and pandas 3 are values and a mask
        return last == "values" and _is_damage(store, folder)
    return kind == "dataframe" and last == store[folder].attrs.get("_index", "_index")


def _repeats_zero(indices: Any, indptr: np.ndarray) -> bool:
    """Return whether a row of a sparse matrix would have its first column twice."""
    size = indices.chunks[0]
    for start in range(0, indices.shape[0], size):
        stop = min(start + size, indices.shape[0])
        if not indices[start:stop].any():
            rows = np.searchsorted(indptr, np.arange(start, stop), side="right")
            if len(np.unique(rows)) < stop - start:
                return True
    return False


def _is_doubtful(store: Any, name: str) -> bool:
    """Return whether zeros in this array would change cells: a dense matrix, or which category a cell has."""
    folder, _, last = name.rpartition("/")
    if last == "codes":
        return bool(store[f"{folder}/categories"].shape[0] > 1)
    return name in ("X", "raw/X") or folder == "layers"
