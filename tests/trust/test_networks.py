"""One set of cells through several networks, and what should break an explanation."""

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import spearmanr

from scprism.explain.attribution import Attribution
from scprism.explain.explanation import Explanation
from scprism.explain.randomise import redraw_weights, shuffle_within_genes
from scprism.model.weights import Weights
from scprism.train.batches import TrainingCells
from scprism.trust.networks import (
    SeenCells,
    gene_weights,
    paired_correlation,
    randomised_views,
    unit_maps,
    view_network,
)


def seen(cells, *, method="deeplift"):
    n_genes = cells.shape[1]
    return SeenCells(
        inputs=sparse.csr_matrix(cells.astype(np.float32)),
        fill=np.zeros(n_genes, dtype=np.float32),
        genes=tuple(f"g{i}" for i in range(n_genes)),
        groups=(),
        codes=np.full(len(cells), -1),
        attribution=Attribution(method=method, absolute=False),
    )


def wide_network(rng, *, n_genes=600, n_hidden=200, n_units=40):
    empty = Weights(
        hidden_weight=np.zeros((n_hidden, n_genes), np.float32),
        hidden_bias=np.zeros(n_hidden, np.float32),
        latent_weight=np.zeros((n_units, n_hidden), np.float32),
        latent_bias=np.zeros(n_units, np.float32),
        decoder_weight=np.zeros((n_hidden, n_units), np.float32),
        decoder_bias=np.zeros(n_hidden, np.float32),
        output_weight=np.zeros((n_genes, n_hidden), np.float32),
        output_bias=np.zeros(n_genes, np.float32),
        latent_beta=None,
    )
    return redraw_weights(empty, layers="encoder", rng=rng)


def explanation(signed, *, groups):
    n_groups, n_units, n_genes = signed.shape
    return Explanation(
        signed=signed.astype(np.float32),
        absolute=np.abs(signed).astype(np.float32),
        groups=groups,
        units=tuple(f"unit_{i}" for i in range(n_units)),
        genes=tuple(f"g{i}" for i in range(n_genes)),
        n_cells=np.ones(n_groups, dtype=int),
        method="plain",
        completeness_error=np.nan,
        baseline="",
        fingerprint="",
    )


def test_maps_hold_every_group_but_the_whole():
    signed = np.array([[[1.0, -2.0]], [[3.0, 4.0]], [[9.0, 9.0]]])
    groups = explanation(signed, groups=("B", "T", "all"))
    assert unit_maps(groups).tolist() == [[1, -2, 3, 4]]
    assert gene_weights(groups).tolist() == [[4, 6]]
    assert unit_maps(explanation(signed[2:], groups=("all",))).tolist() == [[9, 9]]


def test_paired_correlation_is_spearmans_of_each_pair_of_rows(rng):
    first, second = rng.normal(size=(3, 30)).round(1), rng.normal(size=(3, 30)).round(1)  # rounded: with ties
    second[2] = 1.0
    expected = [spearmanr(first[i], second[i]).statistic for i in range(2)]
    assert paired_correlation(first, second) == pytest.approx([*expected, 0.0])


def test_redrawing_the_bottleneck_leaves_the_hidden_layer(make_weights, rng):
    weights = make_weights()
    bottleneck = redraw_weights(weights, layers="bottleneck", rng=rng)
    assert bottleneck.hidden_weight is weights.hidden_weight
    assert not np.isin(bottleneck.latent_weight, weights.latent_weight).any()
    encoder = redraw_weights(weights, layers="encoder", rng=rng)
    assert not np.isin(encoder.hidden_weight, weights.hidden_weight).any()


def test_redrawn_weights_are_xavier_normal(rng):
    weights = wide_network(rng)
    assert weights.hidden_weight.std() == pytest.approx(np.sqrt(2 / 800), rel=0.02)
    assert weights.latent_weight.std() == pytest.approx(np.sqrt(2 / 240), rel=0.05)
    assert np.abs(weights.hidden_bias).max() <= 1 / np.sqrt(600)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        pytest.param("plain", 0.0, id="plain"),
        # The guided rule keeps the positive weights w; two draws share their mean: E[w]² / E[w²] of a half-normal
        # with half its mass at 0 is 1/π, in ranks 6/π arcsin(1/2π).
        pytest.param("guided", 6 / np.pi * np.arcsin(1 / (2 * np.pi)), id="guided"),
    ],
)
def test_guided_maps_outlive_the_weights_and_plain_ones_do_not(rng, method, expected):
    weights = wide_network(rng)
    cells = seen(rng.exponential(size=(30, 600)) * (rng.random((30, 600)) < 0.2), method=method)
    maps = unit_maps(view_network(weights, cells).explanation)
    drawn = randomised_views(weights, cells, layers="bottleneck", n_draws=5, rng=rng)
    correlation = np.mean([paired_correlation(maps, unit_maps(view.explanation)) for view in drawn])
    assert correlation == pytest.approx(expected, abs=0.03)


def test_shuffled_genes_keep_their_values_and_lose_their_cells(rng):
    dense = (rng.poisson(2.0, size=(500, 3)) * (rng.random((500, 3)) < 0.6)).astype(np.float32)
    dense[:, 1] = dense[:, 0]
    inputs = sparse.csr_matrix(dense)
    shuffled = shuffle_within_genes(TrainingCells(inputs, inputs * 2), rng=rng)
    values = shuffled.inputs.toarray()
    assert np.array_equal(np.sort(values, axis=0), np.sort(dense, axis=0))
    assert np.array_equal(shuffled.targets.toarray(), values * 2)
    assert abs(np.corrcoef(values[:, 0], values[:, 1])[0, 1]) < 0.15  # 3 standard deviations of chance; 1 before
