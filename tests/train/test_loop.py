import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from scprism.errors import InputError, TrainingError
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.presets import PRESETS
from scprism.model.weights import Weights
from scprism.train.batches import Dropout, TrainingCells, batches, split_cells
from scprism.train.loop import TrainingResult, batch_size, mean_loss, train_model
from scprism.train.steps import Steps, choose_steps

N_GENES = 20


@pytest.fixture(scope="module")
def cells() -> TrainingCells:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1.0, size=(60, 3)) @ rng.gamma(1.0, size=(3, N_GENES))).astype(np.float32)
    inputs = sparse.csr_matrix(np.log1p(counts))
    return TrainingCells(inputs, inputs)


def settings(**changes: Any) -> Config:
    small = {"hidden_size": 10, "bottleneck_size": 4, "max_epochs": 3, "batch_size": 8, "patience": 100}
    return dataclasses.replace(PRESETS["paper"], **{**small, "check_every": 1, **changes})


def trained(cells: TrainingCells, config: Config, *, seed: int = 0, **options: Any) -> tuple[Weights, TrainingResult]:
    rng = np.random.default_rng(seed)
    network = build_autoencoder(config, n_genes=N_GENES, rng=rng)
    result = train_model(network, cells, config=config, rng=rng, **options)
    return to_weights(network), result


@pytest.mark.parametrize("weight", [1e-25, 1e-5, 5.0, 1e3])
@pytest.mark.parametrize("form", ["rows", "columns"])
def test_detached_penalty_leaves_weights_bit_identical_for_every_lambda(cells, weight, form):
    # row 1: what both released versions do, and why their penalty never acted
    without, _ = trained(cells, settings(penalty_weight=0.0))
    detached, _ = trained(cells, settings(penalty_weight=weight, penalty_gradient=False, penalty=form))
    assert detached.fingerprint() == without.fingerprint()


def test_live_penalty_makes_the_rows_orthonormal(cells):
    # method.md 4.3: at lambda = 1 the norm falls to nearly nothing, at 1e-5 it stays where it was
    def norm(weights):
        return np.linalg.norm(np.eye(4) - weights.latent_weight @ weights.latent_weight.T)

    strong, _ = trained(cells, settings(penalty_weight=1.0, max_epochs=100))
    weak, _ = trained(cells, settings(penalty_weight=1e-5, max_epochs=100))
    assert norm(strong) < 0.02
    assert norm(weak) > 20 * norm(strong)


@pytest.mark.parametrize("weight", [1e-5, 1.0])
def test_detached_l1_leaves_weights_bit_identical(cells, weight):
    # row 3
    without, _ = trained(cells, settings(l1_weight=0.0))
    detached, _ = trained(cells, settings(l1_weight=weight, l1_gradient=False))
    assert detached.fingerprint() == without.fingerprint()


def test_live_l1_shrinks_the_weights(cells):
    free, _ = trained(cells, settings(max_epochs=30))
    shrunk, _ = trained(cells, settings(max_epochs=30, l1_weight=0.05))
    assert np.abs(shrunk.hidden_weight).mean() < 0.9 * np.abs(free.hidden_weight).mean()


def test_weight_decay_acts_as_the_released_code_has_it(cells):
    # row 4: one SGD step without momentum is w - lr (gradient + decay w)
    base = settings(max_epochs=1, batch_size=100, momentum=0.0, reshuffle=False, split=(0.95, 0.05, 0.0))
    network = build_autoencoder(base, n_genes=N_GENES, rng=np.random.default_rng(0))
    start = to_weights(network).hidden_weight
    plain, _ = trained(cells, base)
    decayed, _ = trained(cells, dataclasses.replace(base, weight_decay=0.1))
    moved = plain.hidden_weight - decayed.hidden_weight
    np.testing.assert_allclose(moved, base.learning_rate * 0.1 * start, atol=1e-7)


def test_same_seed_same_weights_bit_for_bit_and_another_seed_others(cells):
    config = settings(input_dropout=0.3, optimiser="adam")
    first, _ = trained(cells, config, seed=3)
    second, _ = trained(cells, config, seed=3)
    other, _ = trained(cells, config, seed=4)
    assert first.fingerprint() == second.fingerprint() != other.fingerprint()


def test_best_weights_are_restored(cells):
    config = settings(optimiser="adam", learning_rate=0.05, max_epochs=60, patience=60)
    rng = np.random.default_rng(0)
    network = build_autoencoder(config, n_genes=N_GENES, rng=rng)
    state = rng.bit_generator.state
    result = train_model(network, cells, config=config, rng=rng)
    losses = [record.validation_loss for record in result.log]
    assert result.best_epoch == 1 + int(np.argmin(losses)) < len(losses)
    again = np.random.default_rng()
    again.bit_generator.state = state
    _, validation, _ = split_cells(cells.n_cells, config.split, again)
    assert mean_loss(network, cells, validation, config=config) == pytest.approx(min(losses), rel=1e-6)


def test_training_stops_after_the_patience(cells):
    config = settings(optimiser="adam", learning_rate=0.05, max_epochs=500, patience=4, check_every=2)
    _, result = trained(cells, config)
    assert len(result.log) == result.best_epoch + 4 * 2


def test_without_cells_for_the_report_those_of_early_stopping_are_reported(cells):
    # the released code selects and reports on the same 5 % (method.md 3.3)
    _, result = trained(cells, settings())
    assert result.n_test == 0
    assert result.test_loss == pytest.approx(result.validation_loss, rel=1e-6)


def test_split_uses_every_cell_once(rng):
    parts = split_cells(101, (0.9, 0.05, 0.05), rng)
    assert [len(p) for p in parts] == [91, 5, 5]
    assert sorted(np.concatenate(parts)) == list(range(101))


def test_a_stratified_split_gives_each_part_its_share_of_each_type(rng):
    strata = np.repeat([0, 1, 2], [700, 200, 100])
    parts = split_cells(1000, (0.8, 0.1, 0.1), rng, strata=strata)
    assert sorted(np.concatenate(parts)) == list(range(1000))
    counts = np.array([np.bincount(strata[part], minlength=3) for part in parts])
    np.testing.assert_allclose(counts, [[560, 160, 80], [70, 20, 10], [70, 20, 10]], atol=1)
    assert not np.array_equal(parts[0], np.sort(parts[0]))  # batches mix the types


def test_a_loss_that_explodes_stops_with_an_explanation(cells):
    with pytest.raises(
        TrainingError, match=r"Training stopped in epoch \d+: the loss became .*learning rate \(1e\+30\)"
    ):
        trained(cells, settings(learning_rate=1e30, max_epochs=20))


def test_one_cell_cannot_be_split():
    inputs = sparse.csr_matrix(np.ones((1, N_GENES), dtype=np.float32))
    with pytest.raises(InputError, match="Training needs at least 2 cells"):
        trained(TrainingCells(inputs, inputs), settings())


def test_each_epoch_is_reported_as_it_ends(cells):
    seen: list[int] = []
    _, result = trained(cells, settings(), on_epoch=lambda record: seen.append(record.epoch))
    assert seen == [1, 2, 3] == [record.epoch for record in result.log]


def test_dropout_removes_its_share_and_keeps_the_mean(rng):
    inputs = sparse.csr_matrix(np.ones((200, 100), dtype=np.float32))
    hidden = Dropout(values=0.25, genes=0.0, mean=np.zeros(100, np.float32), rng=rng)
    dropped = torch.cat(
        [
            torch.from_numpy(batch.inputs.toarray())
            for batch in batches(TrainingCells(inputs, inputs), np.arange(200), batch_size=64, dropout=hidden)
        ]
    )
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert inputs.data.min() == 1.0


def test_a_dropped_gene_is_at_its_mean_in_every_cell_of_a_batch(rng):
    inputs = sparse.csr_matrix(rng.gamma(1.0, size=(320, 1000)).astype(np.float32))
    mean = np.asarray(inputs.mean(axis=0), dtype=np.float32).ravel()
    shares = []
    hidden = Dropout(values=0.0, genes=0.8, mean=mean, rng=rng)
    for i, batch in enumerate(batches(TrainingCells(inputs, inputs), np.arange(320), batch_size=4, dropout=hidden)):
        missing = batch.fill > 0
        shares.append(missing.mean())
        np.testing.assert_array_equal(batch.fill[missing], mean[missing])
        whole = inputs[4 * i : 4 * i + 4].toarray()
        np.testing.assert_allclose(batch.inputs.toarray(), np.where(missing, 0, whole), rtol=1e-6)
    # the share is drawn anew for each batch, evenly between 0 and 0.8
    assert np.quantile(shares, [0.0, 0.5, 1.0]) == pytest.approx([0.0, 0.4, 0.8], abs=0.1)


@pytest.mark.parametrize(("n_cells", "expected"), [(100, 16), (1000, 62), (5000, 128)])
def test_small_data_are_cut_into_at_least_sixteen_batches(n_cells, expected):
    assert batch_size(Config(), n_cells) == expected
    assert batch_size(PRESETS["as_released"], n_cells) == 1
    assert batch_size(PRESETS["paper"], n_cells) == 1


@pytest.fixture
def taken(monkeypatch):
    """The cells that steps are taken on, a batch or what the compiled kernel is given at a time."""
    seen: list[list[int]] = []

    def recorded(*arguments: Any, **options: Any) -> Steps:
        steps = choose_steps(*arguments, **options)

        def take(rows: np.ndarray) -> tuple[float, float]:
            seen.append(list(rows))
            return steps.take(rows)

        return Steps(take, steps.n_cells)

    monkeypatch.setattr("scprism.train.loop.choose_steps", recorded)
    return seen


def test_epochs_of_large_data_are_parts_of_it_drawn_anew(cells, taken):
    _, result = trained(cells, settings(max_batches=3, max_epochs=20))
    assert {len(order) for order in taken} == {3 * 8}
    assert all(len(set(order)) == len(order) for order in taken)
    assert len(set().union(*taken)) == result.n_train == 57


@pytest.mark.parametrize(
    ("least", "most", "expected"), [(2, 1, [28]), (3, 2, [19, 19]), (16, 1, [16]), (1, 3, [40, 17]), (3, 9, [19] * 3)]
)
def test_an_epoch_has_no_more_batches_than_told(cells, taken, least, most, expected):
    """57 cells in batches of 40 at most: batches keep their size where an epoch is cut short."""
    trained(cells, settings(batch_size=40, min_batches=least, max_batches=most, max_epochs=1))
    assert [len(rows) for rows in taken] == expected


def test_without_reshuffling_every_epoch_sees_the_cells_in_one_order(cells, taken):
    trained(cells, settings(reshuffle=False))
    trained(cells, settings(reshuffle=True))
    assert taken[0] == taken[1] == taken[2]
    assert taken[3] != taken[4]
    assert sorted(taken[3]) == sorted(taken[4])


def test_training_on_planted_programs_beats_the_mean_of_each_gene(rng):
    activity = rng.gamma(0.5, size=(400, 3))
    programs = np.kron(np.eye(3), np.ones((1, 10)))
    counts = sparse.csr_matrix(rng.poisson(2 * activity @ programs + 0.1).astype(np.float32))
    config = dataclasses.replace(
        Config(),
        hidden_size=20,
        bottleneck_size=3,
        max_epochs=80,
        batch_size=32,
        min_batches=1,
        input_dropout=0.0,
        gene_dropout=0.0,
        penalty_weight=0.0,
        learning_rate=1e-2,
    )
    generator = np.random.default_rng(0)
    network = build_autoencoder(config, n_genes=30, rng=generator)
    cells = TrainingCells(counts.log1p(), counts)
    result = train_model(network, cells, config=config, rng=generator)
    constant = np.asarray(counts.sum(axis=0)).ravel() / counts.sum()
    total = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1)
    loss_of_constant = float((-(counts @ np.log(constant)) / total).mean())
    # three independent programs: what the constant cannot know is which of the three a molecule comes from
    assert result.test_loss < loss_of_constant - 0.3
