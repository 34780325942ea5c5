"""The labels by the nearest reference cells, for every k at once and alike for all methods."""

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import NearestNeighbors

from scprism.label.centroids import centroid_shares, centroids_of, space_of
from scprism.label.neighbours import label_weights, neighbour_shares
from scprism.model.presets import PRESETS

__all__ = ["NEIGHBOURS", "knn_calls", "label_calls"]

NEIGHBOURS = tuple(range(2, 26))


def knn_calls(reference: np.ndarray, codes: np.ndarray, query: np.ndarray, *, metric: str) -> np.ndarray:
    """Return the label code of each query cell for each k, int16 (len(NEIGHBOURS), cells).

    Near neighbours and those of rare labels weigh more; centroids have no part, and the space is as it comes.
    """
    near = _near(reference, codes, query, metric=metric)
    weights = label_weights(codes, n_labels=int(codes.max()) + 1)
    return _for_each_k(near, lambda labels: neighbour_shares(labels, weights=weights).argmax(axis=1))


def label_calls(reference: np.ndarray, codes: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return the same by the whole rule of ``Config(label_by="latent")``: whitened within labels, with centroids."""
    present, codes = np.unique(codes, return_inverse=True)
    space = space_of(reference.astype(np.float32), codes, PRESETS["default"])
    points, asked = space.points(reference), space.points(query)
    near, weights = _near(points, codes, asked, metric="euclidean"), label_weights(codes, n_labels=len(present))
    centroids = centroid_shares(asked, centroids_of(points, codes))
    return present[
        _for_each_k(near, lambda labels: (neighbour_shares(labels, weights=weights) + centroids).argmax(axis=1))
    ]


def _near(reference: np.ndarray, codes: np.ndarray, query: np.ndarray, *, metric: str) -> np.ndarray:
    n = min(NEIGHBOURS[-1], len(reference))
    found = NearestNeighbors(n_neighbors=n, metric=metric, algorithm="brute").fit(reference)
    return codes[found.kneighbors(query, return_distance=False)]  # (cells, n)


def _for_each_k(near: np.ndarray, call: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.array([call(near[:, :k]) for k in NEIGHBOURS], dtype=np.int16)
