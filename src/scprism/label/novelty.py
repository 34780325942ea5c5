"""Whether a cell is of a type that the reference lacks: scores of strangeness, and a p-value of them together.

Another platform makes all cells strange. How much it does so is read from the least strange tenth of a query's cells
with a label, which are rarely of a new type; the cells are compared with copies of the reference's cells that are as
strange as that.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from scprism.label.evidence import Evidence
from scprism.types import FloatArray, IntArray

__all__ = ["DepthTrend", "Novelty", "learn_depth_trend", "learn_novelty"]

PRIOR_CELLS = 20.0
"""A label's own numbers count like those of all cells once it has so many cells."""
LEAST_STRANGE = 0.1
"""Quantile of strangeness that tells what a platform does."""


@dataclass(frozen=True)
class DepthTrend:
    """What depth makes of a score: a parabola of the logarithm of a cell's molecules, within `low` and `high`."""

    coefficients: tuple[float, float, float]
    low: float
    high: float

    def of(self, depth: FloatArray) -> FloatArray:
        """Return the usual score of cells with so many molecules, (cells,)."""
        log_depth = np.clip(np.log(np.maximum(depth, 1.0)), self.low, self.high)
        result: FloatArray = np.polyval(self.coefficients, log_depth)
        return result


def learn_depth_trend(score: FloatArray, depth: FloatArray) -> DepthTrend:
    """Return the parabola of least squares through the scores of a reference's cells, thinned copies included.

    Parameters
    ----------
    score
        By a reference that the cells were not part of, (cells,).
    depth
        Molecules of each cell, (cells,).
    """
    x = np.log(np.maximum(depth, 1.0))
    degree = min(2, len(np.unique(x)) - 1)
    fitted = np.polyfit(x, score, degree)
    a, b, c = np.concatenate([np.zeros(2 - degree), fitted])
    return DepthTrend((float(a), float(b), float(c)), float(x.min()), float(x.max()))


@dataclass(frozen=True)
class Novelty:
    """What scores are usual, by label, and how strange one cell in so many is.

    Attributes
    ----------
    trends
        What depth makes of each score.
    middle, spread
        Median of each score among cells with each label, and how far its 95th percentile lies above, (scores, labels).
    known
        Strangeness of cells of the reference, sorted, each (cells,): as they are, and by each simulated platform.
    """

    trends: tuple[DepthTrend, ...]
    middle: FloatArray
    spread: FloatArray
    known: tuple[FloatArray, ...]

    def strangeness(self, evidence: Evidence, label: IntArray) -> FloatArray:
        """Return the mean of the scores on the scale of the cells of the label that is given, (cells,).

        0 is a usual cell of that label, 1 about one in twenty.

        Parameters
        ----------
        evidence
            What the reference says of the cells.
        label
            Label number that each cell is given, (cells,).
        """
        return _strangeness(_without_depth(evidence, self.trends), label, self.middle, self.spread)

    def compared(self, strangeness: FloatArray, label: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return how all cells of a query compare with known cells: p-values, and how far they lie beyond, (cells,).

        A p-value is the share of known cells that are at least as strange. The known cells are those of the reference
        or their copies by a simulated platform, whichever have the same `LEAST_STRANGE` quantile as the query's cells
        with that label; in between, the mean of the quantiles of the two nearest. Beyond the farthest platform it is
        that one. The fewer cells a label or the query has, the more they are taken for those of the farthest platform.
        Of cells of the reference's own kind, a share of p at most has a p-value up to p (split conformal prediction).

        How far a cell lies beyond is 0 up to the 95th percentile of the known cells, and counts in units of the
        distance from their median to there.

        Parameters
        ----------
        strangeness, label
            Of all cells of the query, (cells,).

        References
        ----------
        Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005); Bates et al., Ann. Stat. 51 (2023),
        149–178.
        """
        p_values, beyond = np.ones(len(strangeness)), np.zeros(len(strangeness))
        of_query = _least_strange(strangeness, prior=self.farthest)
        for code in np.unique(label):
            cells = np.flatnonzero(label == code)
            values = strangeness[cells]
            known = self._known_at(_least_strange(values, prior=of_query))
            p_values[cells] = (len(known) - np.searchsorted(known, values, side="left") + 1) / (len(known) + 1)
            middle, high = np.quantile(known, [0.5, 0.95])
            beyond[cells] = np.maximum((values - high) / max(high - middle, 1e-6), 0)
        return p_values, beyond

    @property
    def farthest(self) -> float:
        """The `LEAST_STRANGE` quantile of the known cells by the platform that makes them strangest."""
        return max(float(np.quantile(known, LEAST_STRANGE)) for known in self.known)

    def lies_outside(self, strangeness: FloatArray) -> bool:
        """Return whether even the least strange cells of a query, (cells,), are stranger than the farthest platform."""
        return len(strangeness) > 0 and float(np.quantile(strangeness, LEAST_STRANGE)) > self.farthest

    def _known_at(self, least_strange: float) -> FloatArray:
        """Return the strangeness of known cells, sorted, whose `LEAST_STRANGE` quantile is this one, within limits."""
        quantiles = np.array([np.quantile(known, LEAST_STRANGE) for known in self.known])
        order = np.argsort(quantiles, kind="stable")
        place = np.interp(least_strange, quantiles[order], np.arange(len(order)))
        below, above = (self.known[order[int(f(place))]] for f in (np.floor, np.ceil))
        mixed: FloatArray = below + (place % 1) * (above - below)
        return mixed

    def to_json(self) -> list[dict[str, Any]]:
        """Return the trends as dictionaries that JSON can hold; the arrays are stored as arrays."""
        return [asdict(trend) for trend in self.trends]

    @classmethod
    def from_parts(
        cls, trends: Sequence[dict[str, Any]], middle: FloatArray, spread: FloatArray, known: tuple[FloatArray, ...]
    ) -> Self:
        """Return what `to_json` and the arrays hold."""
        curves = []
        for trend in trends:
            a, b, c = (float(value) for value in trend["coefficients"])
            curves.append(DepthTrend((a, b, c), float(trend["low"]), float(trend["high"])))
        return cls(tuple(curves), middle, spread, known)


def learn_novelty(known: Sequence[tuple[Evidence, IntArray]], thinned: Sequence[Evidence], *, n_labels: int) -> Novelty:
    """Return what is usual among a reference's cells, by cross-fitting, and among their copies of other platforms.

    Parameters
    ----------
    known
        What is said of the cells, and the labels that they are given, (cells,): of the cells as they are, then of each
        platform. Medians and spreads are those of the cells as they are.
    thinned
        What is said of the same cells with fewer molecules.
    n_labels
        How many labels there are.
    """
    own, label = known[0]
    parts = [own, *thinned]
    depth = np.concatenate([part.depth for part in parts])
    trends = tuple(
        learn_depth_trend(np.concatenate([part.scores[i] for part in parts]), depth) for i in range(len(own.scores))
    )
    scores = _without_depth(own, trends)
    pooled = _scale(scores)
    middle, spread = (np.repeat(value[:, None], n_labels, axis=1) for value in pooled)
    for code in range(n_labels):
        cells = scores[:, label == code]
        if cells.shape[1] == 0:
            continue
        share = cells.shape[1] / (cells.shape[1] + PRIOR_CELLS)
        for target, value, common in zip((middle, spread), _scale(cells), pooled, strict=True):
            target[:, code] = share * value + (1 - share) * common
    strange = (_strangeness(_without_depth(e, trends), given, middle, spread) for e, given in known)
    return Novelty(trends, middle, spread, tuple(np.sort(values) for values in strange))


def _least_strange(strangeness: FloatArray, *, prior: float) -> float:
    n = len(strangeness)
    own = float(np.quantile(strangeness, LEAST_STRANGE)) if n else prior
    return (n * own + PRIOR_CELLS * prior) / (n + PRIOR_CELLS)


def _without_depth(evidence: Evidence, trends: Sequence[DepthTrend]) -> FloatArray:
    usual = np.stack([trend.of(evidence.depth) for trend in trends])
    corrected: FloatArray = evidence.scores - usual
    return corrected


def _scale(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    middle, high = np.quantile(scores, [0.5, 0.95], axis=1)
    return middle, np.maximum(high - middle, 1e-6)


def _strangeness(scores: FloatArray, label: IntArray, middle: FloatArray, spread: FloatArray) -> FloatArray:
    apart: FloatArray = ((scores - middle[:, label]) / spread[:, label]).mean(axis=0)
    return apart
