"""The autoencoder: two encoding and two decoding layers, fully connected and untied."""

import math

import numpy as np

from scprism._torch import nn, torch
from scprism.model.betas import Betas, layer_betas
from scprism.model.config import Config
from scprism.model.weights import Weights

__all__ = ["Autoencoder", "Betas", "build_autoencoder", "softplus", "to_weights"]


def softplus(z: torch.Tensor, beta: float | None) -> torch.Tensor:
    """Return log(1 + exp(beta z)) / beta, or z itself where beta is None."""
    return z if beta is None else nn.functional.softplus(z, beta=beta)


class Autoencoder(nn.Module):
    """The network of `method.md` 3.1; `forward` returns the latent (cells, units) and the output (cells, genes)."""

    def __init__(
        self, *, n_genes: int, hidden_size: int, bottleneck_size: int, betas: Betas, has_dispersion: bool = False
    ) -> None:
        super().__init__()
        self.betas = betas
        self.hidden = _empty_layer(n_genes, hidden_size)
        self.latent = _empty_layer(hidden_size, bottleneck_size)
        self.decoder = _empty_layer(bottleneck_size, hidden_size)
        self.output = _empty_layer(hidden_size, n_genes)
        self.log_dispersion = nn.Parameter(torch.zeros(n_genes)) if has_dispersion else None

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the latent (cells, units) of normalised expression (cells, genes)."""
        h = softplus(self.hidden(x), self.betas.hidden)  # (cells, hidden)
        return softplus(self.latent(h), self.betas.latent)

    def decode(self, r: torch.Tensor) -> torch.Tensor:
        """Return the output (cells, genes) of the latent (cells, units)."""
        h = softplus(self.decoder(r), self.betas.decoder)
        return softplus(self.output(h), self.betas.output)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the latent (cells, units) and the output (cells, genes)."""
        r = self.encode(x)
        return r, self.decode(r)


def _empty_layer(n_inputs: int, n_outputs: int) -> nn.Linear:
    """Return a layer whose values are of no use yet; torch's global generator, which draws them, is left as it was."""
    with torch.random.fork_rng(devices=[]):  # a layer on the device "meta" would import sympy: 25 MB
        return nn.Linear(n_inputs, n_outputs)


def build_autoencoder(config: Config, *, n_genes: int, rng: np.random.Generator) -> Autoencoder:
    """Return an untrained network: Xavier normal weights, biases uniform within 1/sqrt(inputs) (`method.md` 3.1)."""
    model = Autoencoder(
        n_genes=n_genes,
        hidden_size=config.hidden_size,
        bottleneck_size=config.bottleneck_size,
        betas=layer_betas(config, n_genes),
        has_dispersion=config.likelihood == "negative_binomial",
    )
    generator = torch.Generator().manual_seed(int(rng.integers(2**63 - 1)))
    for layer in (model.hidden, model.latent, model.decoder, model.output):
        nn.init.xavier_normal_(layer.weight, generator=generator)
        bound = 1 / math.sqrt(layer.in_features)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    # A gene's weights lie side by side, so that a sparse cell reads those of its genes alone.
    model.hidden.weight = nn.Parameter(model.hidden.weight.detach().t().contiguous().t())
    if config.penalty == "hard" and config.penalty_weight > 0:
        nn.utils.parametrizations.orthogonal(model.latent, "weight", use_trivialization=False)
    return model


def to_weights(model: Autoencoder) -> Weights:
    """Return a copy of the network as plain arrays."""

    def copy(tensor: torch.Tensor) -> np.ndarray:
        return tensor.detach().cpu().numpy().astype(np.float32, order="C", copy=True)

    betas = model.betas
    return Weights(
        hidden_weight=copy(model.hidden.weight),
        hidden_bias=copy(model.hidden.bias),
        latent_weight=copy(model.latent.weight),
        latent_bias=copy(model.latent.bias),
        decoder_weight=copy(model.decoder.weight),
        decoder_bias=copy(model.decoder.bias),
        output_weight=copy(model.output.weight),
        output_bias=copy(model.output.bias),
        hidden_beta=betas.hidden,
        latent_beta=betas.latent,
        decoder_beta=betas.decoder,
        output_beta=betas.output,
        log_dispersion=None if model.log_dispersion is None else copy(model.log_dispersion),
    )
