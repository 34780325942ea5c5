"""Labelled reference cells as label transfer needs them: latents, labels, and what was learned from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scprism.errors import InputError
from scprism.label.calibrate import Calibration, Evidence, learn_calibration
from scprism.label.centroids import Space, centres_of, inverse_root_within, space_of
from scprism.label.evidence import cast_votes, say_of_centres, vote_shares, worth_of_votes
from scprism.label.neighbours import BLOCK, Finder, Neighbours
from scprism.label.query_shift import Usual
from scprism.model.config import Config
from scprism.types import FloatArray, IntArray

__all__ = [
    "Calls",
    "LabelReference",
    "Shape",
    "Voters",
    "calibration_sample",
    "learn_reference",
    "shape_of",
    "voters_of",
]

LEAST_CELLS = 10
LEAST_UNSEEN = 20
"""With one in twenty cells called novel, a threshold takes at least 20 cells."""
SAMPLE = 2000
"""Cells that calibration looks at; more would not change it."""

LEAST_DISTANCE = 1e-6
"""Distances are raised to this before a logarithm: cells may be equal."""


@dataclass(frozen=True)
class LabelReference:
    """The cells of a reference that have a label.

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
        From votes and distances to confidence.
    usual
        What the cells are like, to tell whether a query is like them.
    """

    latent: FloatArray
    codes: IntArray
    names: tuple[str, ...]
    shape: "Shape"
    calibration: Calibration
    usual: Usual


@dataclass(frozen=True)
class Shape:
    """Where the cells of each label lie, and how closely.

    Attributes
    ----------
    usual_distance
        Median over a label's cells of the mean distance to their nearest reference cells, float64 (labels,).
    centre
        Mean of a label's cells, placed as the metric says, float64 (labels, units).
    whitening
        Turns deviations from the centre into ones of unit spread within labels, float64 (units, units).
    """

    usual_distance: FloatArray
    centre: FloatArray
    whitening: FloatArray


@dataclass(frozen=True)
class Calls:
    """Labels that are given; arrays over cells: label number, mean distance to the neighbours, evidence."""

    label: IntArray
    distance: FloatArray
    evidence: Evidence


@dataclass(frozen=True)
class Voters:
    """Reference cells ready to be asked.

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
        How many vote.
    worth
        Of a vote for each label, float64 (labels,); None for equal votes of the neighbours alone.
    """

    space: Space
    find: Finder
    codes: IntArray
    shape: Shape
    n_neighbours: int
    worth: FloatArray | None

    def calls(self, latent: FloatArray, neighbours: Neighbours, *, barred: int | None = None) -> Calls:
        """Return the labels that these neighbours, and the labels' centres, give to cells with this latent.

        The neighbours have half of the say; the centre of the label `barred` has none.
        """
        ballots, points = self.codes[neighbours.cell], self.space.place(latent)
        if self.worth is None:
            label, votes = cast_votes(ballots)
        else:
            say = vote_shares(ballots, worth=self.worth) + say_of_centres(points, self.shape.centre, barred=barred)
            label, votes = say.argmax(axis=1), say.max(axis=1) / 2
        distance = neighbours.distance.mean(axis=1, dtype=np.float64)
        relative = _log(distance) - _log(self.shape.usual_distance)[label]
        deviation = _log(_deviation(points, label, self.shape))
        return Calls(label, distance, Evidence(votes, neighbours.cell.shape[1], relative, deviation))


def voters_of(reference: LabelReference, config: Config) -> Voters:
    """Return the cells of a reference ready to be asked."""
    n_neighbours = min(config.n_neighbours, len(reference.latent) - 1)
    space = space_of(reference.latent, reference.codes, config)
    worth = _worth(reference.codes, config, n_labels=len(reference.names))
    return Voters(space, space.finder(reference.latent), reference.codes, reference.shape, n_neighbours, worth)


def learn_reference(
    latent: FloatArray,
    labels: "pd.Series[str]",
    *,
    sample: IntArray,
    copies: Sequence[FloatArray],
    usual: Usual,
    config: Config,
) -> LabelReference:
    """Return a reference for label transfer.

    Parameters
    ----------
    latent
        Of cells that all have a label, (cells, units).
    labels
        Their labels.
    sample
        Places of the cells that confidence is learned on (`calibration_sample`).
    copies
        Latents of these cells made foreign (`scprism.label.simulated_platforms`), each (sampled cells, units).
    usual
        What the cells are like.
    config
        Metric, scaling, whitening, votes and number of neighbours.
    """
    if len(latent) < LEAST_CELLS:
        msg = (
            f"A reference needs at least {LEAST_CELLS} labelled cells to tell how often its labels are right, got "
            f"{len(latent)}. Label more cells, or use a larger reference."
        )
        raise InputError(msg)
    categories = pd.Categorical(labels)
    codes = np.asarray(categories.codes, dtype=np.int64)
    n_labels = len(categories.categories)
    k = min(config.n_neighbours, len(latent) - 1)
    space = space_of(latent, codes, config)
    find = space.finder(latent)
    among_themselves = find(latent, k + 1).without(np.arange(len(latent)))
    shape = shape_of(space.place(latent), codes, among_themselves.distance.mean(axis=1), n_labels=n_labels)
    voters = Voters(space, find, codes, shape, k, _worth(codes, config, n_labels=n_labels))
    clean = voters.calls(latent[sample], among_themselves.of(sample))
    foreign = [voters.calls(copy, find(copy, k + 1).without(sample)) for copy in copies]
    calibration = learn_calibration(
        (clean.evidence, clean.label == codes[sample]),
        [(calls.evidence, calls.label == codes[sample]) for calls in foreign],
        _evidence_without_own_type(latent, voters, sample) if n_labels > 1 else None,
    )
    names = tuple(str(name) for name in categories.categories)
    return LabelReference(latent, codes, names, shape, calibration, usual)


def shape_of(points: FloatArray, codes: IntArray, own_distance: FloatArray, *, n_labels: int) -> Shape:
    """Return where the cells of each label lie.

    Parameters
    ----------
    points
        Cells as `Space.place` gives them, (cells, units).
    codes
        Label numbers, (cells,).
    own_distance
        Mean distance of each cell to its nearest cells, (cells,).
    n_labels
        How many labels there are.
    """
    points = points.astype(np.float64)
    usual = np.array([np.median(own_distance[codes == label]) for label in range(n_labels)])
    centre = centres_of(points, codes)
    return Shape(usual, centre, inverse_root_within(points - centre[codes]))


def calibration_sample(is_unseen: np.ndarray) -> IntArray:
    """Return the places of the cells that confidence is learned on, in order, at most `SAMPLE` of them.

    A network pulls cells that it was not trained on towards the middle of their type, so cells that it was trained on
    say little about foreign ones: those that it has not seen are taken. Where fewer than `LEAST_UNSEEN` of a reference
    are known to be of that kind, as in data that the model was not trained on, all cells are taken.

    Parameters
    ----------
    is_unseen
        Which cells the training is known to have left out, bool (cells,).
    """
    known = np.flatnonzero(is_unseen)
    cells = known if len(known) >= LEAST_UNSEEN else np.arange(len(is_unseen))
    if len(cells) <= SAMPLE:
        return cells
    return np.sort(np.random.default_rng(0).choice(cells, SAMPLE, replace=False))


def _evidence_without_own_type(latent: FloatArray, voters: Voters, sample: IntArray) -> Evidence:
    """Return the evidence on the sampled cells where no cell of their own type votes."""
    votes, distance, deviation = (np.zeros(len(sample)) for _ in range(3))
    for code in np.unique(voters.codes[sample]):
        others, asked = np.flatnonzero(voters.codes != code), voters.codes[sample] == code
        cells = latent[sample[asked]]
        found = voters.space.finder(latent[others], exact=True)(cells, voters.n_neighbours)
        evidence = voters.calls(cells, Neighbours(found.distance, others[found.cell]), barred=int(code)).evidence
        votes[asked], distance[asked], deviation[asked] = evidence.votes, evidence.log_distance, evidence.log_deviation
    return Evidence(votes, voters.n_neighbours, distance, deviation)


def _worth(codes: IntArray, config: Config, *, n_labels: int) -> FloatArray | None:
    return worth_of_votes(codes, n_labels=n_labels) if config.votes == "weighted" else None


def _deviation(points: FloatArray, label: IntArray, shape: Shape) -> FloatArray:
    deviation = np.empty(len(points))
    for start in range(0, len(points), BLOCK):
        rows = slice(start, start + BLOCK)
        apart = (points[rows] - shape.centre[label[rows]]) @ shape.whitening
        deviation[rows] = np.sqrt((apart**2).sum(axis=1))
    return deviation


def _log(distance: FloatArray) -> FloatArray:
    return np.log(np.maximum(distance, LEAST_DISTANCE))
