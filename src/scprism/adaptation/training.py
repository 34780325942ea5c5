"""A trained network trained further on other cells, in the genes that these have."""

import dataclasses
from typing import Literal, TypeAlias

import numpy as np

from scprism._torch import nn, torch
from scprism.model.config import Config
from scprism.model.network import Autoencoder, Betas, to_weights
from scprism.model.weights import Weights
from scprism.train.batches import TrainingCells
from scprism.train.loop import TrainingResult, mean_loss, train_model
from scprism.types import FloatArray, IntArray

__all__ = ["Part", "from_weights", "loss_of", "of_genes", "train_further", "with_genes"]

Part: TypeAlias = Literal["decoder", "input", "network"]
"""What is trained further: the decoder alone, the first layer alone, or everything."""
FIXED: dict[Part, tuple[str, ...]] = {
    "input": ("latent", "decoder", "output", "log_dispersion"),
    "decoder": ("hidden", "latent"),
    "network": (),
}
"""What stays as it is, to the bit."""


def train_further(
    weights: Weights, cells: TrainingCells, *, part: Part, config: Config, rng: np.random.Generator, device: str
) -> tuple[Weights, TrainingResult]:
    """Return other weights, trained from `weights` on, and the record of the training.

    Parameters
    ----------
    weights
        Of a network of the genes of `cells`; left as they are.
    cells, config, device
        As in `scprism.train.loop.train_model`.
    part
        ``"input"``: the first layer, which learns to show the cells to the rest of the network, as it is, in a way that
        the rest can make them out of. ``"decoder"``: every latent stays as it is. ``"network"``: all layers.
    """
    network = from_weights(weights)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith(FIXED[part]))
    result = train_model(network, cells, config=config, rng=rng, device=device)
    return to_weights(network), result


def loss_of(weights: Weights, cells: TrainingCells, rows: IntArray, *, config: Config) -> float:
    """Return the mean reconstruction loss a cell over `rows`, without dropout or penalties."""
    return mean_loss(from_weights(weights), cells, rows, config=config)


def of_genes(weights: Weights, genes: np.ndarray, *, fill: FloatArray) -> Weights:
    """Return the network of some of the genes: the same latent, and these genes' outputs.

    Parameters
    ----------
    weights
        The whole network.
    genes
        Which genes stay, bool (genes,).
    fill
        What the others are set to in every cell, (genes,), 0 for those that stay: it goes into the first bias.
    """
    dispersion = weights.log_dispersion
    return dataclasses.replace(
        weights,
        hidden_weight=weights.hidden_weight[:, genes],
        hidden_bias=weights.hidden_bias + weights.hidden_weight @ fill,
        output_weight=weights.output_weight[genes],
        output_bias=weights.output_bias[genes],
        log_dispersion=None if dispersion is None else dispersion[genes],
    )


def with_genes(whole: Weights, before: Weights, after: Weights, genes: np.ndarray) -> Weights:
    """Return the whole network with what a network of some of its genes has learned; other genes keep their weights.

    Parameters
    ----------
    whole
        The network that `before` was taken from.
    before, after
        The network of some genes (`of_genes`), before and after its training.
    genes
        Which genes, bool (genes,).
    """
    hidden_weight, output_weight, output_bias = (
        array.copy() for array in (whole.hidden_weight, whole.output_weight, whole.output_bias)
    )
    hidden_weight[:, genes] = after.hidden_weight
    output_weight[genes], output_bias[genes] = after.output_weight, after.output_bias
    dispersion = None if whole.log_dispersion is None else whole.log_dispersion.copy()
    if dispersion is not None:
        dispersion[genes] = after.log_dispersion
    return dataclasses.replace(
        after,
        hidden_weight=hidden_weight,
        hidden_bias=whole.hidden_bias + (after.hidden_bias - before.hidden_bias),
        output_weight=output_weight,
        output_bias=output_bias,
        log_dispersion=dispersion,
    )


def from_weights(weights: Weights) -> Autoencoder:
    """Return a network that holds a copy of `weights`: the opposite of `scprism.model.network.to_weights`."""
    model = Autoencoder(
        n_genes=weights.n_genes,
        hidden_size=len(weights.hidden_bias),
        bottleneck_size=weights.n_units,
        betas=Betas(weights.hidden_beta, weights.latent_beta, weights.decoder_beta, weights.output_beta),
        has_dispersion=weights.log_dispersion is not None,
    )
    for name in ("hidden", "latent", "decoder", "output"):
        layer = getattr(model, name)
        layer.weight, layer.bias = _parameter(weights, f"{name}_weight"), _parameter(weights, f"{name}_bias")
    # A gene's weights lie side by side, so that a sparse cell reads those of its genes alone.
    model.hidden.weight = nn.Parameter(model.hidden.weight.detach().t().contiguous().t())
    if weights.log_dispersion is not None:
        model.log_dispersion = _parameter(weights, "log_dispersion")
    return model


def _parameter(weights: Weights, name: str) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.array(getattr(weights, name), dtype=np.float32)))
