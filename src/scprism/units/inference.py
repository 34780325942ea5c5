"""Activities of units in cells: a fixed function of each cell, and which genes made it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse

from scprism._warnings import warn
from scprism.errors import InputError
from scprism.types import FloatArray
from scprism.units.record import Units

__all__ = [
    "activity",
    "activity_through",
    "per_ten_thousand",
    "share_of_programs",
    "unit_system",
    "warn_of_lacking",
    "why",
]

TOLERANCE = 1e-7  # float32 keeps no more
ROWS_A_CHUNK = 20_000
LEAST_SHARE = 0.5
"""Of which a query must have more of a unit, by weight, for its activity to pass without a warning."""


def per_ten_thousand(values: sparse.csr_matrix, *, target_sum: float) -> sparse.csr_matrix:
    """Return log1p counts per 10,000 from log1p counts per `target_sum`, the scale on which units are found.

    Examples
    --------
    >>> cpm = sparse.csr_matrix(np.log1p(np.array([[0.0, 200.0]])))
    >>> np.expm1(per_ten_thousand(cpm, target_sum=1e6).toarray()).round(3)
    array([[0., 2.]], dtype=float32)
    """
    data = np.log1p(np.expm1(values.data.astype(np.float64)) * (1e4 / target_sum)).astype(np.float32)
    return sparse.csr_matrix((data, values.indices, values.indptr), shape=values.shape)


def activity(
    units: Units, values: sparse.csr_matrix, present: np.ndarray | None = None, *, threads: int = 1
) -> FloatArray:
    """Return the activity of each unit in each cell, non-negative float32 (cells, units).

    A cell's expression is taken apart into the programs: its activities are the non-negative numbers whose sum of
    programs comes nearest to the cell (least squares with the units' gene weights; Lawson and Hanson 1974). They depend
    on that cell alone. An activity of 1 is as much as the most active hundredth of the training cells has.

    Parameters
    ----------
    units
        What `fit_units` returned.
    values
        log1p counts per 10,000 of the units' genes in their order, CSR (cells, genes).
    present
        Which genes the cells were measured for, bool (genes,); None: all. The others are left out of the comparison,
        not filled in.
    threads
        Cells are worked on side by side; the result is the same for any number.

    Raises
    ------
    InputError
        If the genes are not those of the units, or a unit has no gene left that is present.
    """
    _check_genes(units, values.shape[1])
    loadings, gram = unit_system(units, present)
    return activity_through(loadings, gram, values, threads=threads)


def activity_through(
    loadings: FloatArray, gram: FloatArray, values: sparse.csr_matrix, *, threads: int = 1, tell: bool = True
) -> FloatArray:
    """Return non-negative least-squares coefficients, float32 (cells, programs).

    Parameters
    ----------
    loadings
        Weighted programs, float64 (genes, programs).
    gram
        Their weighted inner products, float64 (programs, programs).
    tell
        Whether to warn of cells for which the coefficients are not settled to the last digits.
    """
    from scprism.units.kernel import nonnegative_rows

    values = sparse.csr_matrix(values)
    out = np.empty((values.shape[0], len(gram)), dtype=np.float32)

    def fill(start: int) -> int:
        stop = min(start + ROWS_A_CHUNK, values.shape[0])
        indptr = values.indptr[start : stop + 1]
        first, last = indptr[0], indptr[-1]
        entries = values.indices[first:last], values.data[first:last]
        return nonnegative_rows(indptr - first, *entries, loadings, gram, TOLERANCE, out[start:stop])

    starts = range(0, values.shape[0], ROWS_A_CHUNK)
    if threads == 1:
        unfinished = sum(map(fill, starts))
    else:
        with ThreadPoolExecutor(threads) as pool:
            unfinished = sum(pool.map(fill, starts))
    if unfinished and tell:
        warn(
            f"The activities of {unfinished:,} of {len(out):,} cells did not converge to the last digits: through the "
            "genes that these cells have, two units are nearly the same program."
        )
    return out


def why(units: Units, values: sparse.csr_matrix | FloatArray, present: np.ndarray | None = None) -> FloatArray:
    """Return how much of one cell's activities comes from each gene, float64 (units, genes).

    Each row sums to that unit's activity in the cell. Among cells with the same active units the activity is a linear
    function of the expression, so a gene's part is its expression times its coefficient; it may be negative, where a
    gene speaks for another active unit. Rows of inactive units are zero.

    Parameters
    ----------
    units
        What `fit_units` returned.
    values
        One cell's log1p counts per 10,000, (1, genes) or (genes,).
    present
        As in `activity`.

    Raises
    ------
    InputError
        If `values` holds more than one cell, or for the reasons of `activity`.
    """
    row = sparse.csr_matrix(values)
    if row.shape[0] != 1:
        msg = f"`values` must be one cell, (1, genes), got {row.shape[0]:,} cells."
        raise InputError(msg)
    _check_genes(units, row.shape[1])
    loadings, gram = unit_system(units, present)
    active = np.flatnonzero(activity_through(loadings, gram, row)[0])
    contributions = np.zeros((len(gram), row.shape[1]))
    coefficients = np.linalg.solve(gram[np.ix_(active, active)], loadings[:, active].T)  # (active, genes)
    contributions[active] = coefficients * row.toarray()
    return contributions


def unit_system(units: Units, present: np.ndarray | None = None) -> tuple[FloatArray, FloatArray]:
    """Return the weighted programs (genes, units) and their inner products, over the genes that are present.

    Raises
    ------
    InputError
        If `present` is no mask of the units' genes, or a unit has no gene left that is present.
    """
    n_genes = units.programs.shape[1]
    if present is not None and (present.shape != (n_genes,) or present.dtype != bool):
        msg = f"`present` must be bool, one value for each of {n_genes:,} genes, got {present.dtype} {present.shape}."
        raise InputError(msg)
    programs = units.programs.astype(np.float64) * (1.0 if present is None else present)
    loadings = np.ascontiguousarray((programs * units.gene_weights.astype(np.float64) ** 2).T)
    gram = programs @ loadings
    lost = [name for name, size in zip(units.names, np.diag(gram), strict=True) if size <= 0.0]
    if lost:
        msg = f"None of the genes of {', '.join(lost)} is present: the cells cannot be read through these units."
        raise InputError(msg)
    return loadings, gram


def share_of_programs(units: Units, present: np.ndarray) -> FloatArray:
    """Return how much of each unit the genes that are present hold, by weight, float64 (units,), 0 to 1."""
    counted = (units.programs * units.gene_weights).astype(np.float64)
    total = counted.sum(axis=1)
    return np.asarray(np.divide(counted @ present, total, out=np.zeros_like(total), where=total > 0))


def warn_of_lacking(units: Units, present: np.ndarray) -> None:
    """Warn of units of which most is not there, by the weight of their genes."""
    shares = zip(units.names, share_of_programs(units, present), strict=True)
    lacking = [f"{name} ({share:.0%} there)" for name, share in shares if share < LEAST_SHARE]
    if lacking:
        warn(
            f"The query lacks most of the genes, by weight, of {', '.join(lacking)}. Such activities rest on the few "
            "genes that are there: do not compare them with those of other data sets."
        )


def _check_genes(units: Units, n_genes: int) -> None:
    expected = units.programs.shape[1]
    if n_genes != expected:
        msg = f"`values` must have the {expected:,} genes of the units in their order, got {n_genes:,} genes."
        raise InputError(msg)
