"""Several non-negative factorisations of the same cells side by side."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy import sparse

from scprism.types import FloatArray
from scprism.units.factorise_kernel import coordinate_pass

__all__ = ["factorised", "random_starts"]


def factorised(
    cells: sparse.csr_matrix, starts: Sequence[tuple[FloatArray, FloatArray]], *, iterations: int
) -> list[tuple[FloatArray, FloatArray]]:
    """Return activities (cells, programs) and programs (programs, genes) of each factorisation, float32.

    Each minimises the squared error of activities @ programs by exact steps in one coordinate after another, first of
    all activities, then of all programs (Cichocki and Phan 2009), as scikit-learn's NMF does. The products with the
    cells, most of the work, are made for all factorisations at once: three cost about as much as two alone.

    Parameters
    ----------
    cells
        Not negative, CSR (cells, genes).
    starts
        For each factorisation the activities and programs to start from, not negative.
    iterations
        Steps, each of all activities and all programs.

    Examples
    --------
    >>> cells = sparse.csr_matrix(np.outer([1.0, 2.0, 0.0], [3.0, 0.0, 1.0]))
    >>> activities, programs = factorised(cells, [(np.ones((3, 1)), np.ones((1, 3)))], iterations=20)[0]
    >>> (activities @ programs).round(3)
    array([[3., 0., 1.],
           [6., 0., 2.],
           [0., 0., 0.]], dtype=float32)
    """
    by_cell = sparse.csr_matrix(cells, dtype=np.float32)
    by_gene = sparse.csr_matrix(by_cell.T)
    ends = np.cumsum([0, *(len(programs) for _, programs in starts)])
    activities = np.concatenate([part for part, _ in starts], axis=1).astype(np.float32)  # (cells, all programs)
    loadings = np.concatenate([part for _, part in starts]).T.astype(np.float32, order="C")  # (genes, all programs)
    for _ in range(iterations):
        for matrix, given, sought in ((by_cell, loadings, activities), (by_gene, activities, loadings)):
            coordinate_pass(matrix.indptr, matrix.indices, matrix.data, given, given.T @ given, ends, sought)
    blocks = [slice(start, stop) for start, stop in pairwise(ends)]
    return [(activities[:, block], loadings[:, block].T) for block in blocks]


def random_starts(cells: sparse.csr_matrix, rank: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return random activities (cells, programs) and programs (programs, genes), float32, as scikit-learn draws them.

    With the same seed its NMF with ``init="random"`` starts there; their product is of the cells' size.
    """
    generator = np.random.RandomState(seed)  # scikit-learn's
    size = np.sqrt(cells.mean() / rank)
    programs = size * generator.standard_normal((rank, cells.shape[1])).astype(np.float32)
    activities = size * generator.standard_normal((cells.shape[0], rank)).astype(np.float32)
    return np.abs(activities).astype(np.float32), np.abs(programs).astype(np.float32)
