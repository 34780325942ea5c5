"""Deletion and insertion curves."""

from dataclasses import replace

import numpy as np
import pytest

from scprism.errors import InputError
from scprism.trust.curves import curve_gains, gene_curves, ranked_genes, stand_ins


@pytest.fixture
def linear(make_weights):
    return make_weights((None, None), n_genes=400)


@pytest.fixture
def many_cells(rng):
    return rng.exponential(size=(40, 400)) * (rng.random((40, 400)) < 0.5)


def test_a_linear_network_is_as_far_off_as_the_genes_that_are_left(linear, many_cells, rng):
    baseline = rng.random(400)
    order = np.stack([rng.permutation(400) for _ in range(6)])
    curves = gene_curves(linear, many_cells, baseline=baseline, order=order, sizes=(1, 7, 400))
    slope = (linear.latent_weight.astype(float) @ linear.hidden_weight.astype(float))[2]
    parts = (many_cells - baseline) * slope
    for i, size in enumerate((1, 7, 400)):
        left = np.abs(parts[:, order[2, size:]].sum(axis=1))
        assert curves.deletion[2, :, i] == pytest.approx(left, abs=1e-9)
        assert curves.insertion[2, :, i] == pytest.approx(left, abs=1e-9)
    assert curves.distance[2] == pytest.approx(np.abs(parts.sum(axis=1)))


def test_a_nonlinear_network_ends_where_it_should(make_weights, many_cells, rng):
    weights = make_weights((1.0, 1.0), n_genes=400)
    order = np.tile(np.arange(400), (6, 1))
    curves = gene_curves(weights, many_cells, baseline=np.zeros(400), order=order, sizes=(400,))
    assert np.abs(curves.deletion).max() < 1e-9
    assert np.abs(curves.insertion).max() < 1e-9


def test_the_genes_that_matter_gain_and_those_that_do_not_lose(linear, many_cells):
    # One large effect in each of 20 genes, all of one sign, so that deleting them can only bring the unit nearer.
    hidden = np.full((12, 400), 0.001, dtype=np.float32)
    hidden[:, :20] = 1.0
    weights = replace(linear, hidden_weight=hidden, latent_weight=np.ones_like(linear.latent_weight))
    matter = np.tile(np.arange(400, 0, -1.0), (6, 1))
    good = curve_gains(weights, many_cells, baseline=np.zeros(400), attributed=matter, n_draws=20, rng=0)
    bad = curve_gains(weights, many_cells, baseline=np.zeros(400), attributed=-matter, n_draws=20, rng=0)
    assert (good[["deletion_low", "insertion_low"]] > 0.2).all(axis=None)
    assert (bad[["deletion_gain", "insertion_gain", "deletion_random"]] < -0.05).all(axis=None)
    assert (good["deletion_gain"] < good["deletion_high"]).all()


def test_genes_at_random_gain_nothing(make_weights, many_cells):
    weights, rng = make_weights((1.0, None), n_genes=400), np.random.default_rng(8)
    false = [
        curve_gains(weights, many_cells, baseline=np.zeros(400), attributed=rng.random((6, 400)), n_draws=20, rng=rng)
        for _ in range(15)
    ]
    above = np.mean([(table["deletion_low"] > 0).mean() for table in false])
    assert above <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 90)


def test_stand_ins_are_other_genes_of_like_expression(rng):
    expression = rng.exponential(size=400)
    measured = np.ones(400, dtype=bool)
    measured[:7] = False
    chosen = stand_ins(expression, measured, matched=True, rng=rng)
    assert sorted(chosen) == list(range(400))
    assert chosen[:7].tolist() == list(range(7))
    rank = np.argsort(np.argsort(expression[7:]))
    assert np.abs(rank - rank[chosen[7:] - 7]).max() < 20  # 393 genes in 20 parts
    free = stand_ins(expression, measured, matched=False, rng=rng)
    assert np.abs(rank - rank[free[7:] - 7]).mean() == pytest.approx(393 / 3, rel=0.15)


def test_unmeasured_genes_are_never_ranked():
    assert ranked_genes(np.array([[3.0, 2.0, 1.0]]), np.array([False, True, True]), 2).tolist() == [[1, 2]]


def test_cells_at_their_baseline_are_refused(linear):
    with pytest.raises(InputError, match="differ from the baseline"):
        curve_gains(linear, np.ones((5, 400)), baseline=np.ones(400), attributed=np.ones((6, 400)), n_draws=1, rng=0)
