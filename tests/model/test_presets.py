"""One test a row of the table of departures in `docs/method.md`, section 2; rows with effects elsewhere say where."""

import dataclasses

import pytest

from scprism.errors import InputError
from scprism.model.config import Config
from scprism.model.network import build_autoencoder
from scprism.model.presets import PRESETS, preset_config


@pytest.mark.parametrize(
    ("row", "setting", "paper", "as_released"),
    [
        (1, "penalty_gradient", True, False),
        (2, "penalty", "rows", "columns"),
        (3, "l1_gradient", True, False),
        (5, "softplus_beta", 1.0, "width"),
        (6, "likelihood", "poisson", "poisson_log_input"),
        (7, "normalise", "per_cell", "per_gene"),
        (8, "final_epochs", 400, 500),
        (9, "search_trials", 40, 10),
        (10, "knn_neighbours", tuple(range(2, 26)), (4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26)),
        (11, "first_unit_plain", False, True),
        (12, "foreign_loss", "all_cells", "one_cell"),
        (13, "gene_count", "after_filter", "as_released"),
        (14, "projection", "umap", "tsne"),
        (16, "negative_values", "refuse", "keep"),
    ],
)
def test_paper_and_released_code_differ_by_named_switches(row, setting, paper, as_released):
    assert getattr(PRESETS["paper"], setting) == paper
    assert getattr(PRESETS["as_released"], setting) == as_released


@pytest.mark.parametrize(
    ("setting", "paper", "as_released"),
    [("batch_size", 1, 1), ("reshuffle", True, False), ("missing_genes", "mean", "random")],
)
def test_released_code_also_differs_where_the_text_is_silent(setting, paper, as_released):
    assert (getattr(PRESETS["paper"], setting), getattr(PRESETS["as_released"], setting)) == (paper, as_released)


@pytest.mark.parametrize("preset", ["paper", "as_released"])
def test_paper_settings_that_both_share(preset):
    config = PRESETS[preset]
    assert (config.optimiser, config.momentum, config.split[:2]) == ("sgd", 0.9, (0.95, 0.05))
    assert (config.target_sum, config.bottleneck, config.attribution) == (1e6, "softplus", "guided")


def test_released_beta_is_the_width_of_each_layer(rng):
    # row 5
    config = dataclasses.replace(PRESETS["as_released"], hidden_size=12, bottleneck_size=7)
    betas = build_autoencoder(config, n_genes=30, rng=rng).betas
    assert (betas.hidden, betas.latent, betas.decoder, betas.output) == (12.0, 7.0, 12.0, 30.0)


def test_paper_beta_is_one_in_all_four_layers(rng):
    betas = build_autoencoder(PRESETS["paper"], n_genes=30, rng=rng).betas
    assert (betas.hidden, betas.latent, betas.decoder, betas.output) == (1.0, 1.0, 1.0, 1.0)


def test_unknown_preset_is_named_with_what_is_allowed():
    with pytest.raises(
        InputError, match=r"`preset` must be one of 'default', 'paper', 'as_released', got 'papr'.*'paper'"
    ):
        preset_config("papr")


def test_settings_survive_json():
    for config in PRESETS.values():
        assert Config.from_json(config.to_json()) == config


def test_unknown_setting_is_refused_with_the_closest():
    with pytest.raises(InputError, match=r"'hiden_size' is not a setting of a model. Closest: 'hidden_size'"):
        Config.from_json({"hiden_size": 3})


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("hidden_size", 0, "`hidden_size` must be at least 1, got 0"),
        ("learning_rate", 0.0, "`learning_rate` must be above 0"),
        ("input_dropout", 1.5, "`input_dropout` must lie between 0 and 1"),
        ("split", (0.5, 0.2, 0.2), "`split` must be three shares that add up to 1"),
        ("normalise", "none", "needs counts"),
        (
            "likelihood",
            "gauss",
            "`likelihood` must be one of 'multinomial', 'poisson_counts', 'negative_binomial', .* got 'gauss'",
        ),
        ("hidden_size", 2.5, "`hidden_size` must be a whole number, got 2.5"),
        ("reshuffle", 1, "`reshuffle` must be true or false, got 1"),
        ("learning_rate", "high", "`learning_rate` must be a number, got 'high'"),
        ("softplus_beta", -1.0, "`softplus_beta` must be above 0"),
        ("weight_decay", (0.1, "hard"), "which L1 and weight decay would undo"),
    ],
)
def test_impossible_settings_are_refused(setting, value, message):
    changes = {setting: value[0], "penalty": value[1]} if setting == "weight_decay" else {setting: value}
    with pytest.raises(InputError, match=message):
        dataclasses.replace(Config(), **changes)
