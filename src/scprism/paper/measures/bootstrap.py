"""Means with bootstrap intervals, and whether paired differences say that a claim holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from scprism.types import FloatArray

__all__ = [
    "LEAST_PAIRS",
    "Estimate",
    "Outcome",
    "Paired",
    "difference_of_means",
    "mean_with_interval",
    "number",
    "paired",
]

N_RESAMPLES = 5000
N_RESAMPLES_OF_PAIRS = 10_000
LEAST_PAIRS = 3
LEAST_TESTED = 6
"""Of 5 differences, all of one sign, Wilcoxon's two-sided p is 2 / 2⁵ = 0.0625: only from 6 on can it be below 0.05."""

Estimate = tuple[float, tuple[float, float]]
"""A mean and its interval of 95 %; NaN where there is nothing to take it of."""

Outcome = Literal["holds", "does not hold", "mixed", "not shown", "no data", "not computed"]


def mean_with_interval(values: FloatArray) -> Estimate:
    """Return the mean of repetitions and its 95 % bootstrap interval (percentile); missing values are left out.

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
    return float(known.mean()), _interval(np.mean, known)


def difference_of_means(first: FloatArray, second: FloatArray) -> Estimate:
    """Return the mean of `second` less that of `first`, and its interval; the two are resampled independently.

    Examples
    --------
    >>> difference_of_means(np.array([1.0, 1.0]), np.array([3.0, 3.0]))
    (2.0, (2.0, 2.0))
    """
    one, other = _known(first), _known(second)
    if min(one.size, other.size) == 0:
        return float("nan"), (float("nan"), float("nan"))
    return float(other.mean() - one.mean()), _interval(_difference, other, one)


@dataclass(frozen=True)
class Paired:
    """Differences over pairs.

    Attributes
    ----------
    mean, low, high
        Mean difference with its 95 % bootstrap interval over pairs (percentile); pairs that share a data set are not
        independent, so the true interval is wider.
    n, n_above
        Pairs, and those in which the difference is above 0.
    p_value
        Wilcoxon's signed-rank test, two-sided; NaN with fewer than 6 differences other than 0, which cannot give a p
        below 0.05.
    """

    mean: float
    low: float
    high: float
    n: int
    n_above: int
    p_value: float

    @property
    def text(self) -> str:
        """The numbers in a line."""
        if self.n == 0:
            return "no pairs"
        test = "" if np.isnan(self.p_value) else f", p = {self.p_value:.2g}"
        return f"{number(self.mean, (self.low, self.high))}, above 0 in {self.n_above} of {self.n}{test}"

    def outcome(self, *, margin: float = 0.0) -> Outcome:
        """Return whether the difference is above −`margin`: by the whole interval, by none of it, or undecided.

        Fewer than three pairs decide nothing.
        """
        if self.n == 0:
            return "no data"
        if self.n < LEAST_PAIRS:
            return "not shown"
        if self.low > -margin:
            return "holds"
        return "does not hold" if self.high < -margin else "not shown"


def paired(differences: FloatArray) -> Paired:
    """Return the summary of differences, one a pair; missing ones are left out."""
    known = np.asarray(differences, dtype=np.float64)
    known = known[~np.isnan(known)]
    n = len(known)
    if n == 0:
        return Paired(float("nan"), float("nan"), float("nan"), 0, 0, float("nan"))
    low, high = _interval(np.mean, known, n_resamples=N_RESAMPLES_OF_PAIRS)
    p_value = float(stats.wilcoxon(known).pvalue) if np.count_nonzero(known) >= LEAST_TESTED else float("nan")
    return Paired(float(known.mean()), low, high, n, int((known > 0).sum()), p_value)


def _known(values: FloatArray) -> FloatArray:
    flat = np.asarray(values, dtype=np.float64).ravel()
    return np.asarray(flat[np.isfinite(flat)])


def _difference(first: FloatArray, second: FloatArray, *, axis: int) -> FloatArray:
    return np.asarray(first.mean(axis=axis) - second.mean(axis=axis))


def _interval(
    statistic: Callable[..., Any], *samples: FloatArray, n_resamples: int = N_RESAMPLES
) -> tuple[float, float]:
    # scipy refuses samples of one value, whose resamples are all the same
    whole = [np.repeat(sample, 2) if sample.size == 1 else sample for sample in samples]
    found = stats.bootstrap(whole, statistic, n_resamples=n_resamples, method="percentile", rng=0).confidence_interval
    return float(found.low), float(found.high)


def number(value: float, interval: tuple[float, float] | None = None, *, digits: int = 3) -> str:
    """Return a number as the page prints it, with its interval.

    Examples
    --------
    >>> number(0.12345, (0.1, 0.2))
    '0.123 [0.100, 0.200]'
    """
    text = f"{value:.{digits}f}"
    return text if interval is None else f"{text} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
