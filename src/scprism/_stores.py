"""AnnData written to disk: the user's `obs` is made writable, so that it never stops a result from being written."""

import contextlib
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import zarr
from anndata import AnnData
from anndata.abc import CSCDataset, CSRDataset
from anndata.io import write_elem
from scipy import sparse

from scprism._check import some
from scprism._files import STORE_SUFFIXES, check_suffix, replacing
from scprism.errors import InputError, PrismWarning
from scprism.types import FloatArray, PathLike

__all__ = ["named_layers", "on_disk", "writable_obs", "write_anndata", "write_by_rows"]

VALUES_A_BLOCK = 2**20
"""Of expression that is written in blocks; 4 MB."""
ARRAY_ENCODING = {"encoding-type": "array", "encoding-version": "0.2.0"}
"""How anndata marks a dense array."""
FORBIDDEN = ("", ".", "..", "_index")
"""Names that a column cannot have in a file."""


def write_anndata(cells: AnnData, path: PathLike, *, compression: str | None = None) -> None:
    """Write an AnnData as h5ad or zarr, as its name says; the file appears whole or not at all.

    Parameters
    ----------
    cells
        What to write; it is not changed. `writable_obs` deals with columns of ``obs`` that cannot be written.
    path
        A name that ends in ``.h5ad`` or ``.zarr``.
    compression
        Of an h5ad: None or ``"gzip"``.

    Raises
    ------
    InputError
        If the name ends otherwise, or is that of something else than a file of results.

    Warns
    -----
    PrismWarning
        If columns were renamed, turned into text or left out.
    """
    suffix = check_suffix(path, STORE_SUFFIXES)
    written = _writable(cells)
    with replacing(path) as scratch:
        _check_room(scratch, _size_of(written), result=path)
        _write(written, scratch, suffix, compression=compression)


def write_by_rows(cells: AnnData, path: PathLike, rows: Iterable[tuple[slice, FloatArray]]) -> None:
    """Write an AnnData whose expression comes in blocks of cells, so that it is never held whole.

    Parameters
    ----------
    cells
        All but the expression, which it has none of (``X`` is None); the rest is as in `write_anndata`.
    path
        A name that ends in ``.h5ad`` or ``.zarr``.
    rows
        Blocks of the expression, float32 (some cells, genes), with the cells that they are of; each cell once.

    Raises
    ------
    InputError
        As in `write_anndata`.
    """
    suffix = check_suffix(path, STORE_SUFFIXES)
    written = _writable(cells)
    with replacing(path) as scratch:
        _check_room(scratch, _size_of(written) + 4 * cells.n_obs * cells.n_vars, result=path)
        _write(written, scratch, suffix)
        if suffix == ".zarr":
            store = zarr.open_group(scratch, mode="r+")
            _fill(store, store.create_array, cells.shape, rows)
            _consolidate(scratch)
        else:
            with h5py.File(scratch, "r+") as file:
                _fill(file, file.create_dataset, cells.shape, rows)


def _fill(
    store: Any, create: Callable[..., Any], shape: tuple[int, int], rows: Iterable[tuple[slice, FloatArray]]
) -> None:
    if "X" in store:
        del store["X"]
    block = (max(1, min(shape[0], VALUES_A_BLOCK // max(shape[1], 1))), max(shape[1], 1))
    array = create("X", shape=shape, dtype="float32", chunks=block)
    array.attrs.update(ARRAY_ENCODING)
    for which, values in rows:
        array[which] = values


def _check_room(scratch: Path, n_bytes: int, *, result: PathLike) -> None:
    """Raise an error if a result has no room, before it is begun: HDF5 ends the process where a disk is full.

    Raises
    ------
    InputError
        If the disk has less room.
    OSError
        If files must not be so large.
    """
    free = shutil.disk_usage(scratch.parent).free
    if free < n_bytes:
        msg = (
            f"{str(result)!r} takes about {n_bytes / 1e9:.3g} GB, and its disk has {free / 1e9:.3g} GB left. Make room"
        )
        raise InputError(f"{msg} there, or choose a place on another disk.")
    try:
        with scratch.open("wb") as file:
            file.truncate(n_bytes)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(result)) from error
    finally:
        scratch.unlink(missing_ok=True)


def _size_of(cells: AnnData) -> int:
    """Return about how many bytes a file of these cells takes at most."""
    raw = None if cells.raw is None else cells.raw.X
    mappings = (named_layers(cells), cells.obsm, cells.varm, cells.obsp, cells.varp)
    arrays = [cells.X, raw, *(value for mapping in mappings for value in mapping.values())]
    tables = (cells.obs, cells.var)
    return sum(map(_bytes_of, arrays)) + sum(int(t.memory_usage(index=True, deep=True).sum()) for t in tables) + 2**16


def _bytes_of(array: Any) -> int:
    """Return how many bytes an array has, of one on disk those that it takes there."""
    if isinstance(array, CSRDataset | CSCDataset):
        return sum(_bytes_of(array.group[part]) for part in ("data", "indices", "indptr"))
    if sparse.issparse(array):
        return sum(int(getattr(array, part).nbytes) for part in ("data", "indices", "indptr") if hasattr(array, part))
    if isinstance(array, h5py.Dataset):
        return int(array.id.get_storage_size())
    return int(getattr(array, "nbytes", 0))


def on_disk(matrix: object) -> bool:
    """Return whether a matrix is a dataset of an h5ad file or a zarr store, of which blocks can be read."""
    return isinstance(matrix, CSRDataset | CSCDataset | h5py.Dataset | zarr.Array)


def _write(cells: AnnData, path: Path, suffix: str, *, compression: str | None = None) -> None:
    """Write cells; matrices that lie on disk are copied from there, piece by piece, and never held."""
    layers, raw = named_layers(cells), cells.raw
    there = {f"layers/{name}": layer for name, layer in layers.items()}
    there |= {"X": cells.X} if raw is None else {"X": cells.X, "raw/X": raw.X}
    copied = {name: matrix for name, matrix in there.items() if on_disk(matrix)}
    if copied:
        empty = {name: sparse.csr_matrix(matrix.shape, dtype=np.float32) for name, matrix in copied.items()}
        cells = AnnData(
            X=empty.get("X", cells.X),
            obs=cells.obs,
            var=cells.var,
            obsm=dict(cells.obsm),
            layers={name: empty.get(f"layers/{name}", layer) for name, layer in layers.items()},
            varm=dict(cells.varm),
            obsp=dict(cells.obsp),
            varp=dict(cells.varp),
            uns=dict(cells.uns),
            raw=None if raw is None else {"X": empty.get("raw/X", raw.X), "var": raw.var, "varm": dict(raw.varm)},
        )
    _write_whole(cells, path, suffix, compression=compression)
    if not copied:
        return
    if suffix == ".zarr":
        store = zarr.open_group(path, mode="r+")
        for name, matrix in copied.items():
            _copy_matrix(matrix, store, name)
        _consolidate(path)
    else:
        with h5py.File(path, "r+") as file:
            for name, matrix in copied.items():
                _copy_matrix(matrix, file, name)


def _copy_matrix(matrix: Any, store: Any, name: str) -> None:
    """Copy a matrix that lies on disk into a file or store, in place of what has the name there."""
    source = matrix.group if isinstance(matrix, CSRDataset | CSCDataset) else matrix
    del store[name]
    if isinstance(source, h5py.Group | h5py.Dataset) and isinstance(store, h5py.Group):
        store.copy(source, store, name)  # as it is compressed
        return
    if source is matrix:
        _copy_array(source, store, name, ARRAY_ENCODING)
        return
    group = store.create_group(name)
    group.attrs.update({**dict(source.attrs), "shape": [int(n) for n in matrix.shape]})
    for part in ("data", "indices", "indptr"):
        _copy_array(source[part], group, part, ARRAY_ENCODING)


def _copy_array(source: Any, group: Any, name: str, attributes: Mapping[str, str]) -> None:
    width = max(1, int(np.prod(source.shape[1:])))
    rows = max(1, VALUES_A_BLOCK // width)
    chunks = (max(1, min(rows, source.shape[0])), *(max(1, n) for n in source.shape[1:]))
    create = group.create_dataset if isinstance(group, h5py.Group) else group.create_array
    array = create(name, shape=source.shape, dtype=source.dtype, chunks=chunks if source.shape[0] else None)
    array.attrs.update(attributes)
    for start in range(0, source.shape[0], rows):
        array[start : start + rows] = source[start : start + rows]


def _consolidate(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*onsolidated metadata", UserWarning)  # readers do without it too
        zarr.consolidate_metadata(path)


def _write_whole(cells: AnnData, path: Path, suffix: str, *, compression: str | None) -> None:
    if suffix == ".zarr":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Writing zarr v2 data", UserWarning)  # readers know both formats
            cells.write_zarr(path)
    else:
        cells.write_h5ad(path, compression=compression)


def _writable(cells: AnnData) -> AnnData:
    """Return a new object that can be written: the caller's stays as it is, and its arrays are not copied."""
    return AnnData(
        X=cells.X,
        obs=writable_obs(cells.obs),
        var=writable_obs(cells.var, name="var"),
        obsm=dict(cells.obsm),
        layers=named_layers(cells),
        varm=dict(cells.varm),
        obsp=dict(cells.obsp),
        varp=dict(cells.varp),
        uns=_writable_uns(cells.uns),
        raw=_writable_raw(cells),
    )


def _writable_raw(cells: AnnData) -> dict[str, Any] | None:
    raw = cells.raw
    if raw is None:
        return None
    return {"X": raw.X, "var": writable_obs(raw.var, name="raw.var"), "varm": dict(raw.varm)}


def _writable_uns(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file can hold of the unstructured rest, and warn of what it cannot."""
    kept = {str(name): value for name, value in uns.items() if _can_write({str(name): value})}
    left_out = [str(name) for name in uns if str(name) not in kept]
    if left_out:
        msg = f"Parts of uns that a file cannot hold were left out: {some(left_out)}."
        warnings.warn(msg, PrismWarning, stacklevel=4)
    return kept


def named_layers(cells: AnnData) -> dict[str, Any]:
    """Return the layers of cells by their names, without ``X``, which anndata has among them since 0.13."""
    return {name: cells.layers[name] for name in cells.layers if name is not None}


def writable_obs(obs: pd.DataFrame, *, name: str = "obs") -> pd.DataFrame:
    """Return a table of cells that anndata can write, whatever the user's table holds.

    Text of pandas 3 becomes plain text. Columns of mixed types, dates and intervals become text. Names that HDF5 cannot
    hold get new ones: a slash becomes ``_``. What cannot be text (lists, arrays) is left out. The same holds for the
    names of the cells. Everything else stays as it is.

    Parameters
    ----------
    obs
        The table; it is not changed.
    name
        What the messages call it.

    Warns
    -----
    PrismWarning
        If columns were renamed, turned into text or left out.

    Examples
    --------
    >>> obs = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-02"])}, index=["a", "b"])
    >>> with warnings.catch_warnings(action="ignore"):
    ...     writable_obs(obs)["day"].tolist()
    ['2020-01-01', '2020-01-02']
    """
    result = pd.DataFrame(index=_text_index(obs.index, obs.columns))
    names = _writable_names(obs.columns)
    renamed = [f"{old} to {new}" for old, new in zip(obs.columns, names, strict=True) if new != old]
    as_text, left_out = [], []
    for number, column in enumerate(names):
        values = obs.iloc[:, number].set_axis(result.index)
        plain = _plain(values)
        if _is_writable(plain):
            result[column] = plain
            continue
        text = None if _holds_containers(values) else _text(values)
        if text is not None and _is_writable(text):
            result[column] = text
            as_text.append(column)
        else:
            left_out.append(column)
    told = {"renamed": renamed, "written as text": as_text, "left out, as they cannot be written": left_out}
    if any(told.values()):
        parts = "; ".join(f"{what}: {some(which)}" for what, which in told.items() if which)
        warnings.warn(f"Columns of {name} that a file cannot hold as they are: {parts}.", PrismWarning, stacklevel=3)
    return result


def _text_index(index: pd.Index, columns: pd.Index) -> pd.Index:
    """Return the names of cells as plain text; what they are called stays if a file can hold it."""
    name = index.name
    is_fit = isinstance(name, str) and name not in (*FORBIDDEN, *columns) and _clean(name) == name and "/" not in name
    return pd.Index([_clean(str(value)) for value in index], dtype=object, name=name if is_fit else None)


def _writable_names(columns: pd.Index) -> list[str]:
    """Return names that HDF5 and zarr can hold, each once."""
    names: list[str] = []
    for column in columns:
        name = _clean(str(column)).replace("/", "_")
        if name in FORBIDDEN:
            name = name.strip("_.") or "unnamed"
        numbered, n = name, 1
        while numbered in names or (numbered != column and numbered in columns):
            numbered, n = f"{name}_{n}", n + 1
        names.append(numbered)
    return names


def _plain(values: "pd.Series") -> "pd.Series":
    """Return text, and categories of text, as any version of anndata can write them; all else as it is."""
    with contextlib.suppress(UnicodeEncodeError):  # half of a character, which pandas 3's type of text cannot hold
        values = values.infer_objects()
    kind = values.cat.categories.dtype if isinstance(values.dtype, pd.CategoricalDtype) else values.dtype
    is_text = pd.api.types.is_object_dtype(kind) and all(isinstance(v, str) for v in values[values.notna()])
    return _text(values) if is_text or isinstance(kind, pd.StringDtype) else values


def _text(values: "pd.Series") -> "pd.Series":
    """Return values as text; a column with gaps becomes categorical, which can have them."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = [_clean(str(category)) for category in values.cat.categories]
        if len(set(names)) == len(names):
            kind = pd.CategoricalDtype(pd.Index(names, dtype=object), ordered=values.cat.ordered)
            return pd.Series(pd.Categorical.from_codes(values.cat.codes.to_numpy(), dtype=kind), index=values.index)
    is_known = values.notna().to_numpy(dtype=bool)
    as_date = pd.api.types.is_datetime64_any_dtype(values.dtype)
    given = values.astype(str) if as_date else values.astype(object)  # of a whole column, dates without hours are short
    text = [_clean(str(value)) if known else None for value, known in zip(given, is_known, strict=True)]
    if is_known.all():
        return pd.Series(text, index=values.index, dtype=object)
    categories = pd.Index(sorted({name for name in text if name is not None}), dtype=object)
    return pd.Series(pd.Categorical(text, categories=categories), index=values.index)


def _clean(text: str) -> str:
    """Return text without what no file can hold: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _holds_containers(values: "pd.Series") -> bool:
    return pd.api.types.is_object_dtype(values.dtype) and any(
        isinstance(v, list | tuple | dict | set | np.ndarray) for v in values
    )


def _is_writable(values: "pd.Series") -> bool:
    return _can_write(values.to_frame("column"))


def _can_write(value: object) -> bool:
    """Return whether anndata can write a value: it is tried, in memory."""
    with h5py.File(f"{uuid.uuid4()}.h5", mode="w", driver="core", backing_store=False) as file:
        try:
            write_elem(file, "value", value)
        except Exception:  # whatever keeps it from being written: it is dealt with, and told
            return False
    return True
