"""Genes of cells that were just read: turned, named by their symbols, repeated ones added up, one genome kept."""

from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique
from scipy import sparse

from scprism._check import closest, some
from scprism._stores import named_layers
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.genes.naming import genomes_of, without_genome
from scprism.read.on_disk import is_on_disk

__all__ = ["RepeatedGenes", "of_genome", "transposed", "with_names", "with_plain_strings", "with_symbols"]

RepeatedGenes: TypeAlias = Literal["add", "number", "refuse"]


def transposed(cells: AnnData) -> AnnData:
    """Return genes by cells as cells by genes; ``.raw`` is lost."""
    turned = cells.T
    if sparse.issparse(turned.X):
        turned.X = sparse.csr_matrix(turned.X)
    return turned


def of_genome(cells: AnnData, genome: str) -> AnnData:
    """Return the genes whose names have the prefix of a genome, without it.

    Raises
    ------
    InputError
        If there are none.
    """
    wanted = genome.lower()
    keep = np.array([name.lower().startswith(f"{wanted}_") for name in cells.var_names], dtype=bool)
    if not keep.any():
        msg = (
            f"No gene's name has the prefix of genome={genome!r}. Genomes that the names tell of: "
            f"{some(genomes_of(list(cells.var_names)))}."
        )
        raise InputError(msg)
    kept = cells[:, keep].copy()
    kept.var_names = [without_genome(name) for name in kept.var_names]
    return kept


def with_symbols(cells: AnnData, column: str, *, repeated_genes: RepeatedGenes = "add") -> AnnData:
    """Return cells whose genes are named by a column of ``.var``; where it is empty the old name stays.

    The old names go to the column ``gene_ids`` unless it is taken. Genes of ``.raw`` are named as those of ``.var``,
    by its own column, or by the symbols of the same ids.

    Parameters
    ----------
    cells
        Cells by genes, which may be changed.
    column
        The column.
    repeated_genes
        As in `with_names`.

    Raises
    ------
    InputError
        If there is no such column.
    """
    if column not in cells.var:
        near = closest(column, cells.var.columns)
        msg = f"`gene_symbols` must be a column of `.var`, got {column!r}. Closest: {near}."
        raise InputError(msg)
    symbols = _symbols(cells.var, cells.var[column])
    raw_symbols = None
    if cells.raw is not None:
        var = cells.raw.var
        values = var[column] if column in var else pd.Series(symbols, index=cells.var_names).reindex(var.index)
        raw_symbols = _symbols(var, values)
    if "gene_ids" not in cells.var:
        cells.var["gene_ids"] = cells.var_names.astype(str)
    return with_names(cells, symbols, raw_names=raw_symbols, repeated_genes=repeated_genes)


def with_names(
    cells: AnnData, names: pd.Index, *, raw_names: pd.Index | None = None, repeated_genes: RepeatedGenes
) -> AnnData:
    """Return cells whose genes have these names.

    Parameters
    ----------
    cells
        Cells by genes, which may be changed.
    names, raw_names
        Of the genes, and of those of ``.raw`` (None: as they are).
    repeated_genes
        What becomes of several genes of one name: ``"add"`` their counts (of values on disk they are numbered, and
        added where they are used), ``"number"`` them, or ``"refuse"`` to change anything, so that the check of the
        counts refuses them.

    Warns
    -----
    PrismWarning
        If there are any; it says how many.
    """
    is_repeated = names.duplicated()
    if is_repeated.any() and repeated_genes != "refuse":
        done = "added to it" if repeated_genes == "add" else "numbered, and stay columns of their own"
        what = "their counts were" if repeated_genes == "add" else "they were"
        msg = (
            f"{int(is_repeated.sum()):,} columns have the name of another gene ({some(names[is_repeated].unique())}); "
            f"{what} {done}."
        )
        warn(msg)
    if repeated_genes == "add" and not is_on_disk(cells):
        return _added(cells, names, raw_names)
    number = repeated_genes != "refuse"
    cells.var_names = make_index_unique(names) if number else names
    if cells.raw is not None and raw_names is not None:
        cells.raw.var.index = make_index_unique(raw_names) if number else raw_names
    return cells


def with_plain_strings(cells: AnnData) -> AnnData:
    """Return cells whose names and columns of text are plain, as older versions of anndata can write them too."""
    for frame in (cells.obs, cells.var, *([] if cells.raw is None or cells.isbacked else [cells.raw.var])):
        if _may_be_missing(frame.index.dtype):
            frame.index = pd.Index(np.asarray(frame.index, dtype=object), name=frame.index.name)
        for name in [name for name, dtype in frame.dtypes.items() if _may_be_missing(dtype)]:
            values = frame[name].astype(object)
            frame[name] = values.where(values.notna(), np.nan)
        for name in [name for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]:
            if _may_be_missing(frame[name].cat.categories.dtype):
                frame[name] = frame[name].cat.rename_categories(np.asarray(frame[name].cat.categories, dtype=object))
    return cells


def _may_be_missing(dtype: Any) -> bool:
    """Return whether this is the type of text whose missing values are ``pd.NA``."""
    return isinstance(dtype, pd.StringDtype) and dtype.na_value is pd.NA


def _symbols(var: pd.DataFrame, values: "pd.Series[str]") -> pd.Index:
    ids = var.index.to_series().astype(str)
    symbols = pd.Series(np.asarray(values, dtype=object), index=ids.index)
    is_known = symbols.notna() & (symbols.astype(str).str.strip() != "")
    return pd.Index(symbols.where(is_known, ids).astype(str).to_numpy())


def _added(cells: AnnData, names: pd.Index, raw_names: pd.Index | None) -> AnnData:
    """Return cells by genes with the counts of columns of one name added, in the order of the names."""
    raw = cells.raw
    if raw is not None and raw_names is not None:
        raw = _summed(AnnData(raw.X, obs=cells.obs[[]], var=raw.var), raw_names)
    summed = _summed(cells, names)
    if raw is not None:
        summed.raw = raw if isinstance(raw, AnnData) else raw.to_adata()
    return summed


def _summed(cells: AnnData, names: pd.Index) -> AnnData:
    first = ~names.duplicated()
    if first.all():
        cells.var_names = names
        return cells
    codes = pd.Categorical(names, categories=names[first]).codes
    places = (np.arange(len(names)), codes.astype(np.int64))
    selection = sparse.csr_matrix((np.ones(len(names)), places), shape=(len(names), int(first.sum())))
    var = cells.var[first].copy()
    var.index = names[first]
    layers = {name: _product(layer, selection) for name, layer in named_layers(cells).items()}
    summed = AnnData(None if cells.X is None else _product(cells.X, selection), obs=cells.obs, var=var, layers=layers)
    for name in cells.obsm:
        summed.obsm[name] = cells.obsm[name]
    summed.uns.update(cells.uns)
    return summed


def _product(matrix: Any, selection: sparse.csr_matrix) -> Any:
    """Return the sums of columns, in the type of the matrix if it holds them."""
    dtype = np.result_type(matrix.dtype, np.int32) if matrix.dtype.kind in "biu" else matrix.dtype
    product = matrix @ selection.astype(dtype)
    return product.tocsr() if sparse.issparse(product) else np.asarray(product)
