"""From votes and distances of neighbours to the probability that a label is right, learned on the reference alone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from scprism.types import FloatArray

__all__ = ["Calibration", "Evidence", "learn_calibration"]

FARTHEST = 8.0
"""Farness is cut here: beyond, a cell is as foreign as can be."""
NOVEL_SHARE = 0.05
"""Share of cells of the reference's own kind that are called novel, foreign copies included (split conformal)."""
UNKNOWN_WEIGHT = 0.05
"""Weight of cells whose type was taken from the voters, relative to cells whose type is there."""


@dataclass(frozen=True)
class Evidence:
    """What the neighbours say of each cell; arrays over cells.

    Attributes
    ----------
    votes
        Share of the say that the label has: of the neighbours' votes, or of these and what the labels' centres say.
    n_neighbours
        How many neighbours voted.
    log_distance
        Logarithm of the mean distance to the neighbours, relative to the median among the reference cells of the label.
    log_deviation
        Logarithm of the Mahalanobis distance to the centre of the label's cells, by the spread within types.
    """

    votes: FloatArray
    n_neighbours: int
    log_distance: FloatArray
    log_deviation: FloatArray


@dataclass(frozen=True)
class Calibration:
    """How evidence becomes a confidence, and from where on a cell is novel.

    Attributes
    ----------
    distance, deviation
        Median of the reference's cells, and what their 95th percentile is above it, of the two logarithms. Farness is
        the mean of both on this scale: 0 is usual, 1 is rare.
    novel_above
        Farness above which a cell is novel: 5 % of new cells of the reference's own kind lie above it, taken as they
        are and as other laboratories might have measured them, each way counting the same.
    intercept, votes, farness, far
        Coefficients of the log odds that a label is right: of 1, of the log odds of the votes, of farness, and of the
        part of farness above 1.
    """

    distance: tuple[float, float]
    deviation: tuple[float, float]
    novel_above: float
    intercept: float
    votes: float
    farness: float
    far: float

    def farness_of(self, evidence: Evidence) -> FloatArray:
        """Return how far cells are from the reference, on its own scale, (cells,)."""
        return _farness(evidence, self.distance, self.deviation)

    def confidence(self, evidence: Evidence) -> FloatArray:
        """Return the estimated probability that each label is right, (cells,)."""
        coefficients = np.array([self.votes, self.farness, self.far])
        odds = _features(evidence, self.farness_of(evidence)) @ coefficients + self.intercept
        chances: FloatArray = expit(odds)
        return chances

    def novel(self, evidence: Evidence) -> np.ndarray:
        """Return whether each cell lies farther than 95 % of the reference's own kind, bool (cells,)."""
        return self.farness_of(evidence) > self.novel_above

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the calibration in `values`."""
        scales = {name: (float(values[name][0]), float(values[name][1])) for name in ("distance", "deviation")}
        others = (float(values[f.name]) for f in fields(cls) if f.name not in scales)
        return cls(scales["distance"], scales["deviation"], *others)


def learn_calibration(
    clean: tuple[Evidence, np.ndarray],
    foreign: Sequence[tuple[Evidence, np.ndarray]],
    unknown: Evidence | None,
) -> Calibration:
    """Return the calibration of a reference, a logistic regression on cells whose label is known.

    Platt's method with the distance as a second feature. The cells are the reference's own, each without its own vote;
    the same cells made foreign, for what shifts make of votes and distances; and cells whose whole type has no vote,
    whose label is wrong by construction: without them no distance could lower a confidence.

    Parameters
    ----------
    clean
        Evidence on reference cells, and whether the label that it gives is right.
    foreign
        The same for copies of them that were made foreign.
    unknown
        Evidence on cells whose type does not vote; None where there is one type only.
    """
    distance, deviation = _scale(clean[0].log_distance), _scale(clean[0].log_deviation)
    parts = [clean, *foreign]
    shares = [1 / len(parts)] * len(parts)
    if unknown is not None:
        parts.append((unknown, np.zeros(len(unknown.votes), dtype=bool)))
        shares.append(UNKNOWN_WEIGHT)
    features = [_features(e, _farness(e, distance, deviation)) for e, _ in parts]
    # one cell in the midst of the reference that is right, one beyond all that is wrong: neither is ever certain
    ends = Evidence(np.ones(2), clean[0].n_neighbours, np.zeros(2), np.zeros(2))
    rows = np.concatenate([*features, _features(ends, np.array([0, FARTHEST]))])
    right = np.concatenate([*(r for _, r in parts), np.array([True, False])])
    sizes = [(len(r), share * len(clean[1]) / len(r)) for (_, r), share in zip(parts, shares, strict=True)]
    weights = np.concatenate([*(np.full(n, weight) for n, weight in sizes), np.ones(2)])
    model = LogisticRegression(C=10.0, max_iter=1000).fit(rows, right, sample_weight=weights)
    own_kind = np.concatenate([_farness(e, distance, deviation) for e, _ in (clean, *foreign)])
    novel_above = _upper_bound(own_kind, NOVEL_SHARE)
    votes, farness, far = (float(c) for c in model.coef_[0])
    return Calibration(distance, deviation, novel_above, float(model.intercept_[0]), votes, farness, far)


def _scale(values: FloatArray) -> tuple[float, float]:
    middle, high = np.quantile(values, [0.5, 0.95])
    return float(middle), max(float(high - middle), 1e-6)


def _upper_bound(values: FloatArray, share: float) -> float:
    """Return the bound that one more value of the same kind exceeds with a probability of at most `share`.

    Split conformal prediction: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005).
    """
    rank = int(np.ceil((len(values) + 1) * (1 - share)))
    return float(np.sort(values)[rank - 1]) if rank <= len(values) else FARTHEST


def _farness(evidence: Evidence, distance: tuple[float, float], deviation: tuple[float, float]) -> FloatArray:
    apart = (evidence.log_distance - distance[0]) / distance[1]
    off_centre = (evidence.log_deviation - deviation[0]) / deviation[1]
    return (apart + off_centre) / 2


def _features(evidence: Evidence, farness: FloatArray) -> FloatArray:
    k = evidence.n_neighbours
    log_odds = np.log((evidence.votes * k + 0.5) / ((1 - evidence.votes) * k + 0.5))
    near = np.clip(farness, -FARTHEST, FARTHEST)
    return np.stack([log_odds, near, np.maximum(near - 1, 0)], axis=1)
