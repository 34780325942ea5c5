"""Intervals by the bootstrap: repetitions are drawn with replacement, and the statistic is taken anew."""

import numpy as np

from scprism.types import FloatArray, RNGLike

__all__ = ["Estimate", "difference_of_means", "mean_with_interval"]

N_DRAWS = 5000
LEVEL = 0.95

Estimate = tuple[float, tuple[float, float]]
"""A statistic and its interval of 95 % (percentile bootstrap); NaN where there is nothing to take it of."""


def mean_with_interval(values: FloatArray, *, rng: RNGLike = 0) -> Estimate:
    """Return the mean of repetitions and its interval; missing values are left out.

    With five repetitions or fewer such intervals are too narrow, more often than not; they say how far repetitions
    agree, not what a further data set would give.

    Examples
    --------
    >>> mean_with_interval(np.array([2.0, 2.0, 2.0]))
    (2.0, (2.0, 2.0))
    """
    known = _known(values)
    if known.size == 0:
        return float("nan"), (float("nan"), float("nan"))
    return float(known.mean()), _interval(_drawn_means(known, np.random.default_rng(rng)))


def difference_of_means(first: FloatArray, second: FloatArray, *, rng: RNGLike = 0) -> Estimate:
    """Return the mean of `second` less that of `first`, and its interval; both are drawn by themselves.

    Examples
    --------
    >>> difference_of_means(np.array([1.0, 1.0]), np.array([3.0, 3.0]))
    (2.0, (2.0, 2.0))
    """
    one, other = _known(first), _known(second)
    if min(one.size, other.size) == 0:
        return float("nan"), (float("nan"), float("nan"))
    generator = np.random.default_rng(rng)
    draws = _drawn_means(other, generator) - _drawn_means(one, generator)
    return float(other.mean() - one.mean()), _interval(draws)


def _known(values: FloatArray) -> FloatArray:
    flat = np.asarray(values, dtype=np.float64).ravel()
    return np.asarray(flat[np.isfinite(flat)])


def _drawn_means(values: FloatArray, rng: np.random.Generator) -> FloatArray:
    return np.asarray(values[rng.integers(values.size, size=(N_DRAWS, values.size))].mean(axis=1))


def _interval(draws: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
