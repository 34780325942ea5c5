"""The compiled steps against PyTorch's own: autograd through `Autoencoder.forward` and `torch.optim.SGD`."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import sparse

from scprism.errors import TrainingError
from scprism.model.losses import reconstruction_loss
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.penalties import l1_penalty, weight_penalty
from scprism.model.presets import PRESETS
from scprism.train import sgd, steps
from scprism.train.batches import TrainingCells
from scprism.train.flat import flatten_parameters
from scprism.train.loop import train_model
from scprism.train.optimiser import new_moments

N_CELLS, N_GENES = 40, 30


def configured(preset, **changes):
    return PRESETS[preset].changed(hidden_size=9, bottleneck_size=4, learning_rate=0.02, **changes)


def cells_of(*, negative=False, seed=1):
    """Cells of which gene 0 is in the first and the last alone, and gene 1 in none."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3.0, size=(N_CELLS, N_GENES)) * (rng.random((N_CELLS, N_GENES)) < 0.3)
    counts[:, 1], counts[:, 0] = 0, 0
    counts[[0, -1], 0] = 5
    values = np.log1p(counts)
    if negative:
        values -= 0.2 * (counts > 0) * rng.gamma(3.0, size=counts.shape)
    inputs = sparse.csr_matrix(values.astype(np.float32))
    return TrainingCells(inputs, inputs)


def pytorchs(model, cells, config, batch):
    """Return what takes PyTorch's step on a batch and returns the sum of losses, and the penalty."""
    training = config.training
    x = torch.from_numpy(cells.inputs[batch].toarray())
    losses = reconstruction_loss(model(x)[1], x, likelihood=config.likelihood)
    penalty = training.penalty_weight * weight_penalty(
        model.latent.weight, form=training.penalty, has_gradient=training.penalty_gradient
    )
    penalty = penalty + training.l1_weight * l1_penalty(model.parameters(), has_gradient=training.l1_gradient)
    return losses, penalty


def run_of(model, cells, config, *, dropout=None):
    parameters = flatten_parameters(model)
    moments, best = new_moments(parameters, config), parameters.values.detach().clone()
    return steps.Run(model, parameters, moments, best, cells, config, np.random.default_rng(0), dropout)


def compare(config, cells, *, batch_size=1, n_epochs=3):
    """Take the same steps both ways, and compare losses and parameters after each of them.

    Not with a norm as penalty that comes near 0: its gradient's direction is then that of rounding errors.
    """
    theirs = build_autoencoder(config, n_genes=N_GENES, rng=np.random.default_rng(0))
    ours = build_autoencoder(config, n_genes=N_GENES, rng=np.random.default_rng(0))
    start = to_weights(ours).output_weight
    optimiser = torch.optim.SGD(
        theirs.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.momentum > 0,
        weight_decay=config.weight_decay,
    )
    parameters = flatten_parameters(ours)
    moments = new_moments(parameters, config)
    take = sgd.compiled_steps(ours, moments, cells, config=config, batch_size=batch_size)
    order = np.concatenate([np.random.default_rng(i).permutation(N_CELLS) for i in range(n_epochs)])
    for i in range(0, len(order), batch_size):
        batch = order[i : i + batch_size]
        losses, penalty = pytorchs(theirs, cells, config, batch)
        optimiser.zero_grad()
        (losses.mean() + penalty).backward()
        optimiser.step()
        loss, our_penalty = take(batch)
        assert loss == pytest.approx(float(losses.detach().sum()), rel=1e-5, abs=1e-6)
        assert our_penalty == pytest.approx(len(batch) * float(penalty.detach()), rel=1e-5, abs=1e-6)
        for (name, value), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5, msg=lambda m, name=name: f"{name}: {m}")
    assert np.abs(to_weights(ours).output_weight - start).max() > 0.01  # they went somewhere
    return ours, theirs


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        pytest.param("paper", {}, id="paper"),
        pytest.param("as_released", {}, id="as released"),
        pytest.param("paper", {"penalty_weight": 0.02}, id="rows"),
        pytest.param("paper", {"penalty_weight": 0.02, "penalty": "columns"}, id="columns"),
        pytest.param("paper", {"penalty_weight": 0.1, "penalty": "squared"}, id="squared"),
        pytest.param("paper", {"penalty_weight": 0.1, "penalty": "double_soft"}, id="both squares"),
        pytest.param("paper", {"penalty_weight": 5.0, "penalty_gradient": False}, id="rows without gradient"),
        pytest.param("paper", {"penalty_weight": 0.0}, id="no penalty"),
        pytest.param("paper", {"weight_decay": 0.1}, id="decay"),
        pytest.param("paper", {"l1_weight": 0.01}, id="l1"),
        pytest.param("as_released", {"l1_weight": 0.01, "weight_decay": 0.1}, id="l1 without gradient, decay"),
        pytest.param("paper", {"momentum": 0.0}, id="no momentum"),
        pytest.param("paper", {"bottleneck": "linear"}, id="linear bottleneck"),
    ],
)
def test_every_step_is_pytorchs(preset, changes, batch_size):
    compare(configured(preset, **changes), cells_of(), batch_size=batch_size)


def test_every_step_is_pytorchs_on_corrected_expression_below_zero():
    cells = cells_of(negative=True)
    assert cells.inputs.min() < -0.1
    compare(configured("as_released"), cells)


def test_a_gene_that_no_cell_has_for_long_catches_up_to_where_pytorch_has_it(monkeypatch):
    # its row of the first layer is left alone while cells lack it, here for up to 78 steps; 10 are caught up at once
    monkeypatch.setattr(sgd, "POWERS", 10)
    config, cells = configured("paper", weight_decay=0.05), cells_of()
    ours = build_autoencoder(config, n_genes=N_GENES, rng=np.random.default_rng(0))
    theirs = build_autoencoder(config, n_genes=N_GENES, rng=np.random.default_rng(0))
    order = np.concatenate([[0], np.arange(1, 39), np.arange(1, 39), [39], [5], [0]])
    runs = [run_of(model, cells, config) for model in (ours, theirs)]
    loss, _ = steps.choose_steps(runs[0], batch_size=1).take(order)  # in one call
    take = steps.torch_steps(runs[1], batch_size=1).take
    assert loss == pytest.approx(sum(take(order[i : i + 1])[0] for i in range(len(order))), rel=1e-6)
    torch.testing.assert_close(runs[0].parameters.values, runs[1].parameters.values, atol=1e-6, rtol=1e-5)
    momenta = [run.moments["momentum_buffer"] for run in runs]
    torch.testing.assert_close(momenta[0], momenta[1], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("preset", ["paper", "as_released"])
def test_training_is_that_of_pytorchs_steps(preset, monkeypatch):
    config = configured(preset, max_epochs=30, check_every=2, patience=3)
    results = {}
    for most in (0, 16):
        monkeypatch.setattr(sgd, "MOST_CELLS", most)
        rng = np.random.default_rng(0)
        network = build_autoencoder(config, n_genes=N_GENES, rng=rng)
        results[most] = (train_model(network, cells_of(), config=config, rng=rng), to_weights(network))
    (ours, weights), (theirs, expected) = results[16], results[0]
    assert ours.best_epoch == theirs.best_epoch
    assert len(ours.log) == len(theirs.log) > 2
    for record, other in zip(ours.log, theirs.log, strict=True):
        for name in ("train_loss", "validation_loss", "penalty"):
            assert getattr(record, name) == pytest.approx(getattr(other, name), rel=1e-5)
    for field in ("hidden_weight", "latent_weight", "decoder_bias", "output_weight"):
        np.testing.assert_allclose(getattr(weights, field), getattr(expected, field), atol=1e-5, rtol=1e-5)


def compiled(config, *, cells=None, batch_size=1, fixed=(), dropout=None):
    """Return whether the compiled steps are chosen."""
    model = build_autoencoder(config, n_genes=N_GENES, rng=np.random.default_rng(0))
    run = run_of(model, cells or cells_of(), config, dropout=dropout)
    run = dataclasses.replace(run, parameters=dataclasses.replace(run.parameters, fixed=fixed))
    return steps.choose_steps(run, batch_size=batch_size).n_cells > batch_size


def test_the_presets_of_the_paper_are_compiled_and_what_the_kernel_lacks_is_not():
    for preset in ("paper", "as_released"):
        config = configured(preset)
        assert compiled(config)
        assert compiled(config, batch_size=16)
        assert not compiled(config, batch_size=17)
        assert not compiled(config, fixed=(slice(0, 16),))
        assert not compiled(config, dropout=object())
        assert not compiled(config.changed(optimiser="adam"))
        for penalty in ("coherence", "decorrelated", "separate_maps", "hard"):
            assert not compiled(config.changed(penalty=penalty))
        counts = cells_of().inputs.expm1()
        assert not compiled(config, cells=TrainingCells(cells_of().inputs, counts))
    assert not compiled(PRESETS["default"].changed(optimiser="sgd", hidden_size=9))


@pytest.mark.parametrize("preset", ["paper", "as_released"])
def test_a_loss_that_explodes_ends_the_training(preset):
    config = configured(preset).changed(learning_rate=1e6, max_epochs=3)
    rng = np.random.default_rng(0)
    network = build_autoencoder(config, n_genes=N_GENES, rng=rng)
    start = to_weights(network).fingerprint()
    with pytest.raises(TrainingError, match="Training stopped in epoch 1: the loss became"):
        train_model(network, cells_of(), config=config, rng=rng)
    assert to_weights(network).fingerprint() == start
