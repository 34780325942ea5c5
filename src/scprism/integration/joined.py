"""Several data sets as one: the genes that all have, raw counts, libraries and batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism._check import closest, some
from scprism._warnings import warn
from scprism.errors import InputError, PrismError
from scprism.genes.match import find_genes
from scprism.genes.organism import query_organism
from scprism.prepare.learn import gene_map
from scprism.prepare.normalise import log_counts_per
from scprism.prepare.stream import GeneMap
from scprism.read.chunks import row_chunks
from scprism.read.counts import checked_counts
from scprism.types import FloatArray, Matrix

__all__ = ["Joined", "corrected_cells", "join_data_sets", "log_values"]

USUAL_SHARE = 0.5
"""A smaller share of common genes, of the data set that has fewest, is warned of."""


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
        In alphabetical order, as the first data set names them.
    obs
        Of all cells; the column of the batches is categorical.
    batches
        Each cell's batch as a number, (cells,), in the order of the categories.
    n_genes
        How many genes each data set has.
    n_common
        How many of them all have, before those without a count are left out.
    """

    counts: sparse.csr_matrix
    library: FloatArray
    genes: tuple[str, ...]
    obs: pd.DataFrame
    batches: np.ndarray
    n_genes: tuple[int, ...]
    n_common: int


def join_data_sets(data_sets: Sequence[AnnData], *, batch: str, layer: str | None = None) -> Joined:
    """Return all cells of `data_sets` as one record.

    Genes are matched by name whatever the case, by Ensembl id, and by previous symbols and aliases, as those of a query
    are (`scprism.genes.match.find_genes`); through orthologs where a data set is of another organism than the first.

    Parameters
    ----------
    data_sets
        Raw counts, cells by genes; one data set or several. Where they lack the column `batch` it is added, with the
        number of each (0, 1, …).
    batch
        The column of ``obs`` that names the batches.
    layer
        Where the counts are.

    Raises
    ------
    InputError
        If the data sets have no gene in common, a cell has no batch, or there are fewer than two batches.

    Warns
    -----
    PrismWarning
        If less than half of the genes are in common, or columns of ``obs`` that hold text in one data set and numbers
        in another were made text.
    """
    matrices = [checked_counts(cells, layer=layer) for cells in data_sets]
    genes, maps = _common_genes([[str(name) for name in names] for _, names in matrices])
    frames = _reconciled([cells.obs for cells in data_sets], batch)
    parts, library = [], []
    for (matrix, _), mapped, obs in zip(matrices, maps, frames, strict=True):
        counts, totals = _counts_and_library(matrix, mapped)
        library.append(totals)
        parts.append(AnnData(counts, obs=obs, var=pd.DataFrame(index=genes)))
    joined = anndata.concat(parts, join="outer", index_unique="-" if len(parts) > 1 else None)
    obs = joined.obs.assign(**{batch: _batches(joined.obs, batch, data_sets)})
    counts = joined.X.tocsr()
    expressed = np.asarray(counts.max(axis=0).todense()).ravel() > 0
    return Joined(
        counts[:, expressed].tocsr(),
        np.concatenate(library),
        tuple(g for g, keep in zip(genes, expressed, strict=True) if keep),
        obs,
        obs[batch].cat.codes.to_numpy(dtype=np.int64),
        tuple(len(names) for _, names in matrices),
        len(genes),
    )


def log_values(joined: Joined, *, target_sum: float) -> sparse.csr_matrix:
    """Return log1p counts per `target_sum` of each cell's library, float32 csr (cells, genes)."""
    return log_counts_per(joined.counts, library=joined.library, target_sum=target_sum)


def corrected_cells(joined: Joined, values: FloatArray, *, genes: Sequence[str], method: str) -> AnnData:
    """Return corrected expression (cells, genes) with what is known of the cells.

    ``uns["scprism"]`` says the method, how many genes each data set has, and how many all have.

    Raises
    ------
    PrismError
        If a value is not finite: nothing that is wrong leaves here.
    """
    wrong = ~np.isfinite(values)
    if wrong.any():
        genes_hit, cells_hit = int(wrong.any(axis=0).sum()), int(wrong.any(axis=1).sum())
        first = some(np.asarray(genes)[wrong.any(axis=0)], limit=3)
        msg = (
            f"method={method!r} made {int(wrong.sum()):,} values that are not finite, in {genes_hit:,} genes ({first}) "
            f"and {cells_hit:,} cells, so there is no result. A batch of few cells, or of cells that are all alike, is "
            f"the usual cause; batches have {some(_sizes(joined), limit=8)} cells. Leave such a batch out, or use "
            "another method."
        )
        raise PrismError(msg)
    record = {"method": method, "n_genes": np.array(joined.n_genes), "n_common_genes": joined.n_common}
    return AnnData(
        values.astype(np.float32, copy=False),
        obs=joined.obs.copy(),
        var=pd.DataFrame(index=list(genes)),
        uns={"scprism": record},
    )


def _sizes(joined: Joined) -> list[str]:
    return [str(size) for size in np.bincount(joined.batches)]


def _common_genes(names: list[list[str]]) -> tuple[list[str], list[GeneMap]]:
    """Return the genes that all data sets have, sorted, and where they are in each."""
    organisms = [query_organism(there, told=None) for there in names]
    first = next((organism for organism in organisms if organism is not None), None)
    genes = sorted(set(names[0]))
    found = [
        find_genes(genes, there, organism=organisms[0] or first, source=organism)
        for there, organism in zip(names, organisms, strict=True)
    ]
    common = [i for i in range(len(genes)) if all(there[i].positions for there in found)]
    if not common:
        firsts = some([there[0] for there in names])
        msg = f"The data sets have no gene in common; their first ones are {firsts}. Use symbols or Ensembl ids."
        raise InputError(msg)
    fewest = min(len(set(there)) for there in names)
    if len(common) < USUAL_SHARE * fewest:
        sizes = ", ".join(f"{len(there):,}" for there in names)
        msg = (
            f"Only {len(common):,} genes are in all data sets, which have {sizes}: {len(common) / fewest:.0%} of the "
            f"smallest. The first ones of each are {some([there[0] for there in names])}."
        )
        warn(msg)
    maps = [gene_map(there, [hit[i].positions for i in common]) for there, hit in zip(names, found, strict=True)]
    return [genes[i] for i in common], maps


def _counts_and_library(matrix: Matrix, mapped: GeneMap) -> tuple[sparse.csr_matrix, FloatArray]:
    blocks = [(mapped.pick(chunk), chunk @ mapped.in_library) for _, chunk in row_chunks(matrix)]
    counts = sparse.vstack([picked for picked, _ in blocks], format="csr")
    return counts, np.concatenate([np.asarray(totals, dtype=np.float64) for _, totals in blocks])


def _reconciled(frames: list[pd.DataFrame], batch: str) -> list[pd.DataFrame]:
    """Return each data set's ``obs`` with the batch, columns of one name being of one kind."""
    obs = [frame.copy() for frame in frames]
    for number, frame in enumerate(obs):
        if batch not in frame:
            frame[batch] = str(number)
    mixed = []
    for column in dict.fromkeys(column for frame in obs for column in frame.columns):
        having = [frame for frame in obs if column in frame]
        if len({_kind_of(frame[column]) for frame in having if frame[column].notna().any()}) > 1:
            mixed.append(str(column))
            for frame in having:
                frame[column] = _as_text(frame[column])
    if mixed and mixed != [batch]:
        msg = (
            f"{len(mixed):,} columns of obs hold text in one data set and numbers in another, and were made text: "
            f"{some(mixed)}."
        )
        warn(msg)
    return obs


def _kind_of(values: "pd.Series[str]") -> str:
    """Return what a column holds: numbers, booleans, or text."""
    dtype = values.cat.categories.dtype if isinstance(values.dtype, pd.CategoricalDtype) else values.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "booleans"
    return "numbers" if pd.api.types.is_numeric_dtype(dtype) else "text"


def _as_text(values: "pd.Series[str]") -> "pd.Series[pd.CategoricalDtype[str]]":
    return values.astype(object).map(str, na_action="ignore").astype("category")


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
