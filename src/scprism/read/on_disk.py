"""Cells whose values stay on disk: the matrices of an h5ad file or a zarr store are opened, and the rest is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata
import h5py
import zarr
from anndata import AnnData
from anndata.abc import CSCDataset, CSRDataset
from anndata.io import read_elem, sparse_dataset

from scprism._stores import named_layers, on_disk

__all__ = ["is_on_disk", "open_h5ad", "open_zarr", "stored_bytes"]

TABLES = ("obs", "var", "obsm", "varm", "obsp", "varp", "uns")


def open_h5ad(path: Path) -> AnnData:
    """Return the cells of an h5ad file, backed: ``X``, the layers and ``raw.X`` stay in the file."""
    file = h5py.File(path, "r")
    if isinstance(file["obs"], h5py.Dataset) or not _members(file, "layers"):  # anndata knows older formats
        file.close()
        return anndata.read_h5ad(path, backed="r")
    parts = {name: read_elem(file[name]) for name in TABLES if name in file}
    raw = _raw(file)
    if raw is not None:
        del raw["X"]  # a backed AnnData finds it in the file
    return AnnData(**parts, layers=_layers(file), raw=raw, filename=path, filemode="r")


def open_zarr(path: Path) -> AnnData:
    """Return the cells of a zarr store; ``X``, the layers and ``raw.X`` stay in it."""
    store = zarr.open_group(str(path), mode="r")
    parts = {name: read_elem(store[name]) for name in TABLES if name in store}
    values = _opened(store["X"]) if "X" in store else None
    return AnnData(X=values, **parts, layers=_layers(store), raw=_raw(store))


def is_on_disk(cells: AnnData) -> bool:
    """Return whether any matrix of values stays on disk."""
    matrices = [cells.X, *named_layers(cells).values(), *([] if cells.raw is None else [cells.raw.X])]
    return cells.isbacked or any(on_disk(matrix) for matrix in matrices)


def stored_bytes(path: Path, kind: str) -> int:
    """Return how much memory the matrices of an h5ad file or a zarr store would take; 0 for files of other kinds.

    0 too for those whose rows lie scattered (CSC), which are sooner read once than in every pass, and for damaged ones,
    of which their reader says what is wrong.
    """
    try:
        if kind == "h5ad":
            with h5py.File(path, "r") as file:
                return _size(file)
        return _size(zarr.open_group(str(path), mode="r")) if kind == "zarr" else 0
    except Exception:
        return 0


def _size(store: Any) -> int:
    matrices = list(_matrices(store))
    if any(isinstance(matrix, CSCDataset) for matrix in matrices):
        return 0
    return sum(_size_of(matrix) for matrix in matrices)


def _size_of(matrix: Any) -> int:
    if isinstance(matrix, CSRDataset):
        return sum(array.size * array.dtype.itemsize for array in (matrix.group["data"], matrix.group["indices"]))
    return int(matrix.size * matrix.dtype.itemsize)


def _matrices(store: Any) -> Iterator[Any]:
    names = ["X", *(f"layers/{name}" for name in _members(store, "layers")), "raw/X"]
    for name in names:
        if name in store:
            yield _opened(store[name])


def _members(store: Any, group: str) -> list[str]:
    return list(store[group].keys()) if group in store else []


def _layers(store: Any) -> dict[str, Any]:
    return {name: _opened(store[f"layers/{name}"]) for name in _members(store, "layers")}


def _raw(store: Any) -> dict[str, Any] | None:
    if "raw/X" not in store:
        return None
    rest = {name: read_elem(store[f"raw/{name}"]) for name in ("var", "varm") if f"raw/{name}" in store}
    return {"X": _opened(store["raw/X"]), **rest}


def _opened(element: Any) -> Any:
    """Return a matrix on disk: of a group the sparse matrix that it holds, of an array itself."""
    return sparse_dataset(element) if isinstance(element, h5py.Group | zarr.Group) else element
