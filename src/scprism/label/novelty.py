"""Whether a cell is of a type that the reference lacks: scores of strangeness, and a p-value of them together."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from scprism.label.evidence import Evidence
from scprism.types import FloatArray, IntArray

__all__ = ["DepthTrend", "Novelty", "learn_depth_trend", "learn_novelty"]

PRIOR_CELLS = 20.0
"""A label's own median and spread count like those of all cells once it has so many."""


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
        Strangeness of cells of the reference's own kind, sorted, each (cells,): as they are, and by each platform.
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

    def p_values(self, strangeness: FloatArray) -> FloatArray:
        """Return the share of cells of the reference's own kind that are at least as strange, float64 (cells,).

        The greatest share over the platforms counts. A cell of that kind, as it is or by one of these platforms, has a
        p-value of at most p with a probability of at most p (split conformal prediction).

        Parameters
        ----------
        strangeness
            Of the cells, (cells,).

        References
        ----------
        Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005); Bates et al., Ann. Stat. 51 (2023),
        149–178.
        """
        values = np.zeros(len(strangeness))
        for known in self.known:
            below = np.searchsorted(known, strangeness, side="left")
            values = np.maximum(values, (len(known) - below + 1) / (len(known) + 1))
        return values

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
