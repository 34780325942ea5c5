"""Corrected expression of several batches in one data set, by ComBat."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scanpy
from anndata import AnnData

from scprism.integration.joined import corrected_cells, join_data_sets, log_values

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
        If the data sets share no gene, a cell has no batch, or there are fewer than two batches.

    References
    ----------
    Johnson, Li and Rabinovic, Biostatistics 8:118 (2007), as scanpy implements it.
    """
    joined = join_data_sets(data_sets, batch=batch, layer=layer)
    cells = AnnData(
        log_values(joined, target_sum=target_sum), obs=joined.obs[[batch]], var=pd.DataFrame(index=list(joined.genes))
    )
    with np.errstate(divide="ignore"):  # its test of convergence divides by what it starts from, which may be 0
        values = scanpy.pp.combat(cells, key=batch, inplace=False)
    return corrected_cells(joined, values, genes=joined.genes)
