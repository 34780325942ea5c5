"""The decoder's side: how the output changes with a unit."""

import numpy as np

from scprism.errors import InputError
from scprism.explain.softplus import slope, softplus
from scprism.model.weights import Weights
from scprism.types import FloatArray

__all__ = ["decoder_map"]

_CELLS = 1024


def decoder_map(weights: Weights, latents: FloatArray, *, directions: FloatArray | None = None) -> FloatArray:
    """Return the mean over cells of the derivative of each output gene by each unit, float32 (units, genes).

    In closed form ``D4 W4 D3 W3``; its mean needs no cell's own map, since the mean of ``D4`` ⊗ ``D3`` suffices.

    Parameters
    ----------
    weights
        The network.
    latents
        The cells' activations, (cells, units): those of one group for the map of a group.
    directions
        Directions in latent space to move along, (directions, units), in place of single units.
    """
    z = np.atleast_2d(np.asarray(latents, dtype=np.float64))
    if z.shape[0] == 0 or z.shape[1] != weights.n_units:
        msg = f"`latents` must be cells with the model's {weights.n_units} units, got shape {np.shape(latents)}."
        raise InputError(msg)
    moment = np.zeros(weights.output_weight.shape)  # (genes, hidden)
    for start in range(0, len(z), _CELLS):
        middle = z[start : start + _CELLS] @ weights.decoder_weight.T.astype(np.float64) + weights.decoder_bias
        last = softplus(middle, beta=weights.decoder_beta) @ weights.output_weight.T + weights.output_bias
        moment += slope(last, beta=weights.output_beta).T @ slope(middle, beta=weights.decoder_beta)
    by_unit = (moment / len(z) * weights.output_weight) @ weights.decoder_weight  # (genes, units)
    return np.asarray(by_unit.T if directions is None else directions @ by_unit.T, dtype=np.float32)
