"""From what a reference says of a cell to a label, the probability that it is right, and whether the cell is new.

Learned on reference cells whose label is known, each judged by a reference that lacks it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression

from scprism.label.evidence import Evidence, Rule, joined_evidence
from scprism.label.novelty import Novelty, learn_novelty
from scprism.label.stacking import Ranked, ranked
from scprism.types import FloatArray, IntArray

__all__ = ["Calibration", "Calls", "Confidence", "cross_fitted", "fold_numbers", "learn_calibration"]

FOLDS = (3, 5)
"""Parts of the judged cells, each judged by the other cells: more in references of fewer than `SMALL` cells, where a
third of the cells is missed."""
SMALL = 1000
NOVEL_BELOW = 0.05
"""p-value below which a cell is novel."""
FARTHEST = 8.0
"""Strangeness is cut here: beyond, a cell is as foreign as can be."""
UNKNOWN_WEIGHT = 0.05
"""Weight of cells whose type the reference was not shown, relative to cells whose type it knows."""


@dataclass(frozen=True)
class Confidence:
    """Coefficients of the log odds that a label is right: of 1, its log odds, strangeness, and strangeness above 1."""

    intercept: float
    log_odds: float
    strangeness: float
    far: float

    def of(self, log_odds: FloatArray, strangeness: FloatArray) -> FloatArray:
        """Return the estimated probability that each label is right, (cells,)."""
        coefficients = np.array([self.log_odds, self.strangeness, self.far])
        chances: FloatArray = expit(_features(log_odds, strangeness) @ coefficients + self.intercept)
        return chances

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the numbers in `values`."""
        return cls(**{name: float(value) for name, value in values.items()})


@dataclass(frozen=True)
class Calls:
    """Labels that are given; arrays over cells.

    Attributes
    ----------
    best
        The likeliest label and the next (`scprism.label.stacking.Ranked`).
    log_probabilities
        Of each label, on the scale on which they are right as often as they say, (cells, labels).
    confidence
        Estimated probability that the label is right.
    p_value
        Share of cells of the reference's own kind that are at least as strange.
    novel
        Whether that is below .05.
    """

    best: Ranked
    log_probabilities: FloatArray
    confidence: FloatArray
    p_value: FloatArray
    novel: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """How evidence becomes labels, confidence and novelty."""

    confidence: Confidence
    novelty: Novelty

    def calls(self, evidence: Evidence) -> Calls:
        """Return what cells are called."""
        label = evidence.log_probabilities.argmax(axis=1)
        strangeness = self.novelty.strangeness(evidence, label)
        p_value = self.novelty.p_values(strangeness)
        scaled = log_softmax(max(self.confidence.log_odds, 1e-3) * evidence.log_probabilities, axis=1)
        confidence = self.confidence.of(log_odds_of(evidence.log_probabilities), strangeness)
        return Calls(ranked(scaled), scaled, confidence, p_value, p_value <= NOVEL_BELOW)


def fold_numbers(codes: IntArray, keys: IntArray, *, n_cells: int) -> IntArray:
    """Return a fold for each cell, each label spread evenly over the folds, int64 (cells,).

    Parameters
    ----------
    codes
        Label numbers, (cells,).
    keys
        A number for each cell that decides its fold, whatever the order of the cells. Equal cells lie in one fold, so
        that none is judged by its double.
    n_cells
        Cells of the whole reference.

    Examples
    --------
    >>> fold_numbers(np.array([0, 0, 1, 1]), np.array([5, 9, 2, 2], dtype=np.uint64), n_cells=4)
    array([0, 1, 2, 2])
    """
    few, many = FOLDS
    n_folds = many if n_cells < SMALL else few
    folds = np.zeros(len(codes), dtype=np.int64)
    start = 0
    for code in np.unique(codes):
        cells = np.flatnonzero(codes == code)
        _, rank = np.unique(keys[cells], return_inverse=True)
        folds[cells] = (rank + start) % n_folds
        start += int(rank.max()) + 1
    return folds


def cross_fitted(
    folds: IntArray,
    fit: Callable[[IntArray], Rule],
    judge: Sequence[Callable[[Rule, IntArray], Evidence]],
) -> list[Evidence]:
    """Return what is said of each cell by what was learned without its fold, once for each way of judging.

    Everything that was learned from labels is learned anew: regressions, profiles, whitening, centroids, neighbours.
    What saw the cell's own label would be right too often: with 20 labels of 20 cells without any signal, .33 in place
    of .05.

    Parameters
    ----------
    folds
        Of each cell (`fold_numbers`).
    fit
        Given the row numbers of the cells to learn from, what is learned.
    judge
        Given that and the row numbers of other cells, what is said of them.

    References
    ----------
    Stone, J. R. Stat. Soc. B 36 (1974), 111–147.
    """
    held_out = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    said: list[list[Evidence]] = [[] for _ in judge]
    for rows in held_out:
        rule = fit(np.flatnonzero(~np.isin(np.arange(len(folds)), rows)))
        for parts, ask in zip(said, judge, strict=True):
            parts.append(ask(rule, rows))
    return [joined_evidence(parts, held_out) for parts in said]


def learn_calibration(
    known: Sequence[Evidence], thinned: Sequence[Evidence], unknown: Evidence | None, codes: IntArray, *, n_labels: int
) -> Calibration:
    """Return how often labels are right, by a logistic regression (Platt's method) on cells whose label is known.

    Parameters
    ----------
    known
        What is said of the reference's cells by cross-fitting, as they are, and as other platforms measure them; each
        counts alike.
    thinned
        The same with fewer molecules: it tells what depth does.
    unknown
        What is said of the same cells by references without any cell of their own label: that label is wrong by
        construction, and teaches what strangeness means. None where there is one label only.
    codes
        The cells' label numbers, (cells,).
    n_labels
        How many labels there are.

    References
    ----------
    Platt, Advances in Large Margin Classifiers (1999), 61–74.
    """
    given = [evidence.log_probabilities.argmax(axis=1) for evidence in known]
    novelty = learn_novelty(list(zip(known, given, strict=True)), thinned, n_labels=n_labels)
    parts = [
        (_features_of(evidence, novelty), label == codes, 1 / len(known))
        for evidence, label in zip(known, given, strict=True)
    ]
    if unknown is not None:
        parts.append((_features_of(unknown, novelty), np.zeros(len(codes), dtype=bool), UNKNOWN_WEIGHT))
    # one usual cell that is right, one beyond all that is wrong: nothing is ever certain
    ends = _features(np.array([FARTHEST, -FARTHEST]), np.array([0, FARTHEST]))
    model = LogisticRegression(C=10.0, max_iter=1000).fit(
        np.concatenate([*(features for features, _, _ in parts), ends]),
        np.concatenate([*(right for _, right, _ in parts), np.array([True, False])]),
        sample_weight=np.concatenate([*(np.full(len(r), weight) for _, r, weight in parts), np.ones(2)]),
    )
    return Calibration(Confidence(float(model.intercept_[0]), *(float(c) for c in model.coef_[0])), novelty)


def log_odds_of(log_probabilities: FloatArray) -> FloatArray:
    """Return the log odds of each cell's likeliest label against all others, (cells,)."""
    best = np.minimum(log_probabilities.max(axis=1), -1e-9)
    odds: FloatArray = best - np.log1p(-np.exp(best))
    return odds


def _features_of(evidence: Evidence, novelty: Novelty) -> FloatArray:
    label = evidence.log_probabilities.argmax(axis=1)
    return _features(log_odds_of(evidence.log_probabilities), novelty.strangeness(evidence, label))


def _features(log_odds: FloatArray, strangeness: FloatArray) -> FloatArray:
    near = np.clip(strangeness, -FARTHEST, FARTHEST)
    return np.stack([np.clip(log_odds, -20, 20), near, np.maximum(near - 1, 0)], axis=1)
