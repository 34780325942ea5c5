"""Labelled cells as points, ready to label others: half by nearest neighbours, half by the centroids of the labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scprism.label.centroids import Space, centroid_shares, centroids_of, plain_space, space_of
from scprism.label.neighbours import Finder, equal_shares, label_weights, neighbour_shares
from scprism.label.simulated_platforms import platform_covariance
from scprism.model.settings import LabelSettings
from scprism.types import FloatArray, IntArray

__all__ = ["Classifier", "classifier_in", "learned_classifier"]


@dataclass(frozen=True)
class Classifier:
    """Reference cells ready to label others.

    Attributes
    ----------
    space
        Scale and metric.
    find
        The search among the cells.
    points
        The cells, before scaling, float32 (cells, dimensions).
    codes
        Label number of each, (cells,).
    centroids
        Mean of each label's cells where cells are compared, float64 (labels, dimensions); NaN for a label without a
        cell.
    n_neighbours
        How many neighbours a cell has.
    weights
        Of a neighbour of each label, float64 (labels,); None if all neighbours count the same and centroids nothing.
    """

    space: Space
    find: Finder
    points: FloatArray
    codes: IntArray
    centroids: FloatArray
    n_neighbours: int
    weights: FloatArray | None

    def shares(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return each label's share, (cells, labels), adding up to 1, and the mean distance to neighbours, (cells,).

        Parameters
        ----------
        points
            Cells on the scale of those that were learned from, (cells, dimensions).
        """
        near = self.find(points, self.n_neighbours)
        labels, distance = self.codes[near.cell], near.distance.mean(axis=1, dtype=np.float64)
        if self.weights is None:
            return equal_shares(labels, n_labels=len(self.centroids)), distance
        own = neighbour_shares(labels, weights=self.weights)
        return (own + centroid_shares(self.space.points(points), self.centroids)) / 2, distance


def learned_classifier(
    points: FloatArray,
    codes: IntArray,
    settings: LabelSettings,
    *,
    n_labels: int,
    before: FloatArray,
    copies: Sequence[FloatArray] = (),
) -> Classifier:
    """Return labelled cells ready to label others; a label may have no cell.

    Parameters
    ----------
    points
        Cells, (cells, dimensions).
    codes
        Label numbers, (cells,).
    settings
        Metric, scaling, whitening, weights and number of neighbours.
    n_labels
        How many labels there are.
    before, copies
        A few of the cells, and the same as each of several platforms measured them, each (some cells, dimensions).
    """
    platforms = None
    if copies:
        plain = plain_space(points, settings)
        platforms = platform_covariance(plain.points(before), [plain.points(copy) for copy in copies])
    space = space_of(points, codes, settings, platforms=platforms)
    return classifier_in(space, points, codes, settings, n_labels=n_labels)


def classifier_in(
    space: Space, points: FloatArray, codes: IntArray, settings: LabelSettings, *, n_labels: int
) -> Classifier:
    """Return labelled cells ready to label others in a space that is known; arguments as in `learned_classifier`."""
    centroids = centroids_of(space.points(points), codes, n_labels=n_labels)
    weights = label_weights(codes, n_labels=n_labels) if settings.neighbour_weights == "weighted" else None
    n_neighbours = min(settings.n_neighbours, len(points))
    return Classifier(space, space.finder(points), points, codes, centroids, n_neighbours, weights)
