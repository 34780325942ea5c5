from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ortho_group, spearmanr

from scprism.model.network import build_autoencoder, to_weights
from scprism.model.presets import PRESETS
from scprism.paper.experiments.guided import mean_rank_correlation
from scprism.paper.experiments.released_penalty import largest_change
from scprism.paper.experiments.stability import compare_latents
from scprism.paper.experiments.untrained_sets import plan_untrained_sets


def test_rank_correlation_between_units_is_the_mean_of_all_pairs(rng):
    maps = rng.normal(size=(3, 40))
    pairs = [abs(spearmanr(maps[i], maps[j]).statistic) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert mean_rank_correlation(maps) == pytest.approx(np.mean(pairs))


def test_a_rotated_latent_keeps_its_span_and_loses_its_units(rng):
    latent = rng.normal(size=(800, 8))
    found = compare_latents(latent, latent @ ortho_group.rvs(8, random_state=1))
    assert found["span_r2"] == pytest.approx(1.0, abs=1e-4)
    assert found["canonical"] == pytest.approx(1.0, abs=1e-3)
    assert found["single_r2"] < 0.6


def test_units_in_another_order_and_turned_about_are_the_same(rng):
    latent = rng.normal(size=(300, 8))
    found = compare_latents(latent, -latent[:, rng.permutation(8)])
    assert found["matched"] == pytest.approx(1.0)
    assert found["single_r2"] == pytest.approx(1.0)


def test_the_largest_change_is_that_of_any_weight_or_bias(rng):
    config = replace(PRESETS["paper"], hidden_size=4, bottleneck_size=2)
    weights = to_weights(build_autoencoder(config, n_genes=5, rng=rng))
    moved = weights.decoder_bias.copy()
    moved[1] -= 0.25
    assert largest_change(weights, weights) == 0
    assert largest_change(weights, replace(weights, decoder_bias=moved)) == pytest.approx(0.25)


def test_untrained_networks_see_the_smallest_data_set_of_each_organism(small_plan, source):
    sources = [
        source("large", {"a": 90, "b": 90}),
        source("small", {"a": 20, "b": 20}),
        source("one type", {"a": 9}),
        source("people", {"a": 50, "b": 50}, organism="human"),
    ]
    cells = plan_untrained_sets(replace(small_plan, sources=sources))
    assert [cell.settings["data"] for cell in cells] == ["people"] * 3 + ["small"] * 3
    assert not any(network.is_trained for cell in cells for network in cell.networks)
