"""From the neighbours' agreement and the distance to the probability that a label is right, learned on the reference.

A logistic regression over reference cells whose label is known; each is judged by a reference that lacks it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from scprism.types import FloatArray, IntArray

__all__ = ["Calibration", "Evidence", "fold_numbers", "joined_evidence", "learn_calibration"]

FARTHEST = 8.0
"""Distances from the reference are cut here: beyond, a cell is as foreign as can be."""
NOVEL_SHARE = 0.05
"""Share of cells of the reference's own kind that are called novel, simulated platforms included (split conformal)."""
UNKNOWN_WEIGHT = 0.05
"""Weight of cells whose type was taken from the reference, relative to cells whose type is there."""
FOLDS = (2, 10)
"""Least and most folds of the cross-fitting."""
FOLD_SHARE = 0.05
"""Share of the reference that a fold leaves out, if that many folds are allowed."""


@dataclass(frozen=True)
class Evidence:
    """What the reference says of each cell's label; arrays over cells.

    Attributes
    ----------
    share
        Share that the label has: of the neighbours, or the mean of that and of the labels' centroids' share.
    n_neighbours
        How many neighbours a cell has.
    log_distance
        Logarithm of the mean distance to the neighbours, relative to the median among the reference cells of the label.
    log_deviation
        Logarithm of the Mahalanobis distance to the centroid of the label's cells, by the spread within types.
    """

    share: FloatArray
    n_neighbours: int
    log_distance: FloatArray
    log_deviation: FloatArray


@dataclass(frozen=True)
class Calibration:
    """How evidence becomes a confidence, and from where on a cell is novel.

    The two distances of a cell become one, the relative distance: 0 is the median of the reference's own cells, 1 their
    95th percentile.

    Attributes
    ----------
    distance_scale, deviation_scale
        Median of the reference's cells, and what their 95th percentile is above it, of the two logarithms. The relative
        distance is the mean of both on this scale.
    novel_above
        Relative distance above which a cell is novel: 5 % of new cells of the reference's own kind lie above it, taken
        as they are and as other laboratories might have measured them, each way counting the same.
    intercept, share, distance, far_distance
        Coefficients of the log odds that a label is right: of 1, of the log odds of the share, of the relative
        distance, and of its part above 1.
    """

    distance_scale: tuple[float, float]
    deviation_scale: tuple[float, float]
    novel_above: float
    intercept: float
    share: float
    distance: float
    far_distance: float

    def relative_distance(self, evidence: Evidence) -> FloatArray:
        """Return how far cells are from the reference, on its own scale, (cells,)."""
        return _relative_distance(evidence, self.distance_scale, self.deviation_scale)

    def confidence(self, evidence: Evidence) -> FloatArray:
        """Return the estimated probability that each label is right, (cells,)."""
        first, second, third = _features(evidence, self.relative_distance(evidence)).T
        odds = self.share * first + self.distance * second + self.far_distance * third + self.intercept
        chances: FloatArray = expit(odds)
        return chances

    def novel(self, evidence: Evidence) -> np.ndarray:
        """Return whether each cell lies farther than 95 % of the reference's own kind, bool (cells,)."""
        return self.relative_distance(evidence) > self.novel_above

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the calibration in `values`."""
        scales = {
            name: (float(values[name][0]), float(values[name][1])) for name in ("distance_scale", "deviation_scale")
        }
        others = (float(values[f.name]) for f in fields(cls) if f.name not in scales)
        return cls(scales["distance_scale"], scales["deviation_scale"], *others)


def fold_numbers(codes: IntArray, *, n_cells: int) -> IntArray:
    """Return the fold of each cell that the calibration looks at, int64 (cells,).

    While a fold's cells are judged, the reference lacks them: its centroids, its whitening and its neighbours come from
    the other cells. Each label's cells are spread over the folds as evenly as can be.

    Parameters
    ----------
    codes
        Label numbers of the cells, in an order that neither the file nor the labels decide, (cells,).
    n_cells
        Cells of the whole reference. A fold leaves out a twentieth of them where up to ten folds allow it.

    Examples
    --------
    >>> fold_numbers(np.array([0, 0, 1, 1]), n_cells=80)
    array([0, 1, 0, 1])
    """
    least, most = FOLDS
    n_folds = min(max(int(np.ceil(len(codes) / (FOLD_SHARE * n_cells))), least), most)
    folds = np.empty(len(codes), dtype=np.int64)
    folds[np.argsort(codes, kind="stable")] = np.arange(len(codes)) % n_folds
    return folds


def joined_evidence(parts: Sequence[Evidence], cells: Sequence[IntArray]) -> Evidence:
    """Return the evidence of several parts of the cells as one, in the order of the cells' numbers."""
    order = np.argsort(np.concatenate(cells))

    def joined(name: str) -> FloatArray:
        values: FloatArray = np.concatenate([getattr(part, name) for part in parts])[order]
        return values

    return Evidence(joined("share"), parts[0].n_neighbours, joined("log_distance"), joined("log_deviation"))


def learn_calibration(
    own: tuple[Evidence, np.ndarray],
    simulated: Sequence[tuple[Evidence, np.ndarray]],
    unknown: Evidence | None,
) -> Calibration:
    """Return the calibration of a reference, a logistic regression on cells whose label is known.

    Platt's method with the distance as a second feature. The cells are the reference's own, judged by a reference
    without them; the same cells as other platforms might have measured them, for what such shifts do; and cells whose
    whole type was left out, whose label is wrong by construction: without them no distance could lower a confidence.

    Parameters
    ----------
    own
        Evidence on reference cells, and whether the label that it gives is right.
    simulated
        The same for these cells on each simulated platform.
    unknown
        Evidence on cells whose type was left out; None where there is one type only.
    """
    scales = _scale(own[0].log_distance), _scale(own[0].log_deviation)
    parts = [own, *simulated]
    shares = [1 / len(parts)] * len(parts)
    if unknown is not None:
        parts.append((unknown, np.zeros(len(unknown.share), dtype=bool)))
        shares.append(UNKNOWN_WEIGHT)
    features = [_features(e, _relative_distance(e, *scales)) for e, _ in parts]
    # one cell in the midst of the reference that is right, one beyond all that is wrong: neither is ever certain
    ends = Evidence(np.ones(2), own[0].n_neighbours, np.zeros(2), np.zeros(2))
    rows = np.concatenate([*features, _features(ends, np.array([0, FARTHEST]))])
    right = np.concatenate([*(r for _, r in parts), np.array([True, False])])
    sizes = [(len(r), share * len(own[1]) / len(r)) for (_, r), share in zip(parts, shares, strict=True)]
    weights = np.concatenate([*(np.full(n, weight) for n, weight in sizes), np.ones(2)])
    model = LogisticRegression(C=10.0, max_iter=1000).fit(rows, right, sample_weight=weights)
    own_kind = np.concatenate([_relative_distance(e, *scales) for e, _ in (own, *simulated)])
    novel_above = _upper_bound(own_kind, NOVEL_SHARE)
    return Calibration(*scales, novel_above, float(model.intercept_[0]), *(float(c) for c in model.coef_[0]))


def _scale(values: FloatArray) -> tuple[float, float]:
    middle, high = np.quantile(values, [0.5, 0.95])
    return float(middle), max(float(high - middle), 1e-6)


def _upper_bound(values: FloatArray, share: float) -> float:
    """Return the bound that one more value of the same kind exceeds with a probability of at most `share`.

    Split conformal prediction: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005).
    """
    rank = int(np.ceil((len(values) + 1) * (1 - share)))
    return float(np.sort(values)[rank - 1]) if rank <= len(values) else FARTHEST


def _relative_distance(evidence: Evidence, distance: tuple[float, float], deviation: tuple[float, float]) -> FloatArray:
    apart = (evidence.log_distance - distance[0]) / distance[1]
    off_centroid = (evidence.log_deviation - deviation[0]) / deviation[1]
    return (apart + off_centroid) / 2


def _features(evidence: Evidence, relative_distance: FloatArray) -> FloatArray:
    k = evidence.n_neighbours
    log_odds = np.log((evidence.share * k + 0.5) / ((1 - evidence.share) * k + 0.5))
    near = np.clip(relative_distance, -FARTHEST, FARTHEST)
    return np.stack([log_odds, near, np.maximum(near - 1, 0)], axis=1)
