"""The whitened rule of neighbours and centroids, on plain arrays, with and without the covariance of platforms."""

import numpy as np
from sklearn.decomposition import PCA

__all__ = ["principal", "rule_probabilities", "unit"]

N_NEIGHBOURS, SIZE_POWER, TEMPERATURE = 15, 0.25, 0.1


def unit(points: np.ndarray) -> np.ndarray:
    """Return points at length 1."""
    points = np.asarray(points, dtype=np.float64)
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)


def principal(x: np.ndarray, *others: np.ndarray, n: int = 50) -> list[np.ndarray]:
    """Return the principal components of the first, and the others' scores on them."""
    fitted = PCA(min(n, *x.shape), random_state=0, svd_solver="randomized").fit(x)
    return [fitted.transform(side) for side in (x, *others)]


def rule_probabilities(
    reference: np.ndarray,
    codes: np.ndarray,
    query: np.ndarray,
    *,
    platforms: np.ndarray | None = None,
    weight: float = 0.3,
    own: bool = False,
) -> np.ndarray:
    """Return the mean of the neighbours' and the centroids' shares, (cells, labels).

    Parameters
    ----------
    platforms
        Mean outer product of what platforms do to cells of length 1; None to leave it out.
    own
        Whether the query's cells are the reference's, which are then without themselves.
    """
    n_labels = codes.max() + 1
    points, asked = unit(reference), unit(query)
    centroids = np.stack([points[codes == label].mean(axis=0) for label in range(n_labels)])
    apart = points - centroids[codes]
    n_cells, n_units = apart.shape
    covariance = apart.T @ apart / n_cells
    if platforms is not None:
        covariance = covariance + weight * platforms
    share = min(1.0, (n_units + 2) / n_cells)
    sphere = np.eye(n_units) * max(np.trace(covariance) / n_units, 1e-6)
    turn = np.linalg.cholesky(np.linalg.inv((1 - share) * covariance + (share + 1e-3) * sphere))
    middle = centroids.mean(axis=0)
    points, asked = (unit((side - middle) @ turn) for side in (points, asked))
    similarity = asked @ points.T
    if own:
        np.fill_diagonal(similarity, -2)
    k = min(N_NEIGHBOURS, len(points) - own)
    near = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    sizes = np.bincount(codes)
    worth = (sizes.max() / sizes) ** SIZE_POWER
    shares = np.zeros((len(asked), n_labels))
    for rank in range(k):
        label = codes[near[:, rank]]
        shares[np.arange(len(asked)), label] += worth[label] / np.sqrt(rank + 1)
    shares /= shares.sum(axis=1, keepdims=True)
    centroids = np.stack([points[codes == label].mean(axis=0) for label in range(n_labels)])
    middle = centroids.mean(axis=0)
    odds = unit(asked - middle) @ unit(centroids - middle).T / TEMPERATURE
    by_centroid = np.exp(odds - odds.max(axis=1, keepdims=True))
    return (shares + by_centroid / by_centroid.sum(axis=1, keepdims=True)) / 2
