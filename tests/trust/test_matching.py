"""Units of one network found again in another."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from scprism.errors import InputError
from scprism.explain.attribution import Attribution
from scprism.trust.matching import compare_views, match_units, paired_jaccard, shuffled_matches, top_genes
from scprism.trust.networks import SeenCells, view_network


def test_matching_finds_a_known_permutation_and_its_signs(rng):
    first = rng.normal(size=(200, 6))
    order, signs = rng.permutation(6), np.array([1, -1, 1, -1, -1, 1])
    second = np.empty_like(first)
    second[:, order] = np.exp(first) * signs  # increasing or decreasing: ranks are all that counts
    matching = match_units(first, second)
    assert matching.partner.tolist() == order.tolist()
    assert matching.correlation == pytest.approx(signs)


def test_no_two_units_get_the_same_partner(rng):
    first = rng.normal(size=(100, 3))
    first[:, 1] = first[:, 0]  # both would take the first
    assert sorted(match_units(first, first).partner) == [0, 1, 2]


def test_units_of_other_cells_are_refused(rng):
    with pytest.raises(InputError, match="over the same cells"):
        match_units(rng.normal(size=(10, 2)), rng.normal(size=(9, 2)))


def test_shuffled_matches_of_one_unit_have_the_spread_of_spearmans_correlation(rng):
    latent = rng.normal(size=(401, 1))
    misses = shuffled_matches(latent, latent, n_shuffles=1500, rng=rng)
    assert np.percentile(misses, 95) == pytest.approx(1.96 / np.sqrt(400), rel=0.08)


def test_jaccard_is_that_of_pairs_of_rows():
    first = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    second = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
    assert paired_jaccard(first, second) == pytest.approx([1 / 3, 1.0, np.nan], nan_ok=True)


def test_top_genes_are_those_of_largest_weight():
    assert top_genes(np.array([[1.0, 3.0, 2.0, 3.0]]), 2).tolist() == [[False, True, False, True]]


def test_a_network_with_its_units_turned_about_is_the_same_network(make_weights, cells, rng):
    weights = make_weights((1.0, None))
    order, signs = rng.permutation(6), np.array([1, -1, 1, -1, -1, 1], dtype=np.float32)
    turned = replace(
        weights,
        latent_weight=(weights.latent_weight * signs[:, None])[order],
        latent_bias=(weights.latent_bias * signs)[order],
    )
    many = np.tile(cells, (4, 1)) * rng.uniform(0.5, 2, size=(36, 1)).astype(np.float32)
    known = SeenCells(
        inputs=sparse.csr_matrix(many),
        fill=np.zeros(40, dtype=np.float32),
        genes=tuple(f"g{i}" for i in range(40)),
        groups=("a", "b"),
        codes=np.arange(36) % 2,
        attribution=Attribution(absolute=False),
    )
    agreement = compare_views(view_network(weights, known), view_network(turned, known), n_top=5)
    assert agreement.matching.partner.tolist() == np.argsort(order).tolist()
    assert agreement.matching.correlation == pytest.approx(signs)
    assert agreement.maps == pytest.approx(np.ones(6), abs=1e-3)
    assert agreement.jaccard.tolist() == [1.0] * 6
