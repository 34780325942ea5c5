"""Paired differences: their mean, an interval, and whether a claim about them holds."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from scprism.paper.sections.section import Outcome, number
from scprism.types import FloatArray

__all__ = ["LEAST_PAIRS", "Paired", "paired"]

N_RESAMPLES = 10_000
LEAST_PAIRS = 3


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
        Wilcoxon's signed-rank test; NaN below 5 pairs, with which it cannot come under 0.05.
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
    draws = np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
    low, high = np.percentile(known[draws].mean(axis=1), [2.5, 97.5])
    p_value = float(stats.wilcoxon(known).pvalue) if n >= 5 and known.any() else float("nan")
    return Paired(float(known.mean()), float(low), float(high), n, int((known > 0).sum()), p_value)
