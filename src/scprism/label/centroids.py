"""The space in which cells are compared, the centroids of the labels there, and how much they speak for each label."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from scprism.label.neighbours import Finder, Scaling, neighbour_finder, points_of, scaling_of
from scprism.model.row_product import row_product
from scprism.model.settings import LabelSettings
from scprism.types import FloatArray, IntArray

__all__ = [
    "Space",
    "Whitening",
    "centroid_shares",
    "centroids_of",
    "inverse_root_within",
    "plain_space",
    "space_of",
]

LEAST_SPREAD = 1e-6
"""Spread that cells within labels have at least: they may be equal."""
PLATFORM_WEIGHT = 0.3
"""Weight of what platforms do to cells beside how cells of one label differ (`docs/labels.md`)."""
TEMPERATURE = 0.1
"""A centroid whose cosine is higher by this has e times the share; from 0.05 to 0.2 labels hardly change."""


@dataclass(frozen=True)
class Whitening:
    """Turns cells into ones whose units are uncorrelated and of unit spread within labels; float64.

    Attributes
    ----------
    middle
        Mean of the labels' centroids, (units,).
    turn
        What multiplies deviations from it, (units, units).
    """

    middle: FloatArray
    turn: FloatArray

    def apply(self, points: FloatArray) -> FloatArray:
        """Return whitened points, (cells, units)."""
        return row_product(points - self.middle, self.turn)


@dataclass(frozen=True)
class Space:
    """On which scale, and by which metric, cells are compared."""

    scaling: Scaling | None
    metric: Literal["cosine", "euclidean"]
    whitening: Whitening | None = None

    def points(self, latent: FloatArray) -> FloatArray:
        """Return the cells as points whose Euclidean distances order them, float32 (cells, units)."""
        points = points_of(latent if self.scaling is None else self.scaling.apply(latent), self.metric)
        return points if self.whitening is None else points_of(self.whitening.apply(points), self.metric)

    def finder(self, latent: FloatArray, *, exact: bool | None = None) -> Finder:
        """Return the search among the cells of a reference."""
        find = neighbour_finder(self.points(latent), metric=self.metric, exact=exact)
        return lambda query, k: find(self.points(query), k)


def plain_space(points: FloatArray, settings: LabelSettings) -> Space:
    """Return the space in which cells are compared without whitening."""
    return Space(scaling_of(points) if settings.standardise_latent else None, settings.metric)


def space_of(
    points: FloatArray, codes: IntArray, settings: LabelSettings, *, platforms: FloatArray | None = None
) -> Space:
    """Return the space in which a reference's labelled cells are compared.

    With ``whiten_latent`` directions in which cells of one label differ much count little. With cosines this is the
    within-class covariance normalisation of speaker verification.

    Parameters
    ----------
    points
        Cells, (cells, dimensions).
    codes
        Label number of each cell, (cells,).
    settings
        Metric, scaling and whitening.
    platforms
        Mean outer product of what platforms do to cells, (dimensions, dimensions); .3 of it is added to the covariance
        within labels.

    References
    ----------
    Hatch, Kajarekar and Stolcke, Interspeech (2006), 1471–1474.
    """
    plain = plain_space(points, settings)
    if not settings.whiten_latent:
        return plain
    scaled = plain.points(points).astype(np.float64)
    centroids = centroids_of(scaled, codes)
    turn = inverse_root_within(scaled - centroids[codes], platforms=platforms)
    return Space(plain.scaling, plain.metric, Whitening(np.nanmean(centroids, axis=0), turn))


def centroids_of(points: FloatArray, codes: IntArray, *, n_labels: int | None = None) -> FloatArray:
    """Return the mean of each label's points, float64 (labels, units); NaN for a label without a cell.

    Parameters
    ----------
    points
        Cells, (cells, units).
    codes
        Label number of each, (cells,).
    n_labels
        How many labels there are; as many as the codes tell if not given.
    """
    n_labels = int(codes.max()) + 1 if n_labels is None else n_labels
    centroids = np.full((n_labels, points.shape[1]), np.nan)
    for label in np.unique(codes):
        centroids[label] = points[codes == label].mean(axis=0, dtype=np.float64)
    return centroids


def centroid_shares(points: FloatArray, centroids: FloatArray) -> FloatArray:
    """Return how much the labels' centroids speak for each label, adding up to 1, float64 (cells, labels).

    Compared are the directions of cell and centroid as seen from the middle of the centroids: a softmax of the cosines
    over a temperature of 0.1.

    Parameters
    ----------
    points
        Cells, (cells, units).
    centroids
        Mean of each label's reference cells in the same space, (labels, units); a label whose centroid is NaN has no
        share.
    """
    known = ~np.isnan(centroids).any(axis=1)
    middle = centroids[known].mean(axis=0)
    cosines = row_product(_directions(points - middle), _directions(centroids[known] - middle).T)
    odds = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / TEMPERATURE)
    shares = np.zeros((len(points), len(centroids)))
    shares[:, known] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def inverse_root_within(deviations: FloatArray, *, platforms: FloatArray | None = None) -> FloatArray:
    """Return what gives deviations from the labels' centroids unit spread, float64 (dimensions, dimensions).

    Their covariance is shrunk towards a sphere, the more so the fewer cells there are for the dimensions.

    Parameters
    ----------
    deviations
        (cells, dimensions).
    platforms
        As in `space_of`.
    """
    n_cells, n_dimensions = deviations.shape
    covariance = deviations.T @ deviations / n_cells
    if platforms is not None:
        covariance = covariance + PLATFORM_WEIGHT * platforms
    share = min(1.0, (n_dimensions + 2) / n_cells)
    sphere = np.eye(n_dimensions) * max(float(np.trace(covariance)) / n_dimensions, LEAST_SPREAD)
    root: FloatArray = np.linalg.cholesky(np.linalg.inv((1 - share) * covariance + (share + 1e-3) * sphere))
    return root


def _directions(deviations: FloatArray) -> FloatArray:
    norms = np.linalg.norm(deviations, axis=1, keepdims=True)
    directions: FloatArray = np.divide(
        deviations, norms, out=np.zeros_like(deviations, dtype=np.float64), where=norms > 0
    )
    return directions
