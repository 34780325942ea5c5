"""What all units together hold, whichever way single units are turned: linear prediction from one latent to another."""

import numpy as np
from sklearn.linear_model import RidgeCV

from scprism._random import random_generator
from scprism.types import FloatArray, RNGLike

__all__ = ["canonical_correlation", "held_out_halves", "matched_r2", "predicted_share", "predicted_total"]

RIDGE = 1e-3
"""Added to the variances of standardised predictors: keeps units that are nearly the same from blowing up."""
RIDGES = (1e-5, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)
"""The same in regressions, of which leave-one-out errors of the fitted cells choose, for each column by itself."""
LEAST_SPREAD = 1e-6
"""A column whose standard deviation is below this part of the largest is as good as constant, and left out."""


def held_out_halves(n_cells: int, *, rng: RNGLike = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of two random halves, in order: one to fit on, the other to look at."""
    order = random_generator(rng).permutation(n_cells)
    return np.sort(order[: n_cells // 2]), np.sort(order[n_cells // 2 :])


def predicted_share(source: FloatArray, target: FloatArray, *, rng: RNGLike = 0) -> FloatArray:
    """Return for each column of `target` the share of variance that `source` predicts in cells not fitted on: R².

    A ridge regression on one random half of the cells, its strength chosen there, and R² on the other; below 0 where it
    is worse than the first half's mean. NaN for columns as good as constant.

    Parameters
    ----------
    source, target
        Of the same cells, (cells, columns).
    """
    error, total = _errors(source, target, rng=rng)
    spread = np.asarray(target, dtype=np.float64).std(axis=0)
    kept = (spread > LEAST_SPREAD * spread.max(initial=0.0)) & (total > 0)
    return np.asarray(1 - np.divide(error, total, out=np.full(len(total), np.nan), where=kept))


def predicted_total(source: FloatArray, target: FloatArray, *, rng: RNGLike = 0) -> float:
    """Return the share of the variance of all columns of `target` together that `source` predicts.

    As `predicted_share`, but columns count by their variance.
    """
    error, total = _errors(source, target, rng=rng)
    return float(1 - error.sum() / total.sum()) if total.sum() > 0 else float("nan")


def matched_r2(source: FloatArray, target: FloatArray, partner: np.ndarray) -> FloatArray:
    """Return for each column of `target` the squared correlation with its one partner in `source`, NaN for constants.

    Parameters
    ----------
    partner
        The partner of each column of `target` among those of `source`.
    """
    x, y = (
        values - values.mean(axis=0) for values in (source[:, partner].astype(np.float64), target.astype(np.float64))
    )
    length = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    spread = y.std(axis=0)
    kept = (length > 0) & (spread > LEAST_SPREAD * spread.max(initial=0.0))
    return np.asarray(np.divide((x * y).sum(axis=0), length, out=np.full(len(length), np.nan), where=kept) ** 2)


def canonical_correlation(first: FloatArray, second: FloatArray, *, rng: RNGLike = 0) -> float:
    """Return the mean canonical correlation of two latents, directions fitted on half of the cells, seen in the other.

    Hotelling (1936). 1 where one is a linear map of the other; near 0 where they have nothing in common, as directions
    that fit one half by chance do not fit the other.
    """
    fit, test = held_out_halves(len(first), rng=rng)
    x, y = _standard(first, fit), _standard(second, fit)
    white_x, white_y = _whitening(x[fit]), _whitening(y[fit])
    left, _, right = np.linalg.svd(white_x.T @ x[fit].T @ y[fit] @ white_y / len(fit), full_matrices=False)
    a, b = x[test] @ white_x @ left, y[test] @ white_y @ right.T
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    length = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return float(np.divide((a * b).sum(axis=0), length, out=np.zeros(len(length)), where=length > 0).mean())


def _errors(source: FloatArray, target: FloatArray, *, rng: RNGLike) -> tuple[FloatArray, FloatArray]:
    """Return each column's squared errors and its variation in the cells not fitted on, summed over these."""
    fit, test = held_out_halves(len(source), rng=rng)
    x, y = _standard(source, fit), np.asarray(target, dtype=np.float64)
    centre = y[fit].mean(axis=0)
    model = RidgeCV(alphas=len(fit) * np.asarray(RIDGES), fit_intercept=False, alpha_per_target=y.shape[1] > 1)
    predicted = model.fit(x[fit], y[fit] - centre).predict(x[test]).reshape(len(test), -1)
    error = ((y[test] - centre - predicted) ** 2).sum(axis=0)
    total = ((y[test] - y[test].mean(axis=0)) ** 2).sum(axis=0)
    return error, total


def _standard(values: FloatArray, fit: np.ndarray) -> FloatArray:
    """Return columns with mean 0 and spread 1 in the fitted rows; those as good as constant there are left out."""
    x = np.asarray(values, dtype=np.float64)
    spread = x[fit].std(axis=0)
    kept = spread > LEAST_SPREAD * spread.max(initial=0.0)
    return np.asarray((x[:, kept] - x[fit][:, kept].mean(axis=0)) / spread[kept])


def _whitening(x: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(x.T @ x / len(x) + RIDGE * np.eye(x.shape[1]))
    return np.asarray(vectors / np.sqrt(values))
