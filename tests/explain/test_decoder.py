from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from scprism.errors import InputError
from scprism.explain.decoder import decoder_map
from scprism.model.weights import Weights


def derivative(net: Weights, latents: np.ndarray) -> np.ndarray:
    """The decoder's mean derivative by automatic differentiation, (units, genes)."""

    def softplus(z: torch.Tensor, beta: float | None) -> torch.Tensor:
        return z if beta is None else torch.nn.functional.softplus(z, beta, threshold=30)

    def decode(r: torch.Tensor) -> torch.Tensor:
        layers = (
            (net.decoder_weight, net.decoder_bias, net.decoder_beta),
            (net.output_weight, net.output_bias, net.output_beta),
        )
        for weight, bias, beta in layers:
            r = softplus(r @ torch.from_numpy(weight).double().T + torch.from_numpy(bias), beta)
        return r

    jacobians = [torch.autograd.functional.jacobian(decode, torch.tensor(row)).numpy() for row in latents]
    return np.mean(jacobians, axis=0).T


@pytest.mark.parametrize("betas", [(1.0, 1.0), (80.0, 40.0), (None, 1.0), (1.0, None)], ids=str)
def test_decoder_map_equals_automatic_differentiation(
    make_weights: Callable[..., Weights], directions: np.ndarray, betas: tuple
) -> None:
    net = replace(make_weights(), decoder_beta=betas[0], output_beta=betas[1])
    latents = np.random.default_rng(1).exponential(size=(7, 6))
    expected = derivative(net, latents)
    np.testing.assert_allclose(decoder_map(net, latents), expected, atol=1e-6)
    np.testing.assert_allclose(decoder_map(net, latents, directions=directions), directions @ expected, atol=1e-5)


def test_decoder_map_of_many_cells_is_the_mean_of_parts(make_weights: Callable[..., Weights]) -> None:
    net, latents = make_weights(), np.random.default_rng(1).exponential(size=(3000, 6))
    parts = decoder_map(net, latents[:1000]) + 2 * decoder_map(net, latents[1000:])
    np.testing.assert_allclose(decoder_map(net, latents), parts / 3, atol=1e-6)


def test_latents_of_another_network_are_refused(make_weights: Callable[..., Weights]) -> None:
    with pytest.raises(InputError, match="must be cells with the model's 6 units, got shape \\(4, 5\\)"):
        decoder_map(make_weights(), np.ones((4, 5)))
