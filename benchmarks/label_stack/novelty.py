"""Whether a cell is of a type that the reference lacks: three scores, and a p-value of them together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scprism.types import FloatArray, IntArray

__all__ = ["DepthTrend", "Novelty", "Profiles", "learn_depth_trend", "learn_novelty", "learn_profiles"]

PRIOR_MOLECULES = 2000.0
"""A label's profile is mixed with that of all cells as if so many of its molecules came from there."""
PRIOR_CELLS = 20.0
"""A label's own median and spread count like those of all cells once it has so many."""


@dataclass(frozen=True)
class Profiles:
    """Mean expression of each label over all genes: logarithm of each gene's share, float32 (genes, labels)."""

    log_share: NDArray[np.float32]

    def deviance(self, counts: sparse.csr_matrix, genes: NDArray[np.bool_] | None = None) -> FloatArray:
        """Return each cell's deviance from the nearest label's profile, nats a molecule, float64 (cells,).

        The cross entropy between the cell's shares and the profile, less the cell's own entropy (Kullback–Leibler
        divergence). Depth matters: few molecules lie far from any profile (`learn_depth_trend`). 0 without molecules.

        Parameters
        ----------
        counts
            Raw counts, csr (cells, genes of the profiles or those of them that `genes` has).
        genes
            Which of the profiles' genes the counts have, in their order; shares are taken over these.
        """
        log_share = self.log_share.astype(np.float64)
        if genes is not None:
            log_share = log_share[genes]
            log_share -= np.log(np.exp(log_share).sum(axis=0))
        total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
        scaled = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        cross = -np.asarray(counts @ log_share) * scaled[:, None]
        cells = np.repeat(np.arange(len(total)), np.diff(counts.indptr))
        terms = counts.data * np.log(np.maximum(counts.data, 1e-300), dtype=np.float64)
        own = np.log(np.maximum(total, 1)) - np.bincount(cells, weights=terms, minlength=len(total)) * scaled
        result: FloatArray = np.where(total > 0, cross.min(axis=1) - own, 0.0)
        return result


def learn_profiles(counts: sparse.csr_matrix, codes: IntArray, *, n_labels: int) -> Profiles:
    """Return the labels' profiles.

    Parameters
    ----------
    counts
        Raw counts, csr (cells, genes).
    codes
        Label numbers, (cells,).
    """
    member = sparse.csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(n_labels, len(codes)))
    sums = np.asarray((member @ counts).todense(), dtype=np.float64)
    everything = sums.sum(axis=0) + 0.5
    common = everything / everything.sum()
    sums += PRIOR_MOLECULES * common
    return Profiles(np.log(sums / sums.sum(axis=1, keepdims=True)).T.astype(np.float32))


@dataclass(frozen=True)
class DepthTrend:
    """What depth makes of the deviance: a parabola of the logarithm of a cell's molecules, within `low` and `high`."""

    coefficients: tuple[float, float, float]
    low: float
    high: float

    def of(self, total: FloatArray) -> FloatArray:
        """Return the usual deviance of cells with so many molecules, (cells,)."""
        log_total = np.clip(np.log(np.maximum(total, 1.0)), self.low, self.high)
        result: FloatArray = np.polyval(self.coefficients, log_total)
        return result


def learn_depth_trend(deviance: FloatArray, total: FloatArray) -> DepthTrend:
    """Return the parabola of least squares through the deviances of a reference's cells, thinned copies included.

    Parameters
    ----------
    deviance
        By profiles that the cells were not part of, (cells,).
    total
        Molecules of each cell, (cells,).
    """
    x = np.log(np.maximum(total, 1.0))
    degree = min(2, len(np.unique(x)) - 1)
    fitted = np.polyfit(x, deviance, degree)
    a, b, c = np.concatenate([np.zeros(2 - degree), fitted])
    return DepthTrend((float(a), float(b), float(c)), float(x.min()), float(x.max()))


@dataclass(frozen=True)
class Novelty:
    """What scores are usual, by label, and how strange one cell in so many is.

    Attributes
    ----------
    middle, spread
        Median of each score among cells with each label, and how far its 95th percentile lies above, (scores, labels).
    known
        Strangeness of cells of the reference's own kind, sorted, (cells,): as they are, and by each platform.
    """

    middle: FloatArray
    spread: FloatArray
    known: tuple[FloatArray, ...]

    def strangeness(self, scores: FloatArray, label: IntArray) -> FloatArray:
        """Return the mean of the scores on the scale of the cells of the label that is given, (cells,).

        0 is a usual cell of that label, 1 about one in twenty.

        Parameters
        ----------
        scores
            Each higher for stranger cells, (scores, cells).
        label
            Label number that each cell is given, (cells,).
        """
        return _strangeness(scores, label, self.middle, self.spread)

    def p_values(self, strangeness: FloatArray, *, n_platforms: int | None = None) -> FloatArray:
        """Return the share of cells of the reference's own kind that are at least as strange, float64 (cells,).

        The greatest share over the platforms counts. A cell of that kind, as it is or by one of these platforms, has a
        p-value of at most p with a probability of at most p (split conformal prediction).

        Parameters
        ----------
        strangeness
            Of the cells, (cells,).
        n_platforms
            How many of the platforms count, from the first; all if not given. Another species is farther away than
            another laboratory, and what is far enough for it hides new types from a query of the same species.

        References
        ----------
        Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005); Bates et al., Ann. Stat. 51 (2023),
        149–178.
        """
        values = np.zeros(len(strangeness))
        for known in self.known if n_platforms is None else self.known[: n_platforms + 1]:
            below = np.searchsorted(known, strangeness, side="left")
            values = np.maximum(values, (len(known) - below + 1) / (len(known) + 1))
        return values


def learn_novelty(parts: list[tuple[FloatArray, IntArray]], *, n_labels: int) -> Novelty:
    """Return what is usual among a reference's cells, by cross-fitting, and among their copies of other platforms.

    Parameters
    ----------
    parts
        Scores, (scores, cells), and the labels that the cells were given, (cells,): of the cells as they are, then of
        each platform. Medians and spreads are those of the cells as they are.
    """
    scores, label = parts[0]
    pooled = _scale(scores)
    middle, spread = (np.repeat(value[:, None], n_labels, axis=1) for value in pooled)
    for code in range(n_labels):
        own = scores[:, label == code]
        if own.shape[1] == 0:
            continue
        share = own.shape[1] / (own.shape[1] + PRIOR_CELLS)
        for target, value, common in zip((middle, spread), _scale(own), pooled, strict=True):
            target[:, code] = share * value + (1 - share) * common
    known = tuple(np.sort(_strangeness(s, given, middle, spread)) for s, given in parts)
    return Novelty(middle, spread, known)


def _scale(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    middle, high = np.quantile(scores, [0.5, 0.95], axis=1)
    return middle, np.maximum(high - middle, 1e-6)


def _strangeness(scores: FloatArray, label: IntArray, middle: FloatArray, spread: FloatArray) -> FloatArray:
    apart: FloatArray = ((scores - middle[:, label]) / spread[:, label]).mean(axis=0)
    return apart
