"""Labelled reference cells as label transfer needs them: latents, labels, and what was learned from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scprism.errors import InputError
from scprism.label.calibrate import Calibration, Evidence, fold_numbers, joined_evidence, learn_calibration
from scprism.label.centroids import space_of
from scprism.label.classifier import Calls, Classifier, LabelShape, learned_classifier, weights_of
from scprism.label.neighbours import BLOCK
from scprism.label.query_shift import UsualRange
from scprism.model.config import Config
from scprism.types import FloatArray, IntArray

__all__ = [
    "LabelReference",
    "calibration_sample",
    "classifier_of",
    "label_cells",
    "learn_reference",
]

LEAST_CELLS = 10
LEAST_UNSEEN = 20
"""With one in twenty cells called novel, a threshold takes at least 20 cells."""
SAMPLE = 2000
"""Cells that calibration looks at; more would not change it."""


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


def classifier_of(reference: LabelReference, config: Config) -> Classifier:
    """Return the cells of a reference ready to label others."""
    space = space_of(reference.latent, reference.codes, config)
    weights = weights_of(reference.codes, config, n_labels=len(reference.names))
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
    classifier = learned_classifier(latent, codes.astype(np.int64), config, n_labels=len(names))
    own, *others = _cross_fitted(latent, classifier, sample, simulated, config)
    calibration = learn_calibration(
        own, others, _evidence_without_own_type(latent, classifier, sample) if len(names) > 1 else None
    )
    return LabelReference(
        latent, classifier.codes, tuple(str(name) for name in names), classifier.shape, calibration, usual
    )


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
        others = learned_classifier(latent[kept], codes[kept], config, n_labels=len(whole.shape.centroid))
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
