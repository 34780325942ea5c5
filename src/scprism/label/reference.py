"""Labelled reference cells as label transfer needs them: latents, labels, and what was learned from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scprism.errors import InputError
from scprism.label.calibrate import Calibration, Evidence, fold_numbers, joined_evidence, learn_calibration
from scprism.label.centroids import Space, centroid_shares, centroids_of, inverse_root_within, space_of
from scprism.label.neighbours import BLOCK, Finder, Neighbours, label_weights, majority_label, neighbour_shares
from scprism.label.query_shift import UsualRange
from scprism.model.config import Config
from scprism.model.row_product import row_product
from scprism.types import FloatArray, IntArray

__all__ = [
    "Calls",
    "Classifier",
    "LabelReference",
    "LabelShape",
    "calibration_sample",
    "classifier_of",
    "label_cells",
    "learn_reference",
    "shape_of",
]

LEAST_CELLS = 10
LEAST_UNSEEN = 20
"""With one in twenty cells called novel, a threshold takes at least 20 cells."""
SAMPLE = 2000
"""Cells that calibration looks at; more would not change it."""
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
class LabelReference:
    """The cells of a reference that have a label, in an order that does not depend on the file's.

    Attributes
    ----------
    latent
        float32 (cells, units), as the model gives it.
    codes
        Number of each cell's label, int64 (cells,).
    names
        The labels.
    shape
        Where each label's cells lie.
    calibration
        From agreement and distances to confidence.
    usual
        What the cells are like, to tell whether a query is like them.
    """

    latent: FloatArray
    codes: IntArray
    names: tuple[str, ...]
    shape: LabelShape
    calibration: Calibration
    usual: UsualRange


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


def classifier_of(reference: LabelReference, config: Config) -> Classifier:
    """Return the cells of a reference ready to label others."""
    space = space_of(reference.latent, reference.codes, config)
    weights = _weights(reference.codes, config, n_labels=len(reference.names))
    n_neighbours = min(config.n_neighbours, len(reference.latent) - 1)
    find = space.finder(reference.latent)
    return Classifier(space, find, reference.codes, reference.shape, n_neighbours, weights)


def label_cells(query: FloatArray, reference: LabelReference, *, names: pd.Index, config: Config) -> pd.DataFrame:
    """Return the labels of a query's latent as a table: ``label confidence distance novel``, index ``cell``.

    Parameters
    ----------
    query
        Latent of the query, (cells, units).
    reference
        Labelled cells of the same model.
    names
        Of the query cells.
    config
        Metric, scaling, whitening, weights and number of neighbours.
    """
    classifier = classifier_of(reference, config)
    label_names, calibration = np.asarray(reference.names, dtype=object), reference.calibration
    parts = []
    for start in range(0, max(len(query), 1), BLOCK):
        calls = classifier.calls(query[start : start + BLOCK])
        table = {
            "label": label_names[calls.label],
            "confidence": calibration.confidence(calls.evidence),
            "distance": calls.distance,
            "novel": calibration.novel(calls.evidence),
        }
        parts.append(pd.DataFrame(table, index=pd.Index(names[start : start + BLOCK], name="cell")))
    return pd.concat(parts)


def learn_reference(
    latent: FloatArray,
    labels: "pd.Series[str]",
    *,
    keys: IntArray,
    sample: IntArray,
    simulated: Sequence[FloatArray],
    usual: UsualRange,
    config: Config,
) -> LabelReference:
    """Return a reference for label transfer, the same whatever the order of the cells and the names of the labels.

    Parameters
    ----------
    latent
        Of cells that all have a label, (cells, units).
    labels
        Their labels.
    keys
        A number of each cell that does not depend on the others (`scprism.prepare.draws.cell_keys`), uint64 (cells,).
    sample
        Row numbers of the cells that confidence is learned on (`calibration_sample`).
    simulated
        Latents of these cells as other platforms might have measured them (`scprism.label.simulated_platforms`), each
        (sampled cells, units).
    usual
        What the cells are like.
    config
        Metric, scaling, whitening, weights and number of neighbours.
    """
    if len(latent) < LEAST_CELLS:
        msg = (
            f"A reference needs at least {LEAST_CELLS} labelled cells to tell how often its labels are right, got "
            f"{len(latent)}. Label more cells, or use a larger reference."
        )
        raise InputError(msg)
    text = np.asarray(labels, dtype=str)
    order = np.lexsort((text, keys))  # sums over cells come out the same if cells always come in one order
    codes, names = pd.factorize(text[order])
    latent, row = latent[order], np.argsort(order)[sample]
    sample, simulated = np.sort(row), [version[np.argsort(row)] for version in simulated]
    classifier = _learned(latent, codes.astype(np.int64), config, n_labels=len(names))
    own, *others = _cross_fitted(latent, classifier, sample, simulated, config)
    calibration = learn_calibration(
        own, others, _evidence_without_own_type(latent, classifier, sample) if len(names) > 1 else None
    )
    return LabelReference(
        latent, classifier.codes, tuple(str(name) for name in names), classifier.shape, calibration, usual
    )


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


def calibration_sample(is_unseen: np.ndarray, keys: IntArray) -> IntArray:
    """Return the row numbers of the cells that confidence is learned on, in order, at most `SAMPLE` of them.

    A network pulls cells that it was not trained on towards the middle of their type, so cells that it was trained on
    say little about foreign ones: those that it has not seen are taken. Where fewer than `LEAST_UNSEEN` of a reference
    are known to be of that kind, as in data that the model was not trained on, all cells are taken.

    Parameters
    ----------
    is_unseen
        Which cells the training is known to have left out, bool (cells,).
    keys
        A number of each cell, uint64 (cells,); of more than `SAMPLE` cells, those with the lowest are taken.
    """
    known = np.flatnonzero(is_unseen)
    cells = known if len(known) >= LEAST_UNSEEN else np.arange(len(is_unseen))
    return np.sort(cells[np.argsort(keys[cells], kind="stable")[:SAMPLE]])


def _learned(latent: FloatArray, codes: IntArray, config: Config, *, n_labels: int) -> Classifier:
    """Return labelled cells ready to label others; a label may have no cell."""
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
    return Classifier(space, find, codes, shape, n_neighbours, _weights(codes, config, n_labels=n_labels))


def _cross_fitted(
    latent: FloatArray, whole: Classifier, sample: IntArray, simulated: Sequence[FloatArray], config: Config
) -> list[tuple[Evidence, np.ndarray]]:
    """Return the evidence on the sampled cells, and on each simulated version of them, and whether labels are right.

    Each cell is judged by centroids, whitening and neighbours that were learned without it.
    """
    codes = whole.codes
    folds = fold_numbers(codes[sample], n_cells=len(latent))
    versions = [latent[sample], *simulated]
    cells = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    parts: list[list[Calls]] = [[] for _ in versions]
    for held_out in cells:
        kept = np.ones(len(latent), dtype=bool)
        kept[sample[held_out]] = False
        others = _learned(latent[kept], codes[kept], config, n_labels=len(whole.shape.centroid))
        for version, calls in zip(versions, parts, strict=True):
            calls.append(others.calls(version[held_out]))
    order = np.argsort(np.concatenate(cells))
    return [
        (
            replace(joined_evidence([c.evidence for c in calls], cells), n_neighbours=whole.n_neighbours),
            np.concatenate([c.label for c in calls])[order] == codes[sample],
        )
        for calls in parts
    ]


def _evidence_without_own_type(latent: FloatArray, classifier: Classifier, sample: IntArray) -> Evidence:
    """Return the evidence on the sampled cells by a reference without any cell of their own type."""
    codes = classifier.codes[sample]
    cells = [np.flatnonzero(codes == label) for label in np.unique(codes)]
    parts = [classifier.without_label(latent, int(codes[own[0]])).calls(latent[sample[own]]).evidence for own in cells]
    return joined_evidence(parts, cells)


def _weights(codes: IntArray, config: Config, *, n_labels: int) -> FloatArray | None:
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
