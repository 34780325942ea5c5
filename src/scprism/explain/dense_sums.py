"""Kernels that add up the maps of cells at all genes, each map made, used and forgotten in the processor's cache."""

from concurrent.futures import Executor

import numpy as np
import scipy.linalg.blas  # noqa: F401  numba's np.dot calls it; it must be loaded before threads are limited

from scprism._threads import compiled, spread
from scprism.types import FloatArray, IntArray

__all__ = ["add_absolute_maps", "add_dense_maps"]

_WIDE = 1024  # genes of a task where directions are few; else a task is a direction
_MANY = 16
_RUN = 64  # cells summed in float32: few enough for an error below 1e-6 of the sum
_TILE = 256  # genes of one product: with some 500 cells it stays in the second-level cache


def add_absolute_maps(
    totals: FloatArray,
    coefficients: FloatArray,
    by_hidden: FloatArray,
    *,
    codes: IntArray,
    pool: Executor | None = None,
) -> None:
    """Add each cell's ``|coefficients @ W1|`` to its group's total, products in float32 and sums in float64.

    Parameters
    ----------
    totals
        Float64 (groups, directions, genes), added to.
    coefficients
        Float32 (cells, directions, hidden). Hidden units whose coefficients are 0 in all these cells cost nothing:
        for the guided rule about half of them.
    by_hidden
        ``W1``, float32 (hidden, genes).
    codes
        Group of each cell; fastest if sorted.
    """
    wide, n_tasks = _tasks(coefficients.shape[1], by_hidden.shape[1])
    spread(_absolute_tasks, (coefficients, by_hidden, wide, codes, totals), n_tasks=n_tasks, pool=pool)


def add_dense_maps(
    totals: FloatArray,
    coefficients: FloatArray,
    by_hidden: FloatArray,
    *,
    codes: IntArray,
    rows: FloatArray,
    pool: Executor | None = None,
) -> None:
    """Add each cell's ``row * (coefficients @ W1)`` and its absolute value to its group's totals.

    Parameters
    ----------
    totals
        Float64 (2, groups, genes, directions), signed and absolute, added to.
    coefficients, by_hidden, codes
        As for `add_absolute_maps`.
    rows
        What the maps are multiplied by, float32 (cells, genes).
    """
    wide, n_tasks = _tasks(coefficients.shape[1], by_hidden.shape[1])
    spread(_dense_tasks, (coefficients, by_hidden, wide, (codes, rows), totals), n_tasks=n_tasks, pool=pool)


def _tasks(n_directions: int, n_genes: int) -> tuple[int, int]:
    """Return the genes of a task and the number of tasks."""
    wide = n_genes if n_directions >= _MANY else _WIDE
    return wide, n_directions * -(-n_genes // wide)


@compiled
def _live_columns(coefficients: FloatArray, direction: int) -> IntArray:
    n_hidden = coefficients.shape[2]
    live = np.empty(n_hidden, np.int64)
    n_live = 0
    for h in range(n_hidden):
        for i in range(len(coefficients)):
            if coefficients[i, direction, h] != 0:
                live[n_live] = h
                n_live += 1
                break
    return live[:n_live]


@compiled
def _left_side(coefficients: FloatArray, direction: int, live: IntArray) -> FloatArray:
    left = np.empty((len(coefficients), len(live)), np.float32)
    for i in range(len(coefficients)):
        for a in range(len(live)):
            left[i, a] = coefficients[i, direction, live[a]]
    return left


@compiled
def _map_tile(left: FloatArray, live: IntArray, by_hidden: FloatArray, low: int, space: FloatArray) -> FloatArray:
    """Return every cell's map of one direction at the genes of a tile that starts at `low`, (cells, genes)."""
    width = min(_TILE, by_hidden.shape[1] - low)
    right = np.empty((len(live), width), np.float32)
    for a in range(len(live)):
        right[a] = by_hidden[live[a]][low : low + width]
    product = space[: len(left) * width].reshape(len(left), width)
    np.dot(left, right, product)
    return product


@compiled
def _add_absolute_runs(product: FloatArray, codes: IntArray, run: FloatArray, totals: FloatArray) -> None:
    # Cells of one group that follow each other are summed four at a time in float32, then added to the float64 total.
    n, width = product.shape
    i = 0
    while i < n:
        j = i
        while j < min(n, i + _RUN) and codes[j] == codes[i]:
            j += 1
        run[:] = 0
        whole = i + (j - i) // 4 * 4
        for r in range(i, whole, 4):
            y0, y1, y2, y3 = product[r], product[r + 1], product[r + 2], product[r + 3]
            for g in range(width):
                run[g] += (abs(y0[g]) + abs(y1[g])) + (abs(y2[g]) + abs(y3[g]))
        for r in range(whole, j):
            y0 = product[r]
            for g in range(width):
                run[g] += abs(y0[g])
        total = totals[codes[i]]
        for g in range(width):
            total[g] += run[g]
        i = j


@compiled
def _absolute_tasks(
    coefficients: FloatArray,
    by_hidden: FloatArray,
    wide: int,
    codes: IntArray,
    totals: FloatArray,
    start: int,
    stop: int,
) -> None:
    n_genes = by_hidden.shape[1]
    n_parts = (n_genes + wide - 1) // wide
    space = np.empty(len(codes) * _TILE, np.float32)
    run = np.empty(_TILE, np.float32)
    for task in range(start, stop):
        d, part = task // n_parts, task % n_parts
        live = _live_columns(coefficients, d)
        left = _left_side(coefficients, d, live)
        for low in range(part * wide, min((part + 1) * wide, n_genes), _TILE):
            product = _map_tile(left, live, by_hidden, low, space)
            _add_absolute_runs(product, codes, run, totals[:, d, low:])


@compiled
def _add_scaled_cells(
    product: FloatArray, rows: FloatArray, low: int, signed: FloatArray, absolute: FloatArray
) -> None:
    n, width = product.shape
    signed[:] = 0
    absolute[:] = 0
    for j in range(n):
        map_row, row = product[j], rows[j][low : low + width]  # sliced so, the compiler sees it is contiguous
        for g in range(width):
            value = map_row[g] * row[g]
            signed[g] += value
            absolute[g] += abs(value)


@compiled
def _add_scaled_runs(
    product: FloatArray, rows: FloatArray, low: int, codes: IntArray, runs: FloatArray, totals: FloatArray
) -> None:
    n, width = product.shape
    signed, absolute = runs[0][:width], runs[1][:width]
    i = 0
    while i < n:
        j = i
        while j < min(n, i + _RUN) and codes[j] == codes[i]:
            j += 1
        _add_scaled_cells(product[i:j], rows[i:j], low, signed, absolute)
        for g in range(width):
            totals[0, codes[i], g] += signed[g]
            totals[1, codes[i], g] += absolute[g]
        i = j


@compiled
def _dense_tasks(
    coefficients: FloatArray,
    by_hidden: FloatArray,
    wide: int,
    cells: tuple[IntArray, FloatArray],
    totals: FloatArray,
    start: int,
    stop: int,
) -> None:
    codes, rows = cells
    n_genes = by_hidden.shape[1]
    n_parts = (n_genes + wide - 1) // wide
    space = np.empty(len(codes) * _TILE, np.float32)
    runs = np.empty((2, _TILE), np.float32)
    for task in range(start, stop):
        d, part = task // n_parts, task % n_parts
        live = _live_columns(coefficients, d)
        left = _left_side(coefficients, d, live)
        for low in range(part * wide, min((part + 1) * wide, n_genes), _TILE):
            product = _map_tile(left, live, by_hidden, low, space)
            _add_scaled_runs(product, rows, low, codes, runs, totals[:, :, low:, d])
