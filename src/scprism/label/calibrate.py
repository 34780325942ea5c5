"""From what a reference says of a cell to a label, the probability that it is right, and whether the cell is new.

Learned on reference cells whose label is known, each judged by a reference that lacks it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from scprism._threads import in_threads
from scprism.label.evidence import Evidence, Rule, joined_evidence
from scprism.label.novelty import Novelty, learn_novelty
from scprism.label.stacking import Ranked, ranked
from scprism.types import FloatArray, IntArray

__all__ = ["Calibration", "Calls", "Confidence", "Trust", "cross_fitted", "fold_numbers", "learn_calibration"]

FOLDS = (3, 5)
"""Parts of the judged cells, each judged by the other cells: more in references of fewer than `SMALL` cells, where a
third of the cells is missed."""
SMALL = 1000
NOVEL_BELOW = 0.05
"""p-value below which a cell is novel."""
HIGHEST_ODDS = 20.0
"""Log odds are cut here, on both sides."""
FARTHEST = 7.0
"""How far beyond known cells a cell can lie (`Novelty.compared`); it is cut here."""
ENDS = ((8.0, 0.0, True), (-8.0, 0.0, False), (8.0, FARTHEST, False))
"""Log odds, distance beyond known cells, and whether the label is right, of three cells that each calibration starts
from: nothing is certain, and a cell beyond all that is known is wrong however sure its label."""
RIDGE = 0.05
"""Penalty on the squared coefficients."""


@dataclass(frozen=True)
class Confidence:
    """Log odds that a label is right: `intercept` + `log_odds` × its log odds − `beyond` × how far beyond known cells.

    Neither coefficient is negative: a label that is less sure, or a stranger cell, is never more trusted.
    """

    intercept: float
    log_odds: float
    beyond: float

    def of(self, log_odds: FloatArray, beyond: FloatArray) -> FloatArray:
        """Return the estimated probability that each label is right, (cells,)."""
        chances: FloatArray = expit(_features(log_odds, beyond) @ [self.intercept, self.log_odds, self.beyond])
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
    """Labels that some cells are given; arrays over cells.

    Attributes
    ----------
    best
        The likeliest label and the next (`scprism.label.stacking.Ranked`).
    log_probabilities
        Of each label, on the scale on which they are right as often as they say, (cells, labels).
    log_odds
        Of the likeliest label against all others, before it is brought to that scale.
    strangeness
        Of the cell among cells with its label (`scprism.label.novelty.Novelty.strangeness`).
    """

    best: Ranked
    log_probabilities: FloatArray
    log_odds: FloatArray
    strangeness: FloatArray


@dataclass(frozen=True)
class Trust:
    """How far the labels of a query can be trusted; arrays over cells.

    Attributes
    ----------
    confidence
        Estimated probability that the label is right.
    p_value
        Share of known cells that are at least as strange.
    novel
        Whether that is .05 or less.
    is_outside
        Whether the query as a whole lies beyond all that the reference can judge.
    """

    confidence: FloatArray
    p_value: FloatArray
    novel: np.ndarray
    is_outside: bool


@dataclass(frozen=True)
class Calibration:
    """How evidence becomes labels, confidence and novelty.

    Attributes
    ----------
    confidence, novelty
        What they are told by.
    accuracy
        Share of the reference's own cells that are labelled rightly by what was learned without them.
    """

    confidence: Confidence
    novelty: Novelty
    accuracy: float

    def calls(self, evidence: Evidence) -> Calls:
        """Return what cells are called; each cell by itself."""
        log_probabilities = evidence.log_probabilities
        strangeness = self.novelty.strangeness(evidence, log_probabilities.argmax(axis=1))
        scaled = log_softmax(max(self.confidence.log_odds, 1e-3) * log_probabilities, axis=1)
        return Calls(ranked(scaled), scaled, log_odds_of(log_probabilities), strangeness)

    def trust(self, label: IntArray, log_odds: FloatArray, strangeness: FloatArray) -> Trust:
        """Return how far the labels of all cells of a query can be trusted; each is (cells,)."""
        p_value, beyond = self.novelty.compared(strangeness, label)
        is_outside = self.novelty.lies_outside(strangeness)
        return Trust(self.confidence.of(log_odds, beyond), p_value, p_value <= NOVEL_BELOW, is_outside)


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

    def judged(rows: IntArray) -> list[Evidence]:
        rule = fit(np.flatnonzero(~np.isin(np.arange(len(folds)), rows)))
        return [ask(rule, rows) for ask in judge]

    said = zip(*in_threads(judged, held_out), strict=True)
    return [joined_evidence(parts, held_out) for parts in said]


def learn_calibration(
    known: Sequence[Evidence], thinned: Sequence[Evidence], codes: IntArray, *, n_labels: int
) -> Calibration:
    """Return how often labels are right, by a logistic regression (Platt's method) on cells whose label is known.

    Parameters
    ----------
    known
        What is said of the reference's cells by cross-fitting, as they are, and as other platforms measure them; each
        counts alike.
    thinned
        The same with fewer molecules: it tells what depth does.
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
    cells = [(np.array([odds]), np.array([beyond]), np.array([right]), 1.0) for odds, beyond, right in ENDS]
    for evidence, label in zip(known, given, strict=True):
        _, beyond = novelty.compared(novelty.strangeness(evidence, label), label)
        cells.append((log_odds_of(evidence.log_probabilities), beyond, label == codes, 1 / len(known)))
    features = np.concatenate([_features(log_odds, beyond) for log_odds, beyond, _, _ in cells])
    right = np.concatenate([values for _, _, values, _ in cells])
    weights = np.concatenate([np.full(len(values), weight) for _, _, values, weight in cells])
    return Calibration(_fitted(features, right, weights), novelty, float(np.mean(given[0] == codes)))


def log_odds_of(log_probabilities: FloatArray) -> FloatArray:
    """Return the log odds of each cell's likeliest label against all others, (cells,)."""
    best = np.minimum(log_probabilities.max(axis=1), -1e-9)
    odds: FloatArray = best - np.log1p(-np.exp(best))
    return odds


def _features(log_odds: FloatArray, beyond: FloatArray) -> FloatArray:
    sure = np.clip(log_odds, -HIGHEST_ODDS, HIGHEST_ODDS)
    return np.stack([np.ones(len(sure)), sure, -np.minimum(beyond, FARTHEST)], axis=1)


def _fitted(features: FloatArray, right: np.ndarray, weights: FloatArray) -> Confidence:
    """Return the coefficients of most likelihood, those of the log odds and of the distance beyond at least 0."""
    sign = np.where(right, 1.0, -1.0)

    def loss(coefficients: FloatArray) -> tuple[float, FloatArray]:
        margin, penalised = sign * (features @ coefficients), coefficients * [0, 1, 1]
        value = float(weights @ np.logaddexp(0, -margin) + RIDGE * penalised @ penalised)
        return value, -features.T @ (weights * sign * expit(-margin)) + 2 * RIDGE * penalised

    limits = [(None, None), (0, None), (0, None)]
    return Confidence(*map(float, minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B", bounds=limits).x))
