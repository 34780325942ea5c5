"""Corrected expression of several batches in one data set."""

from collections.abc import Sequence

import anndata
import numpy as np
import pandas as pd
import scanpy
from anndata import AnnData
from scipy import sparse

from scprism._check import some
from scprism.errors import InputError
from scprism.prepare.learn import map_by_name
from scprism.prepare.normalise import log_counts_per
from scprism.read.chunks import row_chunks
from scprism.read.counts import checked_counts

__all__ = ["combat"]


def combat(data_sets: Sequence[AnnData], *, batch: str, layer: str | None = None, target_sum: float = 1e4) -> AnnData:
    """Return all cells in the genes that every data set has, log1p normalised and corrected by ComBat.

    Parameters
    ----------
    data_sets
        Raw counts, cells by genes; one data set or several. Several are joined, and where they lack the column `batch`
        it is added, with the place of each (0, 1, …).
    batch
        The column of ``obs`` that names the batches.
    layer
        Where the counts are.
    target_sum
        Counts a cell before the logarithm.

    Returns
    -------
    AnnData
        ``X``: corrected log1p expression, dense float32 (cells, genes); it can be negative, so train on it with
        ``normalise="none"`` and ``negative_values="clip"`` or ``"keep"``.

    Raises
    ------
    InputError
        If the data sets share no gene, or there are fewer than two batches.

    References
    ----------
    Johnson, Li and Rabinovic, Biostatistics 8:118 (2007), as scanpy implements it.
    """
    matrices = [checked_counts(cells, layer=layer) for cells in data_sets]
    genes = sorted(set.intersection(*(set(names) for _, names in matrices)))
    if not genes:
        firsts = some([str(names[0]) for _, names in matrices])
        msg = f"The data sets share no gene; their first ones are {firsts}. Use symbols of one organism in all of them."
        raise InputError(msg)
    parts = []
    for place, (cells, (matrix, names)) in enumerate(zip(data_sets, matrices, strict=True)):
        gene_map = map_by_name(list(names), genes)
        blocks = []
        for _, chunk in row_chunks(matrix):
            library = np.asarray(chunk @ gene_map.in_library, dtype=np.float64)
            picked = sparse.csr_matrix(chunk @ gene_map.selection)
            blocks.append(log_counts_per(picked, library=library, target_sum=target_sum))
        obs = cells.obs.copy() if batch in cells.obs else cells.obs.assign(**{batch: str(place)})
        parts.append(AnnData(sparse.vstack(blocks, format="csr"), obs=obs, var=pd.DataFrame(index=genes)))
    joined = anndata.concat(parts, join="outer", index_unique="-" if len(parts) > 1 else None)
    joined.obs[batch] = pd.Categorical(joined.obs[batch].astype(str))
    if joined.obs[batch].nunique() < 2:
        msg = f"Batch correction needs at least two batches, {batch!r} has {some(joined.obs[batch].unique())}."
        raise InputError(msg)
    expressed = np.asarray(joined.X.max(axis=0).todense()).ravel() > 0
    joined = joined[:, expressed].copy()
    joined.X = scanpy.pp.combat(joined, key=batch, inplace=False).astype(np.float32)
    return joined
