"""The vote of the nearest reference cells, for every k at once and alike for all methods."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from scprism.transfer.votes import cast_votes, worth_of_votes

__all__ = ["NEIGHBOURS", "knn_calls"]

NEIGHBOURS = tuple(range(2, 26))


def knn_calls(
    reference: np.ndarray, codes: np.ndarray, query: np.ndarray, *, metric: str, equal: bool = False
) -> np.ndarray:
    """Return the label code of each query cell for each k, int16 (len(NEIGHBOURS), cells).

    The rule is that of `Prism.label`: near voters and those of rare labels count more; or all count the same.
    """
    n = min(NEIGHBOURS[-1], len(reference))
    found = NearestNeighbors(n_neighbors=n, metric=metric, algorithm="brute").fit(reference)
    near = codes[found.kneighbors(query, return_distance=False)]  # (cells, n)
    worth = None if equal else worth_of_votes(codes, n_labels=int(codes.max()) + 1)
    return np.array([cast_votes(near[:, : min(k, n)], worth=worth)[0] for k in NEIGHBOURS], dtype=np.int16)
