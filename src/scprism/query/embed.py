"""Cells through the unchanged network: the latent, and the expression it decodes to."""

from collections.abc import Iterable
from functools import partial

import numpy as np
from scipy.special import softmax

from scprism._threads import in_threads
from scprism.model.config import Config
from scprism.model.forward import decode, encode
from scprism.model.weights import Weights
from scprism.prepare.normalise import to_log_cpm
from scprism.prepare.recipe import Recipe
from scprism.prepare.stream import PreparedChunk
from scprism.types import FloatArray

__all__ = ["denoised", "embed_cells"]


def embed_cells(weights: Weights, chunks: Iterable[PreparedChunk], *, fill: FloatArray) -> FloatArray:
    """Return the latent of all cells, float32 (cells, units), in the order of the chunks."""
    parts = list(in_threads(partial(encode, weights, fill=fill), (chunk.inputs for chunk in chunks)))
    return np.concatenate(parts) if parts else np.zeros((0, weights.n_units), dtype=np.float32)


def denoised(weights: Weights, latent: FloatArray, *, recipe: Recipe, config: Config) -> FloatArray:
    """Return decoded expression as log1p counts per million, float32 (cells, genes of the recipe).

    Models of corrected expression or of the released code's per-gene scale have no counts per million: theirs come back
    on the scale that they were trained on.
    """
    output = decode(weights, latent)
    if config.counts_as_targets:
        by_share = config.likelihood == "poisson_counts"
        proportions: FloatArray = np.exp(output) / output.shape[1] if by_share else softmax(output, axis=1)
        per_million: FloatArray = np.log1p(proportions * np.float32(1e6 * recipe.share.sum()))
        return per_million
    values = np.exp(output) if config.likelihood == "poisson_log_input" else output
    return values if recipe.normalise != "per_cell" else to_log_cpm(values, target_sum=recipe.target_sum)
