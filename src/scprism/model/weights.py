"""The weights of a trained network as plain arrays."""

import hashlib
from dataclasses import dataclass, fields

import numpy as np

from scprism.types import FloatArray

__all__ = ["Weights"]


@dataclass(frozen=True)
class Weights:
    """The network as plain float32 arrays, its input on the scale of the recipe (log1p values).

    The encoder is ``z1 = W1 x + b1; h = softplus(z1); z2 = W2 h + b2; r = softplus(z2)``, the decoder mirrors it
    (`method.md` 3.1). A softplus has ``softplus(z) = log(1 + exp(beta z)) / beta``; a beta of None means that the
    layer is linear.

    Attributes
    ----------
    hidden_weight, hidden_bias
        ``W1`` (hidden, genes) and ``b1`` (hidden,).
    latent_weight, latent_bias
        ``W2`` (units, hidden) and ``b2`` (units,).
    hidden_beta, latent_beta
        Softplus beta of the hidden and of the bottleneck layer.
    decoder_weight, decoder_bias, decoder_beta
        ``W3`` (hidden, units), ``b3`` (hidden,) and the beta of that layer.
    output_weight, output_bias, output_beta
        ``W4`` (genes, hidden), ``b4`` (genes,) and the beta of the output.
    log_dispersion
        Logarithm of each gene's dispersion, (genes,), of models with a negative binomial likelihood; no function of the
        network needs it but its loss.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(make_cells(rng=0))
    >>> model.weights.n_genes, model.weights.n_units
    (200, 50)
    >>> model.weights.hidden_weight.shape
    (256, 200)
    """

    hidden_weight: FloatArray
    hidden_bias: FloatArray
    latent_weight: FloatArray
    latent_bias: FloatArray
    decoder_weight: FloatArray
    decoder_bias: FloatArray
    output_weight: FloatArray
    output_bias: FloatArray
    hidden_beta: float | None = 1.0
    latent_beta: float | None = 1.0
    decoder_beta: float | None = 1.0
    output_beta: float | None = 1.0
    log_dispersion: FloatArray | None = None

    @property
    def n_genes(self) -> int:
        """The number of input genes."""
        return int(self.hidden_weight.shape[1])

    @property
    def n_units(self) -> int:
        """The number of bottleneck units."""
        return int(self.latent_weight.shape[0])

    def fingerprint(self) -> str:
        """Return a short hash of every weight and beta."""
        digest = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "log_dispersion" and value is None:
                continue  # models without one keep the fingerprint that they had before there were any
            digest.update(field.name.encode())
            is_array = isinstance(value, np.ndarray)
            digest.update(np.ascontiguousarray(value).tobytes() if is_array else repr(value).encode())
        return digest.hexdigest()[:16]
