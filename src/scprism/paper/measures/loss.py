"""The loss of any data under a trained model: the paper's measure of unseen data sets (its Section E)."""

from collections.abc import Iterable

import numpy as np

from scprism._torch import torch
from scprism.model.config import Config
from scprism.model.forward import decode, encode
from scprism.model.losses import reconstruction_loss
from scprism.model.weights import Weights
from scprism.prepare.stream import PreparedChunk
from scprism.types import FloatArray

__all__ = ["foreign_loss"]


def foreign_loss(weights: Weights, chunks: Iterable[PreparedChunk], *, fill: FloatArray, config: Config) -> float:
    """Return the mean reconstruction loss a cell, over all cells, or over the first alone as in the released code.

    Parameters
    ----------
    weights
        The network.
    chunks
        The data, prepared by the model's recipe.
    fill
        Values of the genes that the data lack, (genes,).
    config
        Decides the likelihood and, by ``foreign_loss``, the cells (`method.md`, row 12).
    """
    total, n_cells = 0.0, 0
    for chunk in chunks:
        inputs = chunk.inputs[:1] if config.foreign_loss == "one_cell" else chunk.inputs
        output = decode(weights, encode(weights, inputs, fill=fill))
        target = chunk.counts[: len(output)] if config.counts_as_targets else inputs
        dense = target.toarray().astype(np.float32)
        expected = dense if config.counts_as_targets else dense + fill
        losses = reconstruction_loss(
            torch.from_numpy(output),
            torch.from_numpy(expected),
            likelihood=config.likelihood,
            log_dispersion=None if weights.log_dispersion is None else torch.from_numpy(weights.log_dispersion),
        )
        total += float(losses.sum(dtype=torch.float64))
        n_cells += len(output)
        if config.foreign_loss == "one_cell":
            break
    return total / n_cells
