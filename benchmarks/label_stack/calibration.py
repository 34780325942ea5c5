"""What methods say of cells they were not learned on, and how often a label is right that is said with so much odds."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from scprism.types import FloatArray, IntArray

__all__ = ["N_FOLDS", "Confidence", "Judged", "cross_fitted", "folds_of", "learn_confidence"]

N_FOLDS = 5
FARTHEST = 8.0
"""Strangeness is cut here: beyond, a cell is as foreign as can be."""
UNKNOWN_WEIGHT = 0.05
"""Weight of cells whose type the methods were not shown, relative to cells whose type they know."""

Learned = TypeVar("Learned")


def folds_of(codes: IntArray, keys: NDArray[np.uint64], *, n_folds: int = N_FOLDS) -> IntArray:
    """Return a fold for each cell, each label spread evenly over the folds, (cells,).

    Parameters
    ----------
    codes
        Label numbers, (cells,).
    keys
        A number for each cell that decides its place (`label_stack.draws.cell_keys`): the cells' order does not.
        Equal cells lie in one fold as far as can be, so that none is judged by its double.
    n_folds
        How many folds; a label of one cell has it in one of them.
    """
    folds = np.zeros(len(codes), dtype=np.int64)
    start = 0
    for code in np.unique(codes):
        cells = np.flatnonzero(codes == code)
        _, place = np.unique(keys[cells], return_inverse=True)
        folds[cells] = (place + start) % n_folds
        start += int(place.max()) + 1
    return folds


def cross_fitted(
    folds: IntArray,
    fit: Callable[[IntArray], Learned],
    predict: Callable[[Learned, IntArray], FloatArray],
) -> FloatArray:
    """Return what is predicted of each cell by what was learned without its fold, (cells, …).

    Everything that a prediction uses and that was learned from labels belongs into `fit`: centroids, whitening,
    neighbours, regressions, profiles. What stays outside sees the cell's own label, and accuracy and confidence are
    then too high: with 20 labels of 20 cells without any signal, .33 in place of .05.

    Parameters
    ----------
    folds
        Of each cell (`folds_of`).
    fit
        Given the numbers of the cells to learn from, what is learned.
    predict
        Given that and the numbers of other cells, a row for each of them.

    References
    ----------
    Stone, J. R. Stat. Soc. B 36 (1974), 111–147.
    """
    result: FloatArray | None = None
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        learned = fit(np.flatnonzero(folds != fold))
        said = np.asarray(predict(learned, rows))
        if result is None:
            result = np.zeros((len(folds), *said.shape[1:]))
        result[rows] = said
    return np.zeros(0) if result is None else result


@dataclass(frozen=True)
class Judged:
    """Calls of cells that they were not learned on; arrays over cells.

    Attributes
    ----------
    log_odds
        Of the label that is given against all others, by the stacked methods.
    strangeness
        How far the cell is from the reference, 0 for a usual cell, 1 for one in twenty.
    right
        Whether the label is right, bool.
    """

    log_odds: FloatArray
    strangeness: FloatArray
    right: NDArray[np.bool_]


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


def learn_confidence(known: list[Judged], unknown: Judged | None) -> Confidence:
    """Return how often a label is right, by a logistic regression (Platt's method) on cells whose label is known.

    Parameters
    ----------
    known
        The reference's cells by cross-fitting, and the same cells as other platforms measure them; each counts alike.
    unknown
        Cells whose own label was taken away: wrong by construction, they teach what strangeness means. None where
        there is one label only.

    References
    ----------
    Platt, Advances in Large Margin Classifiers (1999), 61–74.
    """
    parts, n_cells = list(known), len(known[0].right)
    shares = [1 / len(known)] * len(known)
    if unknown is not None:
        parts.append(unknown)
        shares.append(UNKNOWN_WEIGHT)
    rows = [_features(part.log_odds, part.strangeness) for part in parts]
    each = [share * n_cells / len(part.right) for part, share in zip(parts, shares, strict=True)]
    weights = [np.full(len(part.right), weight) for part, weight in zip(parts, each, strict=True)]
    # one usual cell that is right, one beyond all that is wrong: nothing is ever certain
    ends = _features(np.array([FARTHEST, -FARTHEST]), np.array([0, FARTHEST]))
    model = LogisticRegression(C=10.0, max_iter=1000).fit(
        np.concatenate([*rows, ends]),
        np.concatenate([*(part.right for part in parts), np.array([True, False])]),
        sample_weight=np.concatenate([*weights, np.ones(2)]),
    )
    return Confidence(float(model.intercept_[0]), *(float(c) for c in model.coef_[0]))


def _features(log_odds: FloatArray, strangeness: FloatArray) -> FloatArray:
    near = np.clip(strangeness, -FARTHEST, FARTHEST)
    return np.stack([np.clip(log_odds, -20, 20), near, np.maximum(near - 1, 0)], axis=1)
