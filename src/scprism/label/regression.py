"""Multinomial logistic regression of labels on gene expression: every call is a sum over genes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax

from scprism.errors import InputError
from scprism.types import FloatArray, IntArray

__all__ = ["Regression", "balanced_weights", "fit_regression"]

STRENGTH = 0.1
"""Inverse of the ridge penalty (scikit-learn's C)."""
MAX_STEPS = 200
LEAST_GAIN = 1e-7
"""Relative gain of a step below which the fit ends; probabilities are then within .003 of their limit."""
TOLERANCE = 1e-4
"""Largest slope at which the fit ends, relative to the number of cells."""


@dataclass(frozen=True)
class Regression:
    """A fitted regression.

    Attributes
    ----------
    weights
        float32 (genes, labels).
    intercept
        float64 (labels,).
    """

    weights: NDArray[np.float32]
    intercept: FloatArray

    def log_odds(self, values: sparse.csr_matrix | FloatArray) -> FloatArray:
        """Return each label's score before softmax, float64 (cells, labels).

        Parameters
        ----------
        values
            Expression on the scale of the fit, (cells, genes).
        """
        scores: FloatArray = np.asarray(values @ self.weights, dtype=np.float64) + self.intercept
        return scores

    def log_probabilities(self, values: sparse.csr_matrix | FloatArray) -> FloatArray:
        """Return the logarithm of each label's probability, float64 (cells, labels)."""
        result: FloatArray = log_softmax(self.log_odds(values), axis=1)
        return result


def balanced_weights(codes: IntArray, *, n_labels: int) -> FloatArray:
    """Return the weight of each cell if every label is to weigh the same; they add up to the number of cells."""
    sizes = np.bincount(codes, minlength=n_labels)
    weights: FloatArray = len(codes) / ((sizes > 0).sum() * sizes[codes])
    return weights


def fit_regression(
    values: sparse.csr_matrix,
    codes: IntArray,
    *,
    n_labels: int,
    strength: float = STRENGTH,
    weights: FloatArray | None = None,
) -> Regression:
    """Return the ridge regression of the labels, as scikit-learn's ``LogisticRegression(C=strength)`` fits it.

    Nothing is drawn at random, and the order of cells, genes and labels matters only for rounding. Time is
    proportional to steps × non-zero values × labels.

    Parameters
    ----------
    values
        Expression, such as log1p counts per 10,000; csr (cells, genes).
    codes
        Label number of each cell, 0 to `n_labels` − 1, (cells,).
    n_labels
        How many labels there are; a label without a cell gets a low, finite score.
    strength
        Inverse of the ridge penalty.
    weights
        Of the cells, (cells,); so that all labels weigh the same (`balanced_weights`) if not given.

    Raises
    ------
    InputError
        If there are no cells, or a value is infinite or NaN.
    """
    n_cells, n_genes = values.shape
    if n_cells == 0 or not np.isfinite(values.data).all():
        msg = f"A regression needs cells with finite expression values, got {n_cells:,} cells."
        msg += "" if n_cells == 0 else " Some values are infinite or NaN."
        raise InputError(msg)
    each = balanced_weights(codes, n_labels=n_labels) if weights is None else weights
    problem = _Problem(values.astype(np.float32), codes, each.astype(np.float64), n_labels, 1 / strength)
    first = np.zeros((n_genes + 1) * n_labels)
    options = {"maxiter": MAX_STEPS, "gtol": TOLERANCE * each.sum() / n_cells, "ftol": LEAST_GAIN, "maxcor": 10}
    found = minimize(problem.loss, first, jac=True, method="L-BFGS-B", options=options)
    return problem.unpacked(found.x)


@dataclass(frozen=True)
class _Problem:
    """The penalised loss; expression is centred, which changes the intercept alone and saves steps."""

    values: sparse.csr_matrix
    codes: IntArray
    weights: FloatArray
    n_labels: int
    penalty: float
    transposed: sparse.csr_matrix = field(init=False)
    mean: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "transposed", self.values.T.tocsr())
        mean = self.values.T @ (self.weights / self.weights.sum()).astype(np.float32)
        object.__setattr__(self, "mean", np.asarray(mean, dtype=np.float64))

    def loss(self, packed: FloatArray) -> tuple[float, FloatArray]:
        """Return the loss and its gradient."""
        slopes, intercept = packed[: -self.n_labels].reshape(-1, self.n_labels), packed[-self.n_labels :]
        scores = np.asarray(self.values @ slopes.astype(np.float32), dtype=np.float64)
        scores += intercept - self.mean @ slopes
        rows = np.arange(len(scores))
        log_p = log_softmax(scores, axis=1)
        loss = -float(self.weights @ log_p[rows, self.codes]) + 0.5 * self.penalty * float((slopes**2).sum())
        error = np.exp(log_p)
        error[rows, self.codes] -= 1
        error *= self.weights[:, None]
        total = error.sum(axis=0)
        gradient = np.asarray(self.transposed @ error.astype(np.float32), dtype=np.float64)
        gradient += self.penalty * slopes - np.outer(self.mean, total)
        return loss, np.concatenate([gradient.ravel(), total])

    def unpacked(self, packed: FloatArray) -> Regression:
        """Return the regression on values that are not centred."""
        slopes, intercept = packed[: -self.n_labels].reshape(-1, self.n_labels), packed[-self.n_labels :]
        return Regression(slopes.astype(np.float32), intercept - self.mean @ slopes)
