import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from scprism.model.config import Config
from scprism.model.forward import decode, encode
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.presets import PRESETS

SMALL = dataclasses.replace(Config(), hidden_size=9, bottleneck_size=4)


@pytest.mark.parametrize("preset", ["default", "paper", "as_released"])
def test_plain_arrays_give_what_torch_gives(preset, rng):
    config = dataclasses.replace(PRESETS[preset], hidden_size=9, bottleneck_size=4)
    network = build_autoencoder(config, n_genes=20, rng=rng)
    weights = to_weights(network)
    x = rng.gamma(1.0, size=(7, 20)).astype(np.float32)
    with torch.no_grad():
        latent, output = network(torch.from_numpy(x))
    np.testing.assert_allclose(encode(weights, x), latent.numpy(), atol=2e-6)
    np.testing.assert_allclose(decode(weights, latent.numpy()), output.numpy(), atol=2e-6)


def test_network_is_the_one_of_the_paper_by_hand(rng):
    weights = to_weights(
        build_autoencoder(dataclasses.replace(PRESETS["paper"], hidden_size=5, bottleneck_size=3), n_genes=6, rng=rng)
    )
    x = rng.random((2, 6))

    def softplus(z):
        return np.log(1 + np.exp(z))

    h = softplus(x @ weights.hidden_weight.T + weights.hidden_bias)
    r = softplus(h @ weights.latent_weight.T + weights.latent_bias)
    np.testing.assert_allclose(encode(weights, x.astype(np.float32)), r, atol=1e-6)


def test_default_bottleneck_is_linear_and_its_output_logits(rng):
    betas = build_autoencoder(SMALL, n_genes=6, rng=rng).betas
    assert (betas.latent, betas.output) == (None, None)


def test_weights_start_xavier_normal_and_biases_uniform():
    network = build_autoencoder(
        dataclasses.replace(Config(), hidden_size=200, bottleneck_size=100), n_genes=1000, rng=np.random.default_rng(0)
    )
    for layer in (network.hidden, network.latent, network.decoder, network.output):
        expected = np.sqrt(2 / (layer.in_features + layer.out_features))
        assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.03)
        bound = 1 / np.sqrt(layer.in_features)
        assert float(layer.bias.detach().abs().max()) <= bound
        assert float(layer.bias.detach().std()) == pytest.approx(bound / np.sqrt(3), rel=0.2)


def test_building_leaves_torchs_global_generator_alone(rng):
    before = torch.get_rng_state()
    build_autoencoder(SMALL, n_genes=6, rng=rng)
    assert torch.equal(before, torch.get_rng_state())


def test_fill_acts_as_if_the_genes_were_there(rng):
    weights = to_weights(build_autoencoder(SMALL, n_genes=6, rng=rng))
    x = rng.random((3, 6)).astype(np.float32)
    x[:, 4:] = 0
    fill = np.array([0, 0, 0, 0, 1.5, 0.5], dtype=np.float32)
    np.testing.assert_allclose(encode(weights, x, fill=fill), encode(weights, x + fill), atol=1e-6)


def test_all_layers_are_fully_connected_and_untied(rng):
    network = build_autoencoder(SMALL, n_genes=6, rng=rng)
    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(6, 9), (9, 4), (4, 9), (9, 6)]
    assert len({layer.weight.data_ptr() for layer in layers}) == 4
