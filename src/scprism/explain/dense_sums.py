"""A kernel that adds up the absolute maps of cells, each map made, used and forgotten in the processor's cache."""

from concurrent.futures import Executor

import numpy as np
import scipy.linalg.blas  # noqa: F401  numba's np.dot calls it; it must be loaded before threads are limited

from scprism.explain.kernel import compiled, spread
from scprism.types import FloatArray, IntArray

__all__ = ["add_absolute_maps"]

_WIDE = 1024  # genes of a task
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
    n_tasks = coefficients.shape[1] * -(-by_hidden.shape[1] // _WIDE)
    spread(_absolute_tasks, (coefficients, by_hidden, codes, totals), n_tasks=n_tasks, pool=pool)


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
def _add_absolute_runs(product: FloatArray, codes: IntArray, run: FloatArray, totals: FloatArray) -> None:
    # Cells of one group in a row are summed four at a time in float32, then added to the float64 total once.
    n, width = product.shape
    i = 0
    while i < n:
        j = i
        while j < n and codes[j] == codes[i]:
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
    coefficients: FloatArray, by_hidden: FloatArray, codes: IntArray, totals: FloatArray, start: int, stop: int
) -> None:
    n, n_genes = len(coefficients), by_hidden.shape[1]
    n_wide = (n_genes + _WIDE - 1) // _WIDE
    space = np.empty(n * _TILE, np.float32)
    run = np.empty(_TILE, np.float32)
    for task in range(start, stop):
        d, wide = task // n_wide, task % n_wide
        live = _live_columns(coefficients, d)
        left = np.empty((n, len(live)), np.float32)
        for i in range(n):
            for a in range(len(live)):
                left[i, a] = coefficients[i, d, live[a]]
        end = min((wide + 1) * _WIDE, n_genes)
        for low in range(wide * _WIDE, end, _TILE):
            high = min(low + _TILE, end)
            right = np.empty((len(live), high - low), np.float32)
            for a in range(len(live)):
                right[a] = by_hidden[live[a], low:high]
            product = space[: n * (high - low)].reshape(n, high - low)
            np.dot(left, right, product)
            _add_absolute_runs(product, codes, run[: high - low], totals[:, d, low:high])
