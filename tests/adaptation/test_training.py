"""Further training of a trained network, and networks of some of the genes."""

import dataclasses

import numpy as np
import pytest
from scipy import sparse

from scprism.adaptation.training import from_weights, loss_of, of_genes, train_further, with_genes
from scprism.model.config import Config
from scprism.model.forward import decode, encode
from scprism.model.network import build_autoencoder, to_weights
from scprism.train.batches import TrainingCells

N_GENES = 20
ENCODER = ("hidden_weight", "hidden_bias", "latent_weight", "latent_bias")
DECODER = ("decoder_weight", "decoder_bias", "output_weight", "output_bias")


def settings(**changes):
    small = {"hidden_size": 10, "bottleneck_size": 4, "max_epochs": 3, "batch_size": 16}
    return Config(**{**small, **changes})


def network(config):
    weights = to_weights(build_autoencoder(config, n_genes=N_GENES, rng=np.random.default_rng(1)))
    if weights.log_dispersion is None:
        return weights
    return dataclasses.replace(weights, log_dispersion=np.linspace(-1, 1, N_GENES, dtype=np.float32))


@pytest.fixture
def cells(rng):
    counts = sparse.csr_matrix(rng.poisson(1.0, size=(60, N_GENES)).astype(np.float32))
    return TrainingCells(sparse.csr_matrix(np.log1p(counts)), counts)


@pytest.fixture
def genes():
    return np.arange(N_GENES) % 3 > 0


@pytest.mark.parametrize("likelihood", ["multinomial", "negative_binomial", "poisson"])
def test_a_network_from_weights_has_these_weights_to_the_bit(likelihood):
    weights = network(settings(likelihood=likelihood))
    assert to_weights(from_weights(weights)).fingerprint() == weights.fingerprint()


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize(
    ("part", "learned"),
    [("input", ENCODER[:2]), ("decoder", (*DECODER, "log_dispersion")), ("network", (*ENCODER, *DECODER))],
)
def test_only_the_part_is_trained_and_the_rest_stays_to_the_bit_whatever_decays(cells, optimiser, part, learned):
    config = settings(
        optimiser=optimiser, weight_decay=0.1, l1_weight=1e-3, learning_rate=1e-2, likelihood="negative_binomial"
    )
    weights = network(config)
    before = weights.fingerprint()
    after, _ = train_further(weights, cells, part=part, config=config, rng=np.random.default_rng(0), device="cpu")
    assert weights.fingerprint() == before
    for name in (*ENCODER, *DECODER, "log_dispersion"):
        if part == "network" or name in learned:
            assert not np.array_equal(getattr(after, name), getattr(weights, name)), name
        else:
            np.testing.assert_array_equal(getattr(after, name), getattr(weights, name), err_msg=name)


def test_the_network_of_some_genes_sees_the_others_at_their_fill(rng, genes):
    weights = network(settings(likelihood="negative_binomial"))
    fill = np.where(genes, 0, rng.random(N_GENES)).astype(np.float32)
    x = np.where(genes, rng.random((5, N_GENES)), 0).astype(np.float32)
    part = of_genes(weights, genes, fill=fill)
    z = encode(weights, x, fill=fill)
    np.testing.assert_allclose(encode(part, x[:, genes]), z, rtol=1e-5)
    np.testing.assert_allclose(decode(part, z), decode(weights, z)[:, genes], rtol=1e-5)
    np.testing.assert_array_equal(part.log_dispersion, weights.log_dispersion[genes])


def test_other_genes_keep_their_weights_and_the_whole_network_sees_what_its_part_saw(cells, rng, genes):
    config = settings(likelihood="negative_binomial", learning_rate=1e-2)
    whole, fill = network(config), np.where(genes, 0, rng.random(N_GENES)).astype(np.float32)
    before = of_genes(whole, genes, fill=fill)
    chosen = TrainingCells(cells.inputs[:, genes], cells.targets[:, genes])
    after, _ = train_further(before, chosen, part="network", config=config, rng=rng, device="cpu")
    merged = with_genes(whole, before, after, genes)
    np.testing.assert_array_equal(merged.hidden_weight[:, ~genes], whole.hidden_weight[:, ~genes])
    for name in ("output_weight", "output_bias", "log_dispersion"):
        np.testing.assert_array_equal(getattr(merged, name)[~genes], getattr(whole, name)[~genes])
        np.testing.assert_array_equal(getattr(merged, name)[genes], getattr(after, name))
    x = np.where(genes, rng.random((5, N_GENES)), 0).astype(np.float32)
    np.testing.assert_allclose(encode(merged, x, fill=fill), encode(after, x[:, genes]), atol=1e-5)


def test_the_loss_is_the_mean_over_the_rows_by_hand(cells):
    weights = network(settings())
    rows = np.array([3, 7])
    output = decode(weights, encode(weights, cells.inputs[rows])).astype(np.float64)
    share = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    counts = cells.targets[rows].toarray()
    by_hand = -(counts * np.log(share)).sum(axis=1) / counts.sum(axis=1)
    assert loss_of(weights, cells, rows, config=settings()) == pytest.approx(by_hand.mean(), rel=1e-5)
