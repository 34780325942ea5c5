"""Cells from files of every usual format."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import anndata
import h5py
from anndata import AnnData

from scprism._check import check_choice, closest, require, some
from scprism._warnings import warn
from scprism.errors import InputError, PrismError, PrismWarning
from scprism.genes.identifiers import symbol_hint
from scprism.read.columns import RepeatedGenes, of_genome, transposed, with_names, with_plain_strings, with_symbols
from scprism.read.counts import checked_counts
from scprism.read.on_disk import open_h5ad, open_zarr
from scprism.read.problems import check_hdf5, check_zarr, unreadable
from scprism.read.text import read_text
from scprism.types import PathLike

__all__ = ["kind_of", "read_cells"]

Kind: TypeAlias = Literal["h5ad", "zarr", "loom", "text", "10x h5", "10x folder"]
HDF5_SUFFIXES = (".h5ad", ".h5", ".hdf5", ".loom")
TEXT_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")


@dataclass(frozen=True)
class _Choices:
    """What only some formats need."""

    backed: bool
    genome: str | None
    feature_type: str | None


def read_cells(
    path: PathLike,
    *,
    layer: str | None = None,
    backed: bool = False,
    gene_symbols: str | None = None,
    transpose: bool = False,
    genome: str | None = None,
    feature_type: str | None = None,
    repeated_genes: RepeatedGenes | None = None,
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
        Leave the values of an h5ad file or a zarr store on disk: ``X``, layers and ``raw.X``. An h5ad file is closed
        by ``cells.file.close()``.
    gene_symbols
        Column of ``.var`` with the gene symbols, which become the names; where it is empty the old name stays. The old
        names go to the column ``gene_ids`` unless it is taken.
    transpose
        True if the file has genes in rows. ``.raw`` is lost.
    genome
        Which genome's genes are kept, where reads were aligned to several: a group of a 10x h5 file, or the prefix of
        the names, such as ``"mm10"`` of ``mm10_Cd3e``.
    feature_type
        Which features of 10x output are genes, ``"Gene Expression"`` if not given.
    repeated_genes
        What becomes of several columns of one name: ``"add"`` their counts, ``"number"`` them (the first keeps the
        name, the next are called "symbol-1" and so on), or ``"refuse"``. If not given, columns of one symbol in 10x
        output and in `gene_symbols` are added, and names that are repeated in other files refused.
    check
        False to take the values as they are; see `scprism.read.counts.check_counts`.

    Raises
    ------
    InputError
        If the file is missing, unknown, incomplete or damaged, its values are not raw counts, or there is no such
        column, genome or kind of feature.

    Warns
    -----
    PrismWarning
        If cells have no counts, the genes are named by Ensembl ids, or counts of several columns were added.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import make_cells
    >>> path = Path(tempfile.mkdtemp()) / "cells.h5ad"
    >>> make_cells(n_cells=30, rng=0).write_h5ad(path)
    >>> read_cells(path).shape
    (30, 200)
    """
    place = Path(path)
    kind = kind_of(place)
    if repeated_genes is not None:
        check_choice("repeated_genes", repeated_genes, ("add", "number", "refuse"))
    _check_backed(place, kind, backed=backed, turned=transpose or genome is not None or repeated_genes == "add")
    if feature_type is not None and not kind.startswith("10x"):
        msg = f"`feature_type` is for output of 10x, and '{place}' is {kind}. Leave it out."
        raise InputError(msg)
    if kind == "zarr":
        _check_store(place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' remarks; what matters is checked below
        cells = _read(place, kind, choices=_Choices(backed, genome, feature_type))
        cells = with_plain_strings(transposed(cells) if transpose else cells)
        if genome is not None and kind != "10x h5":
            cells = of_genome(cells, genome)
    chosen = repeated_genes or ("number" if backed else "add")
    if gene_symbols is not None:
        cells = with_symbols(cells, gene_symbols, repeated_genes=chosen)
    elif kind.startswith("10x") or repeated_genes is not None:
        cells = with_names(cells, cells.var_names, repeated_genes=chosen)
    if check:
        _check(cells, layer=layer, hint="" if gene_symbols else symbol_hint(cells.var_names, cells.var))
    return cells


def _check_backed(path: Path, kind: Kind, *, backed: bool, turned: bool) -> None:
    if backed and (kind not in ("h5ad", "zarr") or turned):
        changed = ", to be changed" if turned else ""
        msg = (
            f"`backed` is for h5ad files and zarr stores as they are, and '{path}' is {kind}{changed}. Read it with "
            "backed=False; `cells.write_h5ad` then makes a file that can be backed."
        )
        raise InputError(msg)


def kind_of(path: Path) -> Kind:
    """Return what a file or folder of cells is, by its content where that tells.

    Raises
    ------
    InputError
        If it is missing, cannot be opened or is of no kind that can be read.
    """
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


def _hdf5_kind(path: Path) -> Kind:
    """Return what an HDF5 file holds; its suffix may be anybody's guess."""
    try:
        with h5py.File(path, "r") as file:
            check_hdf5(file, path)
            keys = {
                *file.keys(),
                *(f"*/{key}" for group in file.values() if isinstance(group, h5py.Group) for key in group),
            }
    except OSError as error:
        raise unreadable(path, "HDF5", error) from error
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


def _read(path: Path, kind: Kind, *, choices: _Choices) -> AnnData:
    readers: dict[Kind, Callable[[Path], AnnData]] = {
        "h5ad": open_h5ad if choices.backed else anndata.read_h5ad,
        "zarr": open_zarr if choices.backed else anndata.io.read_zarr,
        "loom": _read_loom,
        "text": read_text,
        "10x h5": lambda file: _read_10x_h5(file, choices),
        "10x folder": lambda folder: _read_10x_folder(folder, choices),
    }
    try:
        return readers[kind](path)
    except (PrismError, MemoryError):
        raise
    except Exception as error:  # each library has its own ways to fail on a damaged file
        raise unreadable(path, kind, error) from error


def _check_store(path: Path) -> None:
    try:
        check_zarr(path)
    except (PrismError, PrismWarning, MemoryError):
        raise
    except Exception as error:  # as in _read
        raise unreadable(path, "zarr", error) from error


def _read_loom(path: Path) -> AnnData:
    require("loompy", extra="loom")
    with h5py.File(path) as file:
        names = {key: list(file[key]) for key in ("row_attrs", "col_attrs")}
    # loompy's own names, then those of AnnData.write_loom
    genes = next((n for n in ("Gene", "var_names") if n in names["row_attrs"]), "Gene")
    cells = next((n for n in ("CellID", "obs_names") if n in names["col_attrs"]), "CellID")
    return anndata.io.read_loom(path, X_name="", validate=False, var_names=genes, obs_names=cells)


def _read_10x_h5(path: Path, choices: _Choices) -> AnnData:
    from scprism.read.tenx import read_10x_h5

    return read_10x_h5(path, genome=choices.genome, feature_type=choices.feature_type)


def _read_10x_folder(path: Path, choices: _Choices) -> AnnData:
    from scprism.read.tenx import read_10x_folder

    return read_10x_folder(path, feature_type=choices.feature_type)


def _check(cells: AnnData, *, layer: str | None, hint: str) -> None:
    try:
        checked_counts(cells, layer=layer)
    except InputError:
        if cells.isbacked:
            cells.file.close()
        raise
    if hint:
        warn(hint)
