"""The vote of the nearest reference cells, for every k at once and alike for all methods."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

__all__ = ["NEIGHBOURS", "knn_calls"]

NEIGHBOURS = tuple(range(2, 26))


def knn_calls(reference: np.ndarray, codes: np.ndarray, query: np.ndarray, *, metric: str) -> np.ndarray:
    """Return the label code of each query cell for each k, int16 (len(NEIGHBOURS), cells).

    Majority of the k nearest; of equals, the nearer ones (as `scprism.transfer.labels` decides).
    """
    n = min(NEIGHBOURS[-1], len(reference))
    found = NearestNeighbors(n_neighbors=n, metric=metric, algorithm="brute").fit(reference)
    near = codes[found.kneighbors(query, return_distance=False)]  # (cells, n)
    chosen = np.arange(codes.max() + 1)
    calls = []
    for k in NEIGHBOURS:
        m = min(k, n)
        weights = 1 + 1e-3 * np.arange(m, 0, -1) / m**2
        votes = ((near[:, :m, None] == chosen) * weights[:, None]).sum(axis=1)
        calls.append(votes.argmax(axis=1))
    return np.array(calls, dtype=np.int16)
