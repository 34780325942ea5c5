"""Nearest reference cells: exact for references of usual size, by an inverted file of FAISS for large ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.neighbors import NearestNeighbors

from scprism.types import FloatArray, IntArray

__all__ = ["BLOCK", "EXACT_UP_TO", "Finder", "Neighbours", "Scaling", "neighbour_finder", "placed", "scaling_of"]

EXACT_UP_TO = 20_000
"""Reference cells up to which the search is exact. It depends on the reference alone, so that a cell's label does not
change with the cells that are labelled beside it."""
LISTS_PER_ROOT = 3.2
"""Lists of the inverted file, as a multiple of the root of the number of reference cells: 1,012 for 100,000."""
LISTS_SEARCHED = 16
"""With this the recall is 0.999 on clustered data (`benchmarks/labels.py`)."""
BLOCK = 16_384
"""Query cells searched at once; bounds memory."""


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each unit over the reference, (units,); a constant unit keeps a spread of 1."""

    mean: FloatArray
    spread: FloatArray

    def apply(self, latent: FloatArray) -> FloatArray:
        """Return standardised latent values, (cells, units)."""
        return ((latent - self.mean) / self.spread).astype(np.float32)


@dataclass(frozen=True)
class Neighbours:
    """The nearest reference cells of each query cell, nearest first.

    Attributes
    ----------
    distance
        float32 (cells, neighbours).
    cell
        Places in the reference, int64 (cells, neighbours).
    """

    distance: FloatArray
    cell: IntArray

    def of(self, cells: IntArray) -> "Neighbours":
        """Return the neighbours of some of the query cells, by their places."""
        return Neighbours(self.distance[cells], self.cell[cells])

    def without(self, own: IntArray) -> "Neighbours":
        """Return one neighbour fewer: the reference cell `own` (cells,) left out, or the farthest where it is none."""
        is_own = self.cell == own[:, None]
        drop = np.where(is_own.any(axis=1), is_own.argmax(axis=1), self.cell.shape[1] - 1)
        kept = np.arange(self.cell.shape[1]) != drop[:, None]
        shape = (len(self.cell), self.cell.shape[1] - 1)
        return Neighbours(self.distance[kept].reshape(shape), self.cell[kept].reshape(shape))


Finder: TypeAlias = Callable[[FloatArray, int], Neighbours]


def scaling_of(latent: FloatArray) -> Scaling:
    """Return mean and spread of a reference's latent (cells, units)."""
    values = latent.astype(np.float64)
    spread = values.std(axis=0)
    return Scaling(values.mean(axis=0), np.where(spread > 0, spread, 1.0))


def neighbour_finder(
    reference: FloatArray, *, metric: Literal["cosine", "euclidean"], exact: bool | None = None
) -> Finder:
    """Return a function from a query latent (cells, units) and a number of neighbours to the `Neighbours`.

    The same reference and query give the same result on any number of threads.

    Parameters
    ----------
    reference
        Latent, (cells, units).
    metric
        Cosine distance is 1 − cosine, between 0 and 2; a cell whose latent is zero is at distance 1 from every other.
    exact
        Whether to compare with every reference cell; None for that up to `EXACT_UP_TO` of them.
    """
    is_exact = len(reference) <= EXACT_UP_TO if exact is None else exact
    points = placed(reference, metric)
    search = _exact_search(points) if is_exact else _inverted_file(points)

    def find(query: FloatArray, k: int) -> Neighbours:
        query = placed(query, metric)
        k = min(k, len(points))
        distance = np.empty((len(query), k), dtype=np.float32)
        cell = np.empty((len(query), k), dtype=np.int64)
        for start in range(0, len(query), BLOCK):
            rows = slice(start, start + BLOCK)
            distance[rows], cell[rows] = search(query[rows], k)
        if metric == "cosine":
            distance = (np.square(distance) / 2).astype(np.float32)
            distance[~np.any(query != 0, axis=1)] = 1
        return Neighbours(distance, cell)

    return find


def placed(latent: FloatArray, metric: Literal["cosine", "euclidean"]) -> FloatArray:
    """Return points whose Euclidean distances order cells as `metric` does, float32 (cells, units).

    For cosine they lie on the unit sphere, where the squared Euclidean distance is twice the cosine distance.
    """
    values = np.ascontiguousarray(latent, dtype=np.float32)
    if metric == "euclidean":
        return values
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    points: FloatArray = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
    return points


def _exact_search(points: FloatArray) -> Callable[[FloatArray, int], tuple[Any, Any]]:
    search = NearestNeighbors(algorithm="brute").fit(points)
    return lambda query, k: search.kneighbors(query, n_neighbors=k)


def _inverted_file(points: FloatArray) -> Callable[[FloatArray, int], tuple[Any, Any]]:
    import faiss  # not at the top: exact searches do without it

    n_lists = int(LISTS_PER_ROOT * np.sqrt(len(points)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(points.shape[1]), points.shape[1], n_lists, faiss.METRIC_L2)
    index.own_fields = False
    index.cp.niter, index.cp.max_points_per_centroid, index.nprobe = 10, 64, LISTS_SEARCHED
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # sums of the k-means in one order, whatever the number of threads
    try:
        index.train(points)
    finally:
        faiss.omp_set_num_threads(threads)
    index.add(points)

    def search(query: FloatArray, k: int) -> tuple[Any, Any]:
        squares, cells = index.search(query, k)
        short = np.flatnonzero(cells[:, -1] < 0)  # too few cells in the lists that were searched: search all of them
        if len(short):
            everywhere = faiss.SearchParametersIVF()
            everywhere.nprobe = n_lists
            squares[short], cells[short] = index.search(query[short], k, params=everywhere)
        return np.sqrt(np.maximum(squares, 0)), cells

    return search
