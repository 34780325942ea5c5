"""Labelled cells ready to label others: half by nearest neighbours, half by the centroids of the labels."""

from dataclasses import dataclass, replace

import numpy as np

from scprism.label.calibrate import Evidence
from scprism.label.centroids import Space, centroid_shares, centroids_of, inverse_root_within, space_of
from scprism.label.neighbours import BLOCK, Finder, Neighbours, label_weights, majority_label, neighbour_shares
from scprism.model.config import Config
from scprism.model.row_product import row_product
from scprism.types import FloatArray, IntArray

__all__ = ["Calls", "Classifier", "LabelShape", "learned_classifier", "shape_of", "weights_of"]

MEDIAN_CELLS = 1000
"""Cells of a label that its usual distance is the median of, at most."""
LEAST_DISTANCE = 1e-6
"""Distances are raised to this before a logarithm: cells may be equal."""


@dataclass(frozen=True)
class LabelShape:
    """Where the cells of each label lie, and how closely.

    Attributes
    ----------
    usual_distance
        Median over a label's cells of the mean distance to their nearest reference cells, float64 (labels,).
    centroid
        Mean of a label's cells in the space where cells are compared, float64 (labels, units).
    whitening
        Turns deviations from the centroid into ones of unit spread within labels, float64 (units, units).
    """

    usual_distance: FloatArray
    centroid: FloatArray
    whitening: FloatArray


@dataclass(frozen=True)
class Calls:
    """Labels that are given; arrays over cells: label number, mean distance to the neighbours, evidence."""

    label: IntArray
    distance: FloatArray
    evidence: Evidence


@dataclass(frozen=True)
class Classifier:
    """Reference cells ready to label others.

    Attributes
    ----------
    space
        Scale and metric.
    find
        The search among them.
    codes
        Label number of each, (cells,).
    shape
        Where each label's cells lie.
    n_neighbours
        How many neighbours a cell has.
    weights
        Of a neighbour of each label, float64 (labels,); None if all neighbours count the same and centroids nothing.
    """

    space: Space
    find: Finder
    codes: IntArray
    shape: LabelShape
    n_neighbours: int
    weights: FloatArray | None

    def calls(self, latent: FloatArray, neighbours: Neighbours | None = None) -> Calls:
        """Return the labels of cells with this latent (cells, units): half by neighbours, half by centroids.

        The neighbours are searched if not given.
        """
        near = self.find(latent, self.n_neighbours) if neighbours is None else neighbours
        labels, points = self.codes[near.cell], self.space.points(latent)
        if self.weights is None:
            label, share = majority_label(labels)
        else:
            shares = neighbour_shares(labels, weights=self.weights) + centroid_shares(points, self.shape.centroid)
            label, share = shares.argmax(axis=1), shares.max(axis=1) / 2
        distance = near.distance.mean(axis=1, dtype=np.float64)
        relative = _log(distance) - _log(self.shape.usual_distance)[label]
        deviation = _log(_deviation(points, label, self.shape))
        return Calls(label, distance, Evidence(share, self.n_neighbours, relative, deviation))

    def without_label(self, latent: FloatArray, label: int) -> "Classifier":
        """Return the classifier without the cells of one label; `latent` is that of all reference cells."""
        others = self.codes != label
        centroid = np.where(np.arange(len(self.shape.centroid))[:, None] == label, np.nan, self.shape.centroid)
        find = self.space.finder(latent[others], exact=True)
        return replace(self, find=find, codes=self.codes[others], shape=replace(self.shape, centroid=centroid))


def shape_of(points: FloatArray, codes: IntArray, usual_distance: FloatArray) -> LabelShape:
    """Return where the cells of each label lie.

    Parameters
    ----------
    points
        Cells as `Space.points` gives them, (cells, units).
    codes
        Label numbers, (cells,).
    usual_distance
        Of each label's cells to their nearest ones, (labels,).
    """
    points = points.astype(np.float64)
    centroid = centroids_of(points, codes, n_labels=len(usual_distance))
    return LabelShape(usual_distance, centroid, inverse_root_within(points - centroid[codes]))


def learned_classifier(latent: FloatArray, codes: IntArray, config: Config, *, n_labels: int) -> Classifier:
    """Return labelled cells ready to label others; a label may have no cell.

    Parameters
    ----------
    latent
        As the model gives it, (cells, units).
    codes
        Label numbers, (cells,).
    config
        Metric, scaling, whitening, weights and number of neighbours.
    n_labels
        How many labels there are.
    """
    n_neighbours = min(config.n_neighbours, len(latent) - 1)
    space = space_of(latent, codes, config)
    find = space.finder(latent)
    order = np.argsort(codes, kind="stable")
    rank = np.empty(len(codes), dtype=np.int64)
    rank[order] = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    cells = np.flatnonzero(rank < MEDIAN_CELLS)
    distance = find(latent[cells], n_neighbours + 1).without(cells).distance.mean(axis=1, dtype=np.float64)
    usual = np.full(n_labels, np.nan)
    for label in np.unique(codes):
        usual[label] = np.median(distance[codes[cells] == label])
    shape = shape_of(space.points(latent), codes, usual)
    return Classifier(space, find, codes, shape, n_neighbours, weights_of(codes, config, n_labels=n_labels))


def weights_of(codes: IntArray, config: Config, *, n_labels: int) -> FloatArray | None:
    """Return the weight of a neighbour of each label, (labels,); None where all count the same."""
    return label_weights(codes, n_labels=n_labels) if config.votes == "weighted" else None


def _deviation(points: FloatArray, label: IntArray, shape: LabelShape) -> FloatArray:
    deviation = np.empty(len(points))
    for start in range(0, len(points), BLOCK):
        rows = slice(start, start + BLOCK)
        apart = row_product(points[rows] - shape.centroid[label[rows]], shape.whitening)
        deviation[rows] = np.sqrt((apart**2).sum(axis=1))
    return deviation


def _log(distance: FloatArray) -> FloatArray:
    return np.log(np.maximum(distance, LEAST_DISTANCE))
