"""Directions in latent space that are worth explaining, besides single units."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from scprism._check import closest
from scprism.errors import InputError
from scprism.types import FloatArray

__all__ = ["contrast_direction", "probe_direction"]


def contrast_direction(latents: FloatArray, first: np.ndarray, second: np.ndarray) -> FloatArray:
    """Return the direction from the mean of `second` to the mean of `first`, of length 1, float64 (units,).

    What a method attributes to it sums to how far a cell lies along the line between the two groups, in latent units.

    Parameters
    ----------
    latents
        Cells by units.
    first, second
        Which cells are in each group, bool (cells,).
    """
    for name, is_in in (("first", first), ("second", second)):
        if np.asarray(is_in).dtype != bool or np.shape(is_in) != (len(latents),) or not np.any(is_in):
            msg = f"`{name}` must mark at least one of the {len(latents):,} cells with True, one value a cell."
            raise InputError(msg)
    step = latents[first].mean(axis=0, dtype=np.float64) - latents[second].mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(step)
    if length == 0:
        msg = "`first` and `second` have the same mean latent, so there is no direction between them."
        raise InputError(msg)
    return np.asarray(step / length)


def probe_direction(latents: FloatArray, labels: np.ndarray, *, label: str, strength: float = 1.0) -> FloatArray:
    """Return the direction that tells one label from all others, float64 (units,).

    The coefficients of a logistic regression on standardised units, on the units' own scale: what a method attributes
    to it sums to a difference in the log odds of the label.

    Parameters
    ----------
    latents
        Cells by units. Units that never vary get 0.
    labels
        The label of each cell.
    label
        The label to tell apart.
    strength
        Inverse of the regression's L2 penalty.
    """
    is_label = np.asarray(labels).astype(str) == label
    if is_label.all() or not is_label.any():
        msg = f"`label` must be that of some but not all cells, got {label!r}. Closest: {closest(label, set(labels))}."
        raise InputError(msg)
    values = np.asarray(latents, dtype=np.float64)
    spread = values.std(axis=0)
    spread = np.where(spread > 0, spread, np.inf)
    standard = (values - values.mean(axis=0)) / spread
    probe = LogisticRegression(C=strength, max_iter=1000).fit(standard, is_label)
    return np.asarray(probe.coef_[0] / spread)
