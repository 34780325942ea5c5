"""The evidence for a unit's card: its genes, the labels in which it is active, the cells with most of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from scprism.errors import InputError
from scprism.types import FloatArray
from scprism.units.record import Units

__all__ = ["label_aurocs", "top_cells", "top_genes"]


def top_genes(units: Units, genes: Sequence[str], *, n_genes: int = 10) -> pd.DataFrame:
    """Return each unit's leading genes, one row a unit and gene.

    Columns: ``unit``, ``rank`` from 1, ``gene``, ``weight`` (log1p counts per 10,000 at activity 1), ``low`` and
    ``high`` (its range over the runs in which the unit came back). Genes are ranked by how much they count for the
    activity, that is weight times gene weight; genes of weight 0 are left out.

    Raises
    ------
    InputError
        If `genes` are not as many as the units'.
    """
    if len(genes) != units.programs.shape[1]:
        msg = f"`genes` must name the {units.programs.shape[1]:,} genes of the units, got {len(genes):,}."
        raise InputError(msg)
    rows = []
    for number, unit in enumerate(units.names):
        counted = units.programs[number] * units.gene_weights
        for rank, gene in enumerate(np.argsort(-counted, kind="stable")[:n_genes], start=1):
            weights = (float(part[number, gene]) for part in (units.programs, units.low, units.high))
            if counted[gene] > 0:
                rows.append((unit, rank, genes[gene], *weights))
    return pd.DataFrame(rows, columns=["unit", "rank", "gene", "weight", "low", "high"])


def label_aurocs(activities: FloatArray, labels: Sequence[str] | np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return the AUROC of each unit's activity for the cells of each label against all others (units × labels).

    It is the probability that a cell of the label has more of the unit than another cell (ties count half); 0.5: no
    difference. Cells whose label is missing are left out; a label that all cells have gets NaN.

    Parameters
    ----------
    activities
        From `activity`, (cells, units).
    names
        The units' names.

    Examples
    --------
    >>> label_aurocs(np.array([[0.0], [1.0], [2.0]]), ["T", "T", "B"], ["U01"])
           B    T
    U01  1.0  0.0
    """
    column = pd.Series(np.asarray(labels, dtype=object))
    known = column.notna().to_numpy()
    codes, found = pd.factorize(column[known].astype(str), sort=True)
    ranks = stats.rankdata(activities[known], axis=0)  # (cells, units)
    columns = {}
    for code, label in enumerate(found):
        inside = codes == code
        n_inside, n_outside = int(inside.sum()), int((~inside).sum())
        wins = ranks[inside].sum(axis=0) - n_inside * (n_inside + 1) / 2
        columns[label] = wins / (n_inside * n_outside) if n_outside else np.full(ranks.shape[1], np.nan)
    return pd.DataFrame(columns, index=list(names))


def top_cells(activities: FloatArray, *, n_cells: int = 10) -> np.ndarray:
    """Return the numbers of the cells with most of each unit, most first, int (units, cells); ties in cell order.

    Examples
    --------
    >>> top_cells(np.array([[0.1], [0.9], [0.5]]), n_cells=2)
    array([[1, 2]])
    """
    return np.argsort(-activities, axis=0, kind="stable")[:n_cells].T
