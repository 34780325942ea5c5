"""Cells from files of every usual format."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique
from scipy import sparse

from scprism._check import closest, require, some
from scprism.errors import InputError, PrismError, PrismWarning
from scprism.genes.identifiers import symbol_hint
from scprism.read.counts import checked_counts
from scprism.read.text import read_text
from scprism.types import PathLike

__all__ = ["read_cells"]

logger = logging.getLogger("scprism")

HDF5_SUFFIXES = (".h5ad", ".h5", ".hdf5", ".loom")
TEXT_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")


def read_cells(
    path: PathLike,
    *,
    layer: str | None = None,
    backed: bool = False,
    gene_symbols: str | None = None,
    transpose: bool = False,
    check: bool = True,
) -> AnnData:
    """Return the cells of a file, cells by genes, their raw counts checked.

    Parameters
    ----------
    path
        An h5ad, loom or 10x h5 file, a zarr store, a 10x folder (matrix.mtx, barcodes, genes), or a table: csv
        (commas), tsv or txt (tabs), gzipped or not, with names in the first line and column. What an HDF5 file or a
        folder is, is told from its content.
    layer
        Where the counts are: None for ``.X``, a layer's name, or ``"raw"``. It is checked; nothing is moved.
    backed
        Leave the values of an h5ad file on disk. Close it by ``cells.file.close()``.
    gene_symbols
        Column of ``.var`` with the gene symbols, which become the names; where it is empty the old name stays. The old
        names go to the column ``gene_ids`` unless it is taken.
    transpose
        True if the file has genes in rows. ``.raw`` is lost.
    check
        False to take the values as they are; see `scprism.read.counts.check_counts`.

    Notes
    -----
    In 10x data and in columns of symbols, several genes may have one symbol. They are numbered: the first keeps it, the
    next are called "symbol-1" and so on.

    Raises
    ------
    InputError
        If the file is missing, unknown or damaged, or its values are not raw counts.

    Warns
    -----
    PrismWarning
        If cells have no counts, or the genes are named by Ensembl ids.
    """
    place = Path(path)
    kind = _kind(place)
    if backed and (kind != "h5ad" or transpose):
        turned = ", to be transposed" if transpose else ""
        msg = (
            f"`backed` is for h5ad files as they are, and '{place}' is {kind}{turned}. Read it with backed=False; "
            "`cells.write_h5ad` then makes a file that can be backed."
        )
        raise InputError(msg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' remarks; what matters is checked below
        cells = _read(place, kind, backed=backed)
        cells = _transposed(cells) if transpose else cells
        _name_genes(cells, column=gene_symbols, kind=kind)
    if check:
        _check(cells, layer=layer, hint="" if gene_symbols else symbol_hint(cells))
    return cells


def _kind(path: Path) -> str:
    if not path.exists():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        msg = f"There is no file or folder '{path}'. Closest in that folder: {closest(path.name, beside)}."
        raise InputError(msg)
    if path.is_dir():
        is_zarr = any((path / name).exists() for name in ("zarr.json", ".zgroup"))
        return "zarr" if is_zarr else "10x folder"
    name = path.name.lower()
    if name.endswith(HDF5_SUFFIXES):
        return _hdf5_kind(path)
    if name.endswith(TEXT_SUFFIXES):
        return "text"
    msg = (
        f"The kind of '{path}' is not known. Allowed: {', '.join((*HDF5_SUFFIXES, *TEXT_SUFFIXES))}, a zarr store, "
        "and a folder with matrix.mtx, barcodes.tsv and genes.tsv or features.tsv."
    )
    raise InputError(msg)


def _hdf5_kind(path: Path) -> str:
    """Return what an HDF5 file holds; its suffix may be anybody's guess."""
    try:
        with h5py.File(path, "r") as file:
            keys = {
                *file.keys(),
                *(f"*/{key}" for group in file.values() if isinstance(group, h5py.Group) for key in group),
            }
    except OSError as error:
        raise _unreadable(path, "HDF5", error) from error
    if {"obs", "var"} <= keys:
        return "h5ad"
    if {"row_attrs", "col_attrs"} <= keys:
        return "loom"
    if "*/barcodes" in keys:
        return "10x h5"
    msg = (
        f"'{path}' is an HDF5 file, but not of AnnData (obs, var), loom (row_attrs, col_attrs) or 10x (barcodes). It "
        f"holds {some(sorted(keys), limit=8)}."
    )
    raise InputError(msg)


def _read(path: Path, kind: str, *, backed: bool) -> AnnData:
    readers: dict[str, Callable[[Path], AnnData]] = {
        "h5ad": lambda file: anndata.read_h5ad(file, backed="r" if backed else None),
        "zarr": anndata.io.read_zarr,
        "loom": _read_loom,
        "text": read_text,
        "10x h5": _read_10x_h5,
        "10x folder": _read_10x_folder,
    }
    try:
        return readers[kind](path)
    except (PrismError, MemoryError):
        raise
    except Exception as error:  # each library has its own ways to fail on a damaged file
        raise _unreadable(path, kind, error) from error


def _unreadable(path: Path, kind: str, error: Exception) -> InputError:
    reason = (str(error) or type(error).__name__).strip().splitlines()[0]
    return InputError(
        f"'{path}' cannot be read as {kind}: {reason}. The file may be cut off or damaged (compare its size with the "
        "source's and copy it again), or of another format than its name says."
    )


def _read_loom(path: Path) -> AnnData:
    require("loompy", extra="loom")
    with h5py.File(path) as file:
        names = {key: list(file[key]) for key in ("row_attrs", "col_attrs")}
    # loompy's own names, then those of AnnData.write_loom
    genes = next((n for n in ("Gene", "var_names") if n in names["row_attrs"]), "Gene")
    cells = next((n for n in ("CellID", "obs_names") if n in names["col_attrs"]), "CellID")
    return anndata.io.read_loom(path, X_name="", validate=False, var_names=genes, obs_names=cells)


def _read_10x_h5(path: Path) -> AnnData:
    from scprism.read.tenx import read_10x_h5  # it takes scanpy, which is slow to import

    return read_10x_h5(path)


def _read_10x_folder(path: Path) -> AnnData:
    from scprism.read.tenx import read_10x_folder

    return read_10x_folder(path)


def _transposed(cells: AnnData) -> AnnData:
    turned = cells.T
    if sparse.issparse(turned.X):
        turned.X = sparse.csr_matrix(turned.X)
    return turned


def _name_genes(cells: AnnData, *, column: str | None, kind: str) -> None:
    """Name the genes of `cells`, which was just read and is nobody's yet."""
    if column is not None:
        if column not in cells.var:
            near = closest(column, cells.var.columns)
            msg = f"`gene_symbols` must be a column of `.var`, got {column!r}. Closest: {near}."
            raise InputError(msg)
        cells.var_names = _symbols(cells.var, column)
        if cells.raw is not None and column in cells.raw.var:
            cells.raw.var.index = _symbols(cells.raw.var, column)
    elif kind.startswith("10x"):
        cells.var_names = _numbered(cells.var_names)


def _symbols(var: pd.DataFrame, column: str) -> pd.Index:
    ids = var.index.to_series().astype(str)
    if "gene_ids" not in var:
        var["gene_ids"] = ids
    symbols = var[column].astype(object)
    is_known = symbols.notna() & (symbols.astype(str).str.strip() != "")
    return _numbered(pd.Index(symbols.where(is_known, ids).astype(str).to_numpy()))


def _numbered(names: pd.Index) -> pd.Index:
    if n_repeated := int(names.duplicated().sum()):
        logger.info("%d genes share a symbol with another gene and were numbered", n_repeated)
    numbered: pd.Index = make_index_unique(names)
    return numbered


def _check(cells: AnnData, *, layer: str | None, hint: str) -> None:
    try:
        checked_counts(cells, layer=layer)
    except InputError:
        if cells.isbacked:
            cells.file.close()
        raise
    if hint:
        warnings.warn(hint, PrismWarning, stacklevel=3)
