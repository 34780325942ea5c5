"""The written-out pass against autograd through `Autoencoder.forward`."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import sparse

from scprism.model.losses import reconstruction_loss
from scprism.model.network import build_autoencoder
from scprism.model.penalties import decorrelation_penalty, map_penalty
from scprism.model.presets import PRESETS
from scprism.train import step
from scprism.train.batches import Batch
from scprism.train.flat import flatten_parameters

N_CELLS, N_GENES = 11, 30


def network(preset, **changes):
    config = dataclasses.replace(PRESETS[preset], hidden_size=9, bottleneck_size=4, **changes)
    return build_autoencoder(config, n_genes=N_GENES, rng=np.random.default_rng(0)), config


def batch_of(config, *, density=0.3, fill=None):
    rng = np.random.default_rng(1)
    kept = rng.random((N_CELLS, N_GENES)) < density
    counts = sparse.csr_matrix((rng.poisson(3.0, size=kept.shape) * kept).astype(np.float32))
    inputs = counts.log1p()
    return Batch(inputs, counts if config.counts_as_targets else inputs, fill)


def no_penalty(hidden, latent):
    return torch.zeros(())


def written_out(model, batch, config, *, penalty_of=no_penalty):
    parameters = flatten_parameters(model)
    workspace = step.new_workspace(model, batch_size=N_CELLS)
    loss, penalty = step.add_gradients(
        model, batch, likelihood=config.likelihood, workspace=workspace, penalty_of=penalty_of
    )
    return loss, penalty, parameters, {name: p.grad.clone() for name, p in model.named_parameters()}


def by_autograd(model, batch, config, *, penalty_of=no_penalty):
    x, target = (torch.from_numpy(m.toarray()) for m in (batch.inputs, batch.targets))
    x = x if batch.fill is None else x + torch.from_numpy(batch.fill)
    latent, output = model(x)
    losses = reconstruction_loss(output, target, likelihood=config.likelihood, log_dispersion=model.log_dispersion)
    total = losses.mean() + penalty_of(model.hidden(x), latent)
    gradients = torch.autograd.grad(total, list(model.parameters()))
    return float(losses.sum().detach()), dict(zip(dict(model.named_parameters()), gradients, strict=True))


@pytest.mark.parametrize("preset", ["default", "paper", "as_released"])
@pytest.mark.parametrize(
    ("sparse_below", "at_once"), [(0.0, 256), (1.1, 256), (1.1, 4)], ids=["dense", "sparse", "parts"]
)
def test_gradients_are_those_of_autograd(preset, sparse_below, at_once, monkeypatch):
    monkeypatch.setattr(step, "SPARSE_BELOW", sparse_below)
    monkeypatch.setattr(step, "CELLS_AT_ONCE", at_once)
    model, config = network(preset)
    fill = np.random.default_rng(2).random(N_GENES, dtype=np.float32) if preset == "default" else None
    batch = batch_of(config, fill=fill)
    expected_loss, expected = by_autograd(model, batch, config)
    loss, _, _, gradients = written_out(model, batch, config)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5 * float(expected[name].abs().max()), rtol=1e-5)


@pytest.mark.parametrize("penalty", ["separate_maps", "decorrelated", "hard"])
def test_penalties_reach_every_layer_they_depend_on(penalty):
    model, config = network("default", penalty=penalty)
    batch = batch_of(config)

    def penalty_of(hidden, latent):
        forms = {
            "separate_maps": lambda: map_penalty(model, hidden),
            "decorrelated": lambda: decorrelation_penalty(latent),
        }
        return 3 * forms[penalty]() if penalty in forms else torch.zeros(())

    _, expected = by_autograd(model, batch, config, penalty_of=penalty_of)
    _, _, _, gradients = written_out(model, batch, config, penalty_of=penalty_of)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5 * float(expected[name].abs().max()), rtol=1e-5)


@pytest.mark.parametrize("likelihood", ["poisson_counts", "negative_binomial"])
def test_gradients_of_count_likelihoods_are_those_of_autograd(likelihood, monkeypatch):
    monkeypatch.setattr(step, "CELLS_AT_ONCE", 4)
    model, config = network("default", likelihood=likelihood)
    batch = batch_of(config)
    _, expected = by_autograd(model, batch, config)
    _, _, _, gradients = written_out(model, batch, config)
    assert ("log_dispersion" in gradients) == (likelihood == "negative_binomial")
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5 * float(expected[name].abs().max()), rtol=1e-5)


def test_loss_without_gradients_is_the_same(monkeypatch):
    model, config = network("default")
    batch = batch_of(config)
    workspace = step.new_workspace(model, batch_size=N_CELLS)
    loss = step.batch_loss(model, batch, likelihood=config.likelihood, workspace=workspace)
    assert loss == pytest.approx(by_autograd(model, batch, config)[0], rel=1e-6)
    assert model.output.weight.grad is None


def test_flat_parameters_are_the_networks_own():
    model, _ = network("default")
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    flat = flatten_parameters(model)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad.shape == parameter.shape
    with torch.no_grad():
        flat.values.fill_(2.0)
        flat.gradients.fill_(3.0)
    assert all(bool((p == 2).all()) and bool((p.grad == 3).all()) for p in model.parameters())


def test_genes_of_the_first_layer_lie_side_by_side():
    # a sparse cell then reads the weights of its genes alone
    model, _ = network("default")
    flatten_parameters(model)
    assert model.hidden.weight.t().is_contiguous()
