"""What further training changed, against numbers by hand and planted changes."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scprism.adaptation.change import Change, unit_changes, weight_changes, write_change
from scprism.explain.attribution import Attribution
from scprism.explain.decoder import decoder_map
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.trust.networks import NetworkView, SeenCells, view_network

N_GENES, N_UNITS = 12, 4


@pytest.fixture
def weights():
    config = Config(hidden_size=6, bottleneck_size=N_UNITS)
    return to_weights(build_autoencoder(config, n_genes=N_GENES, rng=np.random.default_rng(0)))


@pytest.fixture
def cells(rng):
    inputs = sparse.csr_matrix(rng.random((30, N_GENES)).astype(np.float32))
    names = tuple(f"g{i}" for i in range(N_GENES))
    return SeenCells(inputs, np.zeros(N_GENES, np.float32), names, (), np.full(30, -1), Attribution(absolute=False))


def compared(before, after, cells):
    views = [view_network(w, cells) for w in (before, after)]
    decoded = tuple(decoder_map(w, view.latent) for w, view in zip((before, after), views, strict=True))
    return unit_changes(*views, decoded=decoded)


def test_nothing_changed_is_one_everywhere(weights, cells):
    table = compared(weights, weights, cells)
    assert list(table.index) == [f"latent_{i}" for i in range(N_UNITS)]
    np.testing.assert_allclose(table.drop(columns="same").to_numpy(), 1, rtol=1e-6)
    assert table["same"].all()


def test_a_unit_turned_about_has_minus_one_and_the_others_one(weights, cells):
    sign = np.array([1, 1, -1, 1], dtype=np.float32)
    after = dataclasses.replace(
        weights,
        latent_weight=weights.latent_weight * sign[:, None],
        latent_bias=weights.latent_bias * sign,
        decoder_weight=weights.decoder_weight * sign,
    )
    table = compared(weights, after, cells)
    np.testing.assert_allclose(table["map_cosine"], sign, rtol=1e-5)
    np.testing.assert_allclose(table["activation_correlation"], sign, rtol=1e-5)
    np.testing.assert_allclose(table["decoded_cosine"], sign, rtol=1e-5)
    assert list(table["same"]) == [True, True, False, True]


def test_a_unit_that_is_only_stretched_or_moved_is_the_same(weights, cells):
    after = dataclasses.replace(weights, latent_weight=3 * weights.latent_weight, latent_bias=weights.latent_bias + 5)
    table = compared(weights, after, cells)
    np.testing.assert_allclose(table[["map_cosine", "activation_correlation"]], 1, rtol=1e-4)


def test_the_cosine_of_a_map_and_the_correlation_of_a_unit_by_hand(weights, cells, rng):
    after = dataclasses.replace(
        weights, latent_weight=weights.latent_weight + rng.normal(0, 0.3, (N_UNITS, 6)).astype(np.float32)
    )
    table = compared(weights, after, cells)
    x = cells.inputs.toarray().astype(np.float64)
    maps, latents = [], []
    for w in (weights, after):
        z = x @ w.hidden_weight.T + w.hidden_bias
        h, h0 = np.log1p(np.exp(z)), np.log1p(np.exp(w.hidden_bias.astype(np.float64)))
        slope = (h - h0) / (z - w.hidden_bias)  # deeplift's quotient, the baseline being no expression
        each = np.einsum("uh,ch,hg,cg->ug", w.latent_weight, slope, w.hidden_weight, x) / len(x)
        maps.append(each)
        latents.append(h @ w.latent_weight.T)
    cosine = (maps[0] * maps[1]).sum(axis=1) / np.linalg.norm(maps[0], axis=1) / np.linalg.norm(maps[1], axis=1)
    np.testing.assert_allclose(table["map_cosine"], cosine, rtol=1e-4)
    correlation = [np.corrcoef(latents[0][:, u], latents[1][:, u])[0, 1] for u in range(N_UNITS)]
    np.testing.assert_allclose(table["activation_correlation"], correlation, rtol=1e-4)
    assert list(table["same"]) == list((cosine >= 0.9) & (np.array(correlation) >= 0.9))


def test_a_unit_of_the_same_map_that_fires_in_other_cells_is_another(weights, cells):
    view = view_network(weights, cells)
    other = NetworkView(view.latent[::-1], view.explanation)
    decoded = decoder_map(weights, view.latent)
    table = unit_changes(view, other, decoded=(decoded, decoded))
    assert (table["map_cosine"] > 0.999).all()
    assert not table["same"].any()


def test_the_change_of_weights_is_relative_to_their_norm(weights):
    bias = np.array([3, 4, 0, 0], dtype=np.float32)
    before = dataclasses.replace(weights, latent_bias=bias, decoder_bias=np.zeros(6, np.float32))
    after = dataclasses.replace(
        before, latent_bias=bias + np.array([0, 0, 1, 0]), hidden_weight=1.25 * weights.hidden_weight
    )
    moved = weight_changes(before, after)["relative_change"]
    assert moved["latent_bias"] == pytest.approx(1 / 5)
    assert moved["hidden_weight"] == pytest.approx(0.25)
    assert moved["output_weight"] == 0
    assert np.isnan(moved["decoder_bias"])


def test_the_files_hold_losses_weights_and_units(weights, cells, tmp_path):
    losses = pd.DataFrame({"cells": [5], "before": [4.0], "after": [3.0]}, index=["query"])
    change = Change(losses, compared(weights, weights, cells), weight_changes(weights, weights))
    write_change(tmp_path / "new", change)
    table = pd.read_csv(tmp_path / "new.change.tsv", sep="\t", index_col="what")
    assert list(table.loc["loss, query"]) == [4, 3, -0.25]
    assert table.loc["output_weight", "relative_change"] == 0
    units = pd.read_csv(tmp_path / "new.units.tsv", sep="\t", index_col="unit")
    pd.testing.assert_frame_equal(units, change.units)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.change.tsv", "new.units.tsv"]
