"""The space in which cells are compared: on which scale, by which metric, and how closely cells of one label lie."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from scprism.label.neighbours import Finder, Scaling, neighbour_finder, placed, scaling_of
from scprism.model.config import Config
from scprism.types import FloatArray, IntArray

__all__ = ["Space", "Whitening", "centres_of", "inverse_root_within", "space_of"]

LEAST_SPREAD = 1e-6
"""Spread that cells within labels have at least: they may be equal."""


@dataclass(frozen=True)
class Whitening:
    """Turns cells into ones whose units are uncorrelated and of unit spread within labels; float64.

    Attributes
    ----------
    middle
        Mean of the labels' centres, (units,).
    turn
        What multiplies deviations from it, (units, units).
    """

    middle: FloatArray
    turn: FloatArray

    def apply(self, points: FloatArray) -> FloatArray:
        """Return whitened points, (cells, units)."""
        whitened: FloatArray = (points - self.middle) @ self.turn
        return whitened


@dataclass(frozen=True)
class Space:
    """On which scale, and by which metric, cells are compared."""

    scaling: Scaling | None
    metric: Literal["cosine", "euclidean"]
    whitening: Whitening | None = None

    def place(self, latent: FloatArray) -> FloatArray:
        """Return the cells as points whose Euclidean distances order them, float32 (cells, units)."""
        points = placed(latent if self.scaling is None else self.scaling.apply(latent), self.metric)
        return points if self.whitening is None else placed(self.whitening.apply(points), self.metric)

    def finder(self, latent: FloatArray, *, exact: bool | None = None) -> Finder:
        """Return the search among the cells of a reference."""
        find = neighbour_finder(self.place(latent), metric=self.metric, exact=exact)
        return lambda query, k: find(self.place(query), k)


def space_of(latent: FloatArray, codes: IntArray, config: Config) -> Space:
    """Return the space in which a reference's labelled cells are compared.

    With ``whiten_latent`` directions in which cells of one label differ much count little. With cosines this is the
    within-class covariance normalisation of speaker verification.

    Parameters
    ----------
    latent
        As the model gives it, (cells, units).
    codes
        Label number of each cell; every label has a cell, (cells,).
    config
        Metric, scaling and whitening.

    References
    ----------
    Hatch, Kajarekar and Stolcke, Interspeech (2006), 1471–1474.
    """
    plain = Space(scaling_of(latent) if config.standardise_latent else None, config.metric)
    if not config.whiten_latent:
        return plain
    points = plain.place(latent).astype(np.float64)
    centres = centres_of(points, codes)
    whitening = Whitening(centres.mean(axis=0), inverse_root_within(points - centres[codes]))
    return Space(plain.scaling, plain.metric, whitening)


def centres_of(points: FloatArray, codes: IntArray) -> FloatArray:
    """Return the mean of each label's points, float64 (labels, units)."""
    return np.stack([points[codes == label].mean(axis=0, dtype=np.float64) for label in range(int(codes.max()) + 1)])


def inverse_root_within(deviations: FloatArray) -> FloatArray:
    """Return what gives deviations from the labels' centres (cells, units) unit spread, float64 (units, units).

    Their covariance is shrunk towards a sphere, the more so the fewer cells there are for the units.
    """
    n_cells, n_units = deviations.shape
    covariance = deviations.T @ deviations / n_cells
    share = min(1.0, (n_units + 2) / n_cells)
    sphere = np.eye(n_units) * max(float(np.trace(covariance)) / n_units, LEAST_SPREAD)
    root: FloatArray = np.linalg.cholesky(np.linalg.inv((1 - share) * covariance + (share + 1e-3) * sphere))
    return root
