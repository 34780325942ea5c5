"""Cells whose values were checked once, so that every step after that can use them as they are."""

from dataclasses import dataclass

import pandas as pd
from anndata import AnnData

from scprism.read.counts import checked_counts
from scprism.types import Matrix

__all__ = ["CheckedCells", "check_cells"]


@dataclass(frozen=True, eq=False)
class CheckedCells:
    """Cells that `check_cells` has passed.

    Attributes
    ----------
    cells
        As they came; nothing of them is copied.
    matrix, genes
        The values, cells by genes, and the names of the genes.
    layer
        Where the values are, as in `scprism.read.counts.find_counts`.
    integers
        Whether the values are known to be raw counts.
    """

    cells: AnnData
    matrix: Matrix
    genes: pd.Index
    layer: str | None
    integers: bool


def check_cells(cells: AnnData | CheckedCells, *, layer: str | None = None, integers: bool = True) -> CheckedCells:
    """Return cells with their values found and checked; cells that were checked before are returned as they are.

    Arguments and errors: `scprism.read.counts.checked_counts`. Of cells that were checked, the values stay those that
    were checked, whatever `layer` says.
    """
    if isinstance(cells, CheckedCells):
        if cells.integers or not integers:
            return cells
        cells, layer = cells.cells, cells.layer
    matrix, genes = checked_counts(cells, layer=layer, integers=integers)
    return CheckedCells(cells, matrix, genes, layer, integers)
