"""The trained network on plain arrays: encode and decode without torch."""

import numpy as np
from scipy import sparse

from scprism.model.first_layer import sparse_product
from scprism.model.row_product import row_product
from scprism.model.weights import Weights
from scprism.types import FloatArray

__all__ = ["decode", "encode", "softplus_array"]


def softplus_array(z: FloatArray, beta: float | None) -> FloatArray:
    """Return log(1 + exp(beta z)) / beta without overflow, or z itself where beta is None."""
    if beta is None:
        return z
    scaled = np.float32(beta) * z
    return np.asarray((np.maximum(scaled, 0) + np.log1p(np.exp(-np.abs(scaled)))) / np.float32(beta))


def encode(weights: Weights, inputs: FloatArray | sparse.csr_matrix, *, fill: FloatArray | None = None) -> FloatArray:
    """Return the latent, float32 (cells, units).

    Parameters
    ----------
    weights
        The network.
    inputs
        Normalised expression, (cells, genes), dense or csr.
    fill
        Values added to every cell, (genes,): those of genes that the query lacks.
    """
    bias = weights.hidden_bias if fill is None else weights.hidden_bias + weights.hidden_weight @ fill
    h = softplus_array(_first_product(weights, inputs) + bias, weights.hidden_beta)  # (cells, hidden)
    z = row_product(h, weights.latent_weight.T) + weights.latent_bias  # (cells, units)
    return softplus_array(z, weights.latent_beta).astype(np.float32, copy=False)


def decode(weights: Weights, latent: FloatArray) -> FloatArray:
    """Return the network's output, float32 (cells, genes), for a latent (cells, units)."""
    h = softplus_array(latent @ weights.decoder_weight.T + weights.decoder_bias, weights.decoder_beta)
    y = h @ weights.output_weight.T + weights.output_bias
    return softplus_array(y, weights.output_beta).astype(np.float32, copy=False)


def _first_product(weights: Weights, inputs: FloatArray | sparse.csr_matrix) -> FloatArray:
    if sparse.issparse(inputs):
        return sparse_product(sparse.csr_matrix(inputs), weights.hidden_weight.T)
    return np.asarray(inputs @ weights.hidden_weight.T, dtype=np.float32)
