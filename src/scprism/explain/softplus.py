"""The activation function, its slope, and its slope between two points, for any beta."""

import numpy as np
from scipy.special import expit

from scprism.types import FloatArray

__all__ = ["secant", "secants_along", "slope", "softplus"]

_SMALL_STEP = 1e-4  # in units of 1/beta: below it the difference quotient loses more digits than the midpoint slope


def softplus(z: FloatArray, *, beta: float | None) -> FloatArray:
    """Return ``log(1 + exp(beta z)) / beta``, without overflow; `z` itself where beta is None."""
    if beta is None:
        return z
    return np.asarray(np.maximum(z, 0.0) + np.log(1.0 + np.exp(-beta * np.abs(z))) / beta)


def slope(z: FloatArray, *, beta: float | None) -> FloatArray:
    """Return the derivative of `softplus` at `z`, between 0 and 1."""
    return np.ones_like(z) if beta is None else np.asarray(expit(beta * z))


def secant(z: FloatArray, start: FloatArray, *, beta: float | None) -> FloatArray:
    """Return ``(softplus(z) - softplus(start)) / (z - start)``, the multiplier of DeepLIFT's rescale rule."""
    return np.asarray(secants_along(np.stack(np.broadcast_arrays(start, z)), beta=beta)[0])


def secants_along(points: FloatArray, *, beta: float | None) -> FloatArray:
    """Return the difference quotient of `softplus` between each point and the next, (points - 1, …).

    Where two points (nearly) meet it is the slope at their midpoint, which differs by less than 1e-9.
    """
    step = np.diff(points, axis=0)
    if beta is None:
        return np.ones_like(step)
    is_small = np.abs(step) < _SMALL_STEP / beta
    quotient = np.diff(softplus(points, beta=beta), axis=0) / np.where(is_small, 1.0, step)
    quotient[is_small] = slope(points[:-1][is_small] + step[is_small] / 2, beta=beta)
    return np.asarray(quotient)
