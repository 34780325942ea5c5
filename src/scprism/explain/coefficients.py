"""Attributions before the first weights: each is ``coefficients @ W1``, for some methods times the cell's values.

The first layer is linear in the genes, so everything that a method does to the two activations happens on matrices
of hidden units. Only the last product meets the genes, and sums over cells can be taken before it.
"""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from scprism._threads import compiled, spread
from scprism.explain.encoder import Encoder, latent_input
from scprism.explain.softplus import secant, secants_along, slope
from scprism.types import FloatArray

__all__ = ["Gates", "Head", "expand", "path_coefficients", "secant_gates", "slope_gates", "sum_expanded"]

_PATH_CELLS = 64
_PATH_TOLERANCE = 1e-3
_MOST_SEGMENTS = 256
_NEGLIGIBLE = 1e-15  # smaller gates are 0: their products would become denormal numbers, which are slow


@dataclass(frozen=True)
class Gates:
    """What each cell's activations let through: `hidden` (cells, hidden) and `latent` (cells, units), 0 to 1."""

    hidden: FloatArray
    latent: FloatArray


@dataclass(frozen=True)
class Head:
    """What follows the hidden layer: `weight` (units, hidden), `directions` (directions, units) or None for units.

    `clamped` (directions,) says which directions follow the guided rule, which acts at nonlinear layers only.
    """

    weight: FloatArray
    directions: FloatArray | None
    clamped: np.ndarray
    hidden_is_linear: bool
    latent_is_linear: bool

    @property
    def is_mixed(self) -> bool:
        """Whether a direction's signal meets the units' gates before it is one signal."""
        return self.directions is not None and not self.latent_is_linear

    @property
    def factor(self) -> FloatArray:
        """Weights (directions, hidden): unless the head is mixed, a coefficient is gate × weight × gate."""
        return self._clamp(self.weight if self.directions is None else self.directions @ self.weight)

    def mixed(self, latent_gate: FloatArray) -> FloatArray:
        """Return the signal at the hidden layer, (cells, directions, hidden), of directions that mix units."""
        signal = np.asarray(self.directions) * latent_gate[:, None, :]  # (cells, directions, units)
        signal = np.where(self.clamped[:, None], np.maximum(signal, 0.0), signal)
        return self._clamp(np.asarray(signal @ self.weight))

    def _clamp(self, signal: FloatArray) -> FloatArray:
        if self.hidden_is_linear:
            return signal
        return np.where(self.clamped[:, None], np.maximum(signal, 0.0), signal)


def slope_gates(encoder: Encoder, hidden: FloatArray) -> Gates:
    """Return the slopes of both activations at the hidden input `hidden` (cells, hidden)."""
    latent = latent_input(encoder, hidden)
    return Gates(slope(hidden, beta=encoder.hidden_beta), slope(latent, beta=encoder.latent_beta))


def secant_gates(encoder: Encoder, hidden: FloatArray, start: FloatArray) -> Gates:
    """Return the difference quotients of both activations between two hidden inputs (…, hidden)."""
    latent, latent_start = latent_input(encoder, hidden), latent_input(encoder, start)
    return Gates(
        secant(hidden, start, beta=encoder.hidden_beta), secant(latent, latent_start, beta=encoder.latent_beta)
    )


def expand(gates: Gates, head: Head, *, pool: Executor | None = None) -> FloatArray:
    """Return the coefficients of each cell, float32 (cells, directions, hidden)."""
    hidden = _without_denormals(gates.hidden)
    if head.is_mixed:
        return np.asarray(head.mixed(gates.latent) * hidden[:, None, :], dtype=np.float32)
    factor = head.factor.astype(np.float32)
    is_open = np.ones((len(hidden), len(factor)), dtype=np.float32)
    latent = is_open if head.latent_is_linear else _without_denormals(gates.latent)
    out = np.empty((len(hidden), *factor.shape), dtype=np.float32)
    spread(_multiply, (latent, factor, hidden, out), n_tasks=len(out), pool=pool)
    return out


def sum_expanded(gates: Gates, head: Head) -> FloatArray:
    """Return the sum over cells of the coefficients, float64 (directions, hidden), in one product where it can be."""
    if head.is_mixed:
        return np.asarray((head.mixed(gates.latent) * gates.hidden[:, None, :]).sum(axis=0))
    if head.latent_is_linear:
        return np.asarray(head.factor * gates.hidden.sum(axis=0))
    return np.asarray(head.factor * (gates.latent.T @ gates.hidden))


def path_coefficients(
    encoder: Encoder, head: Head, hidden: FloatArray, start: FloatArray, *, pool: Executor | None = None
) -> FloatArray:
    """Return the coefficients averaged on the line between two hidden inputs, float32 (cells, directions, hidden).

    A line in gene space is a line in the hidden layer's input. It is cut into segments, and each contributes the
    product of its two difference quotients: the sum is complete for any number of segments and tends to integrated
    gradients. The number doubles, for each cell by itself, until doubling moves less than 1e-3 of what flows through
    its hidden units. If only one layer is nonlinear, one segment is exact.
    """
    start = np.broadcast_to(start, hidden.shape)
    if encoder.is_bent_once:
        return expand(secant_gates(encoder, hidden, start), head, pool=pool)
    out = np.empty((len(hidden), len(head.clamped), hidden.shape[1]), dtype=np.float32)

    def fill(first: int, last: int) -> None:
        for i in range(first * _PATH_CELLS, last * _PATH_CELLS, _PATH_CELLS):
            block = slice(i, i + _PATH_CELLS)
            weight = _path_average(encoder, hidden[block], start[block]) * head.weight
            out[block] = weight if head.directions is None else head.directions @ weight

    spread(fill, (), n_tasks=-(-len(hidden) // _PATH_CELLS), pool=pool)
    return out


def _path_average(encoder: Encoder, hidden: FloatArray, start: FloatArray) -> FloatArray:
    """Return the mean over the path of latent gate × hidden gate, (cells, units, hidden)."""
    n_segments = 4
    average = _segment_average(encoder, hidden, start, n_segments)
    open_cells = np.arange(len(hidden))
    while len(open_cells) and n_segments < _MOST_SEGMENTS:
        n_segments *= 2
        step = np.abs(hidden[open_cells] - start[open_cells])[:, :, None]
        finer = _segment_average(encoder, hidden[open_cells], start[open_cells], n_segments)
        change = (np.abs(finer - average[open_cells]) * np.abs(encoder.latent_weight)) @ step  # (cells, units, 1)
        size = (finer * np.abs(encoder.latent_weight)) @ step
        average[open_cells] = finer
        open_cells = open_cells[change.max(axis=(1, 2)) > _PATH_TOLERANCE * size.max(axis=(1, 2))]
    return average


def _segment_average(encoder: Encoder, hidden: FloatArray, start: FloatArray, n_segments: int) -> FloatArray:
    shares = np.linspace(0.0, 1.0, n_segments + 1)[:, None, None]
    points = start + shares * (hidden - start)  # (segments + 1, cells, hidden)
    hidden_gate = secants_along(points, beta=encoder.hidden_beta)
    latent_gate = secants_along(latent_input(encoder, points), beta=encoder.latent_beta)
    return np.asarray(latent_gate.transpose(1, 2, 0) @ hidden_gate.transpose(1, 0, 2)) / n_segments


def _without_denormals(gate: FloatArray) -> FloatArray:
    return np.where(gate < _NEGLIGIBLE, 0.0, gate).astype(np.float32)


@compiled
def _multiply(
    latent: FloatArray, factor: FloatArray, hidden: FloatArray, out: FloatArray, start: int, stop: int
) -> None:
    for i in range(start, stop):
        for d in range(len(factor)):
            row, weight = out[i, d], factor[d]
            gate, through = latent[i, d], hidden[i]
            for h in range(len(weight)):
                row[h] = weight[h] * gate * through[h]
