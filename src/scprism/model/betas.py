"""Softplus betas of the network's layers."""

from dataclasses import dataclass

from scprism.model.config import Config

__all__ = ["Betas", "layer_betas"]


@dataclass(frozen=True)
class Betas:
    """Softplus beta of each layer; None stands for a linear layer."""

    hidden: float | None
    latent: float | None
    decoder: float | None
    output: float | None


def layer_betas(config: Config, n_genes: int) -> Betas:
    """Return each layer's beta: fixed, or its width as in the released code (`method.md`, row 5)."""
    widths = (config.hidden_size, config.bottleneck_size, config.hidden_size, n_genes)
    by_width = config.softplus_beta == "width"
    hidden, latent, decoder, output = (float(w if by_width else config.softplus_beta) for w in widths)
    return Betas(
        hidden=hidden,
        latent=None if config.bottleneck == "linear" else latent,
        decoder=decoder,
        output=None if config.counts_as_targets else output,
    )
