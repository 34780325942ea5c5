"""Which genes make the activity of units, per group of cells, exactly and streamed."""

from collections.abc import Iterable

import numpy as np
from scipy import sparse

from scprism._compiled import compiled
from scprism.types import FloatArray, IntArray
from scprism.units.inference import activity_through, unit_system
from scprism.units.record import Units

__all__ = ["sum_attributions"]


def sum_attributions(
    units: Units,
    chunks: Iterable[tuple[sparse.csr_matrix, IntArray]],
    *,
    n_groups: int,
    present: np.ndarray | None = None,
) -> tuple[FloatArray, FloatArray, IntArray, float]:
    """Return sums over the cells of each group of what genes add to the activities of units.

    Among cells with the same active units an activity is a linear function of the expression, so that what a gene adds
    is its coefficient times its expression, and the parts sum to the activity (`scprism.units.inference.why`).

    Parameters
    ----------
    units
        What `fit_units` returned.
    chunks
        Pairs of log1p counts per 10,000, CSR (cells, genes), and the group of each cell, −1 for none.
    n_groups
        The number of groups; cells in none are added to one more row.
    present
        Which genes the cells were measured for, bool (genes,); None: all.

    Returns
    -------
    signed, absolute
        Sums of the parts and of their absolute values, float64 (groups + 1, units, genes).
    n_cells
        Cells of each row.
    gap
        The largest difference between the sum of a cell's parts and its activity, over the largest activity.
    """
    loadings, gram = unit_system(units, present)
    signed = np.zeros((n_groups + 1, loadings.shape[0], len(gram)))
    absolute, n_cells = np.zeros_like(signed), np.zeros(n_groups + 1, dtype=np.int64)
    largest_gap, largest = 0.0, 0.0
    for values, codes in chunks:
        rows = np.where(codes < 0, n_groups, codes).astype(np.int64)
        n_cells += np.bincount(rows, minlength=n_groups + 1)
        amounts = activity_through(loadings, gram, values)
        stored = (values.indptr, values.indices, values.data)
        gap = _add_parts(stored, loadings, gram, amounts, rows, (signed, absolute))
        largest_gap, largest = max(largest_gap, gap), max(largest, float(amounts.max(initial=0.0)))
    gap = largest_gap / largest if largest > 0 else 0.0
    return signed.transpose(0, 2, 1), absolute.transpose(0, 2, 1), n_cells, gap


@compiled
def _add_parts(
    stored: tuple[np.ndarray, np.ndarray, np.ndarray],
    loadings: np.ndarray,
    gram: np.ndarray,
    amounts: np.ndarray,
    rows: np.ndarray,
    sums: tuple[np.ndarray, np.ndarray],
) -> float:
    """Add each cell's parts to the row of its group and return the largest gap to its activities."""
    indptr, indices, data = stored
    signed, absolute = sums
    largest_gap = 0.0
    for cell in range(len(indptr) - 1):
        active = np.flatnonzero(amounts[cell] > 0)
        n_active = len(active)
        if n_active == 0:
            continue
        part_of_gram = np.empty((n_active, n_active))
        for i in range(n_active):
            for j in range(n_active):
                part_of_gram[i, j] = gram[active[i], active[j]]
        inverse = np.linalg.inv(part_of_gram)
        total = np.zeros(n_active)
        for entry in range(indptr[cell], indptr[cell + 1]):
            gene = indices[entry]
            for i in range(n_active):
                part = 0.0
                for j in range(n_active):
                    part += inverse[i, j] * loadings[gene, active[j]]
                part *= data[entry]
                total[i] += part
                signed[rows[cell], gene, active[i]] += part
                absolute[rows[cell], gene, active[i]] += abs(part)
        for i in range(n_active):
            largest_gap = max(largest_gap, abs(total[i] - amounts[cell, active[i]]))
    return largest_gap
