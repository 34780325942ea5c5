"""Nearest reference cells, and how much they speak for each label.

The search is exact for references of usual size, and by an inverted file of FAISS for large ones. Distances of the
cells found are computed again one by one, so that neither the order of cells nor what is searched beside changes a bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.neighbors import NearestNeighbors

from scprism.types import FloatArray, IntArray

__all__ = [
    "BLOCK",
    "EXACT_UP_TO",
    "Finder",
    "Neighbours",
    "Scaling",
    "equal_shares",
    "label_weights",
    "majority_label",
    "neighbour_finder",
    "neighbour_labels",
    "neighbour_shares",
    "points_of",
    "scaling_of",
]

EXACT_UP_TO = 16_000
"""Reference cells up to which the search is exact. It depends on the reference alone, so that a cell's label does not
change with the cells that are labelled beside it."""
LISTS_PER_ROOT = 3.2
"""Lists of the inverted file, as a multiple of the root of the number of reference cells: 1,012 for 100,000."""
LISTS_SEARCHED = 16
"""With this 0.99 of the nearest are found on clustered data (`benchmarks/labels.py speed`)."""
BLOCK = 16_384
"""Query cells searched at once; bounds memory."""
SPARE = 8
"""Neighbours that are searched beyond those asked for: their order is settled by distances computed exactly."""
EXACT_BLOCK = 1024
"""Query cells whose distances are computed exactly at once; bounds memory."""
SIZE_POWER = 0.25
"""A neighbour whose label has n reference cells weighs n to the power of minus this (`docs/labels.md`): half as much as
one whose label has a sixteenth of the cells. 1 would take labels for equally common in the query, 0 for as common as in
the reference."""


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
        Row numbers in the reference, int64 (cells, neighbours).
    """

    distance: FloatArray
    cell: IntArray


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

    The same reference and query give the same result on any number of threads; of reference cells at the same distance
    the one with the lower row number comes first.

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
    points = points_of(reference, metric)
    has_zeros = metric == "cosine" and not points.any(axis=1).all()
    points = _beside_zeros(points) if has_zeros else points
    search = _exact_search(points) if is_exact else _inverted_file(points)

    def find(query: FloatArray, k: int) -> Neighbours:
        asked = points_of(query, metric)
        is_zero = ~asked.any(axis=1)
        asked = _beside_zeros(asked) if has_zeros else asked
        k = min(k, len(points))
        distance = np.empty((len(asked), k), dtype=np.float32)
        cell = np.empty((len(asked), k), dtype=np.int64)
        for start in range(0, len(asked), BLOCK):
            rows = slice(start, start + BLOCK)
            candidates = search(asked[rows], min(k + SPARE, len(points)))
            distance[rows], cell[rows] = _nearest(asked[rows], points, np.sort(candidates, axis=1), k)
        if metric == "cosine":
            distance = (np.square(distance) / 2).astype(np.float32)
            distance[is_zero] = 1
        return Neighbours(distance, cell)

    return find


def points_of(latent: FloatArray, metric: Literal["cosine", "euclidean"]) -> FloatArray:
    """Return points whose Euclidean distances order cells as `metric` does, float32 (cells, units).

    For cosine they lie on the unit sphere, where the squared Euclidean distance is twice the cosine distance; a cell
    whose latent is zero stays at zero.
    """
    values = np.ascontiguousarray(latent, dtype=np.float32)
    if metric == "euclidean":
        return values
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    points: FloatArray = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
    return points


def neighbour_labels(
    reference: FloatArray,
    labels: IntArray,
    query: FloatArray,
    *,
    n_neighbours: int,
    metric: Literal["cosine", "euclidean"],
) -> IntArray:
    """Return the commonest label number among each query cell's nearest reference cells, (cells,).

    Parameters
    ----------
    reference, query
        Features on one scale, (cells, features).
    labels
        Label number of each reference cell, 0 to the number of labels − 1.
    n_neighbours
        Neighbours that count; fewer if the reference has fewer cells. Of equals, the label of the nearer ones wins.
    metric
        Distance between cells.
    """
    neighbours = neighbour_finder(reference, metric=metric)(query, n_neighbours)
    return majority_label(labels[neighbours.cell])


def label_weights(codes: IntArray, *, n_labels: int) -> FloatArray:
    """Return how much a neighbour of each label weighs, relative to one of the commonest label, float64 (labels,).

    Parameters
    ----------
    codes
        Label number of each reference cell, (cells,).
    n_labels
        How many labels there are; one without a cell counts as if it had one.

    Examples
    --------
    >>> label_weights(np.repeat([0, 1], [32, 2]), n_labels=2)
    array([1., 2.])
    """
    sizes = np.maximum(np.bincount(codes, minlength=n_labels), 1).astype(np.float64)
    weights: FloatArray = (sizes.max() / sizes) ** SIZE_POWER
    return weights


def equal_shares(labels: IntArray, *, n_labels: int) -> FloatArray:
    """Return each label's share of the neighbours, adding up to 1, float64 (cells, labels).

    All neighbours count the same but for a thousandth, by which of equals the label of the nearer ones wins.

    Parameters
    ----------
    labels
        Labels of each cell's neighbours, nearest first, int (cells, neighbours).
    n_labels
        How many labels there are.
    """
    k = labels.shape[1]
    # what decides between equals is too small to change a majority
    by_rank = 1 + 1e-3 * np.arange(k, 0, -1) / k**2
    shares: FloatArray = _sums(labels, by_rank, np.ones(n_labels)) / by_rank.sum()
    return shares


def majority_label(labels: IntArray) -> IntArray:
    """Return the commonest label of each cell's neighbours, of equals that of the nearer ones, (cells,).

    Parameters
    ----------
    labels
        Labels of each cell's neighbours, nearest first, int (cells, neighbours).
    """
    commonest: IntArray = equal_shares(labels, n_labels=int(labels.max(initial=0)) + 1).argmax(axis=1)
    return commonest


def neighbour_shares(labels: IntArray, *, weights: FloatArray) -> FloatArray:
    """Return each label's share of the neighbours' weight, adding up to 1, float64 (cells, labels).

    The r-th nearest neighbour weighs 1/√r times the weight of its label.

    Parameters
    ----------
    labels
        Labels of each cell's neighbours, nearest first, int (cells, neighbours).
    weights
        Of each label (`label_weights`).
    """
    sums = _sums(labels, 1 / np.sqrt(np.arange(1, labels.shape[1] + 1)), weights)
    shares: FloatArray = sums / sums.sum(axis=1, keepdims=True)
    return shares


def _sums(labels: IntArray, by_rank: FloatArray, by_label: FloatArray) -> FloatArray:
    rows, sums = np.arange(len(labels)), np.zeros((len(labels), len(by_label)))
    for rank, weight in enumerate(by_rank):
        label = labels[:, rank]
        sums[rows, label] += weight * by_label[label]
    return sums


def _beside_zeros(points: FloatArray) -> FloatArray:
    """Return points with one more axis, on which those at zero are set apart: √2, cosine distance 1, from the rest."""
    return np.column_stack([points, ~points.any(axis=1)]).astype(np.float32)


def _nearest(query: FloatArray, points: FloatArray, candidates: IntArray, k: int) -> tuple[FloatArray, IntArray]:
    """Return distance and row number of the nearest `k` of each cell's candidates, whose row numbers ascend."""
    distance = np.empty((len(query), k), dtype=np.float32)
    cell = np.empty((len(query), k), dtype=np.int64)
    for start in range(0, len(query), EXACT_BLOCK):
        rows = slice(start, start + EXACT_BLOCK)
        apart = points[candidates[rows]].astype(np.float64) - query[rows, None]
        squares = np.einsum("qcu,qcu->qc", apart, apart)
        nearest = np.argsort(squares, axis=1, kind="stable")[:, :k]
        distance[rows] = np.sqrt(np.take_along_axis(squares, nearest, axis=1))
        cell[rows] = np.take_along_axis(candidates[rows], nearest, axis=1)
    return distance, cell


def _exact_search(points: FloatArray) -> Callable[[FloatArray, int], Any]:
    search = NearestNeighbors(algorithm="brute").fit(points)
    return lambda query, k: search.kneighbors(query, n_neighbors=k, return_distance=False)


def _inverted_file(points: FloatArray) -> Callable[[FloatArray, int], Any]:
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

    def search(query: FloatArray, k: int) -> Any:
        _, cells = index.search(query, k)
        short = np.flatnonzero(cells[:, -1] < 0)  # too few cells in the lists that were searched: search all of them
        if len(short):
            everywhere = faiss.SearchParametersIVF()
            everywhere.nprobe = n_lists
            _, cells[short] = index.search(query[short], k, params=everywhere)
        return cells

    return search
