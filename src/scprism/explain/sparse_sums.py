"""Kernels that add up maps which are multiplied by the cell's values: only stored genes are computed.

Products are float32, sums float64. A task is a range of genes, for all cells.
"""

from concurrent.futures import Executor
from typing import TypeAlias

import numpy as np
import scipy.linalg.blas  # noqa: F401  numba's np.dot calls it; it must be loaded before threads are limited
from scipy import sparse

from scprism._threads import compiled, spread
from scprism.types import FloatArray, IntArray

__all__ = ["add_outer_products", "add_scaled_differences", "add_scaled_maps"]

_TILE = 1024  # genes of a task

Rows: TypeAlias = tuple[FloatArray, IntArray, IntArray]
"""Data, indices and indptr of a CSR matrix with sorted indices."""


def add_scaled_maps(
    totals: FloatArray,
    coefficients: FloatArray,
    by_gene: FloatArray,
    *,
    codes: IntArray,
    rows: sparse.csr_matrix,
    pool: Executor | None = None,
) -> None:
    """Add each cell's ``row * (coefficients @ W1)`` and its absolute value to its group's totals.

    Parameters
    ----------
    totals
        Float64 (2, groups, genes, directions), signed and absolute, added to.
    coefficients
        Float32 (cells, directions, hidden).
    by_gene
        ``W1``, float32 (genes, hidden).
    codes
        Group of each cell.
    rows
        What the maps are multiplied by, CSR float32 (cells, genes) with sorted indices.
    """
    arguments = (coefficients, by_gene, codes, (rows.data, rows.indices, rows.indptr), totals)
    spread(_scaled_tasks, arguments, n_tasks=-(-len(by_gene) // _TILE), pool=pool)


def add_scaled_differences(
    totals: FloatArray,
    coefficients: FloatArray,
    by_gene: FloatArray,
    *,
    codes: IntArray,
    rows: sparse.csr_matrix,
    others: sparse.csr_matrix,
    pool: Executor | None = None,
) -> None:
    """Add each cell's ``mean_j (row - other_j) * (c_j @ W1)`` and its absolute value to its group's totals.

    Parameters
    ----------
    totals, by_gene, codes, rows
        As for `add_scaled_maps`.
    coefficients
        ``c_j``, float32 (cells, others, directions, hidden).
    others
        CSR float32 (others, genes) with sorted indices.
    """
    mean = coefficients.mean(axis=1, keepdims=True)
    shares = others.data / -np.float32(others.shape[0])
    sides = ((rows.data, rows.indices, rows.indptr), (shares, others.indices, others.indptr))
    arguments = (np.concatenate([mean, coefficients], axis=1), by_gene, codes, sides, totals)
    spread(_difference_tasks, arguments, n_tasks=-(-len(by_gene) // _TILE), pool=pool)


def add_outer_products(
    totals: FloatArray,
    gates: FloatArray,
    *,
    codes: IntArray,
    rows: sparse.csr_matrix,
    pool: Executor | None = None,
) -> None:
    """Add each cell's outer product of row and gate to its group's total.

    Parameters
    ----------
    totals
        Float64 (groups, genes, hidden), added to.
    gates
        Float32 (cells, hidden).
    codes, rows
        As for `add_scaled_maps`.
    """
    arguments = (gates, codes, (rows.data, rows.indices, rows.indptr), totals)
    spread(_outer_tasks, arguments, n_tasks=-(-totals.shape[1] // _TILE), pool=pool)


@compiled
def _stored(rows: Rows, cell: int, task: int) -> tuple[FloatArray, IntArray]:
    """Return the values of a cell at the genes of a task, and these genes."""
    data, indices, indptr = rows
    first, last = indptr[cell], indptr[cell + 1]
    a = first + np.searchsorted(indices[first:last], task * _TILE)
    b = first + np.searchsorted(indices[first:last], (task + 1) * _TILE)
    return data[a:b], indices[a:b]


@compiled
def _scaled_map(
    values: FloatArray, genes: IntArray, by_gene: FloatArray, coefficients: FloatArray, space: FloatArray
) -> FloatArray:
    """Return the map of one cell at the given genes, times its values, (genes, directions)."""
    n, n_directions = len(genes), len(coefficients)
    picked = np.empty((n, by_gene.shape[1]), np.float32)
    for j in range(n):
        picked[j] = by_gene[genes[j]]
    product = space[: n * n_directions].reshape(n, n_directions)
    np.dot(picked, coefficients.T, product)
    for j in range(n):
        for d in range(n_directions):
            product[j, d] *= values[j]
    return product


@compiled
def _add_both(signed: FloatArray, absolute: FloatArray, values: FloatArray) -> None:
    for d in range(len(values)):
        signed[d] += values[d]
        absolute[d] += abs(values[d])


@compiled
def _scaled_tasks(
    coefficients: FloatArray,
    by_gene: FloatArray,
    codes: IntArray,
    rows: Rows,
    totals: FloatArray,
    start: int,
    stop: int,
) -> None:
    space = np.empty(_TILE * coefficients.shape[1], np.float32)
    for task in range(start, stop):
        for i in range(len(coefficients)):
            values, genes = _stored(rows, i, task)
            if len(genes) > 0:
                product = _scaled_map(values, genes, by_gene, coefficients[i], space)
                for j in range(len(genes)):
                    _add_both(totals[0, codes[i], genes[j]], totals[1, codes[i], genes[j]], product[j])


@compiled
def _difference_tasks(
    coefficients: FloatArray,
    by_gene: FloatArray,
    codes: IntArray,
    sides: tuple[Rows, Rows],
    totals: FloatArray,
    start: int,
    stop: int,
) -> None:
    n_terms, n_directions = coefficients.shape[1], coefficients.shape[2]
    space = np.empty(_TILE * n_directions, np.float32)
    for task in range(start, stop):
        low, high = task * _TILE, min((task + 1) * _TILE, len(by_gene))
        for i in range(len(coefficients)):
            whole = np.zeros((high - low, n_directions), np.float32)
            for k in range(n_terms):
                # The first term is the cell itself, the others what it is compared with.
                values, genes = _stored(sides[0], i, task) if k == 0 else _stored(sides[1], k - 1, task)
                if len(genes) > 0:
                    product = _scaled_map(values, genes, by_gene, coefficients[i, k], space)
                    for j in range(len(genes)):
                        for d in range(n_directions):
                            whole[genes[j] - low, d] += product[j, d]
            for g in range(high - low):
                _add_both(totals[0, codes[i], low + g], totals[1, codes[i], low + g], whole[g])


@compiled
def _outer_tasks(gates: FloatArray, codes: IntArray, rows: Rows, totals: FloatArray, start: int, stop: int) -> None:
    for task in range(start, stop):
        for i in range(len(gates)):
            values, genes = _stored(rows, i, task)
            for j in range(len(genes)):
                total = totals[codes[i], genes[j]]
                for h in range(gates.shape[1]):
                    total[h] += np.float64(values[j]) * gates[i, h]
