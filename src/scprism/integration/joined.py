"""Several data sets as one: the genes that all have, raw counts, libraries and batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism._check import closest, some
from scprism.errors import InputError
from scprism.prepare.learn import map_by_name
from scprism.prepare.normalise import log_counts_per
from scprism.read.chunks import row_chunks
from scprism.read.counts import checked_counts
from scprism.types import FloatArray

__all__ = ["Joined", "corrected_cells", "join_data_sets", "log_values"]


@dataclass(frozen=True)
class Joined:
    """All cells in the genes that every data set has and that any cell expresses.

    Attributes
    ----------
    counts
        Raw counts, csr (cells, genes).
    library
        What a cell's counts are divided by: the sum over all genes of its own data set, spike-ins left out, (cells,).
    genes
        In alphabetical order.
    obs
        Of all cells; the column of the batches is categorical.
    batches
        Each cell's batch as a number, (cells,), in the order of the categories.
    """

    counts: sparse.csr_matrix
    library: FloatArray
    genes: tuple[str, ...]
    obs: pd.DataFrame
    batches: np.ndarray


def join_data_sets(data_sets: Sequence[AnnData], *, batch: str, layer: str | None = None) -> Joined:
    """Return all cells of `data_sets` as one record.

    Parameters
    ----------
    data_sets
        Raw counts, cells by genes; one data set or several. Where they lack the column `batch` it is added, with the
        place of each (0, 1, …).
    batch
        The column of ``obs`` that names the batches.
    layer
        Where the counts are.

    Raises
    ------
    InputError
        If the data sets share no gene, a cell has no batch, or there are fewer than two batches.
    """
    matrices = [checked_counts(cells, layer=layer) for cells in data_sets]
    genes = sorted(set.intersection(*(set(names) for _, names in matrices)))
    if not genes:
        firsts = some([str(names[0]) for _, names in matrices])
        msg = f"The data sets share no gene; their first ones are {firsts}. Use symbols of one organism in all of them."
        raise InputError(msg)
    parts, library = [], []
    for place, (cells, (matrix, names)) in enumerate(zip(data_sets, matrices, strict=True)):
        gene_map = map_by_name(list(names), genes)
        blocks = [(chunk @ gene_map.selection, chunk @ gene_map.in_library) for _, chunk in row_chunks(matrix)]
        library += [np.asarray(totals, dtype=np.float64) for _, totals in blocks]
        obs = cells.obs.copy() if batch in cells.obs else cells.obs.assign(**{batch: str(place)})
        counts = sparse.vstack([picked for picked, _ in blocks], format="csr")
        parts.append(AnnData(counts, obs=obs, var=pd.DataFrame(index=genes)))
    joined = anndata.concat(parts, join="outer", index_unique="-" if len(parts) > 1 else None)
    obs = joined.obs.assign(**{batch: _batches(joined.obs, batch, data_sets)})
    counts = joined.X.tocsr()
    expressed = np.asarray(counts.max(axis=0).todense()).ravel() > 0
    kept = tuple(g for g, keep in zip(genes, expressed, strict=True) if keep)
    return Joined(
        counts[:, expressed].tocsr(), np.concatenate(library), kept, obs, obs[batch].cat.codes.to_numpy(dtype=np.int64)
    )


def log_values(joined: Joined, *, target_sum: float) -> sparse.csr_matrix:
    """Return log1p counts per `target_sum` of each cell's library, float32 csr (cells, genes)."""
    return log_counts_per(joined.counts, library=joined.library, target_sum=target_sum)


def corrected_cells(joined: Joined, values: FloatArray, *, genes: Sequence[str]) -> AnnData:
    """Return corrected expression (cells, genes) with what is known of the cells."""
    return AnnData(values.astype(np.float32, copy=False), obs=joined.obs.copy(), var=pd.DataFrame(index=list(genes)))


def _batches(obs: pd.DataFrame, batch: str, data_sets: Sequence[AnnData]) -> "pd.Categorical[str]":
    n_missing = int(obs[batch].isna().sum())
    if n_missing:
        msg = f"{n_missing:,} of {len(obs):,} cells have no batch in {batch!r}. Fill the column, or leave them out."
        raise InputError(msg)
    names = pd.Categorical(obs[batch].astype(str).astype(object))
    if len(names.categories) < 2:
        columns = {str(name) for cells in data_sets for name in cells.obs.columns}
        near = "" if batch in columns else f" There is no such column; closest: {closest(batch, columns)}."
        msg = f"Batch correction needs at least two batches, {batch!r} has {some(names.categories)}.{near}"
        raise InputError(msg)
    return names
