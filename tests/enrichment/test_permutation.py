"""Nulls: the shared draws, and what is kept of them."""

import itertools

import numpy as np
import pandas as pd
import pytest

from scprism.enrichment.kernels import SetMembers
from scprism.enrichment.permutation import matched_members, observed_scores, summarise_draws, summarise_shared
from scprism.enrichment.permutation_kernels import nested_places
from scprism.enrichment.rankings import rank_genes

N_GENES = 9


@pytest.fixture
def rankings(rng):
    return rank_genes(pd.DataFrame(rng.standard_normal((40, N_GENES)), columns=list("abcdefghi")), weight=1.0)


def sets_of_all(size):
    genes = np.array(list(itertools.combinations(range(N_GENES), size)), dtype=np.int32)
    return SetMembers(genes.ravel(), np.arange(len(genes) + 1) * size)


def test_draws_are_nested_ascending_and_hit_every_place_alike(rng):
    sizes = np.array([2, 5, 6])
    swaps = rng.integers(np.arange(6), 30, size=(20_000, 6))
    places = nested_places(swaps, sizes, np.arange(30, dtype=np.int32))
    small, middle, large = places[:, :2], places[:, 2:7], places[:, 7:]
    for part in (small, middle, large):
        assert (np.diff(part, axis=1) > 0).all()
        share = np.bincount(part.ravel(), minlength=30) / 20_000
        expected = part.shape[1] / 30
        np.testing.assert_allclose(share, expected, atol=4.5 * np.sqrt(expected * (1 - expected) / 20_000))
    assert all(set(a) <= set(b) <= set(c) for a, b, c in zip(small, middle, large, strict=True))


@pytest.mark.parametrize("one_sided", [pytest.param(True, id="one_sided"), pytest.param(False, id="two_sided")])
def test_shared_null_agrees_with_all_sets(rankings, one_sided):
    every = {size: observed_scores(rankings, sets_of_all(size), one_sided=one_sided, threads=1)[0] for size in (3, 4)}
    sizes = np.array([4, 3, 3])
    scores = np.stack([every[4][:, 17], every[3][:, 5], every[3][:, 60]], axis=1)
    null = summarise_shared(
        rankings, scores, sizes, n_permutations=20_000, one_sided=one_sided, rng=np.random.default_rng(0), threads=2
    )
    for k, size in enumerate(sizes):
        score, drawn = scores[:, [k]], every[size]
        same = (drawn >= 0) == (score >= 0)
        extreme = same & (np.abs(drawn) >= np.abs(score) - 1e-6)
        for counted, expected in ((null.n_same, same.mean(axis=1)), (null.n_extreme, extreme.mean(axis=1))):
            np.testing.assert_allclose(counted[:, k] / 20_000, expected, atol=4.5 * 0.5 / np.sqrt(20_000))
        mean = np.where(same, np.abs(drawn), 0.0).mean(axis=1)
        np.testing.assert_allclose(null.sum_same[:, k] / 20_000, mean, atol=4.5 * 0.5 / np.sqrt(20_000))


def test_ties_with_the_observed_score_count_as_reaching_it():
    # Unweighted scores lie on a lattice: single precision must not lose draws that equal the observed score.
    ranked = rank_genes(pd.DataFrame([np.linspace(1, -1, N_GENES)], columns=list("abcdefghi")), weight=0.0)
    drawn = observed_scores(ranked, sets_of_all(3), one_sided=True, threads=1)[0][0]
    for score in np.unique(drawn.round(9)):
        null = summarise_shared(
            ranked,
            np.array([[score]]),
            np.array([3]),
            n_permutations=4000,
            one_sided=True,
            rng=np.random.default_rng(1),
            threads=1,
        )
        exact = (drawn >= score - 1e-6).mean()
        assert null.n_extreme[0, 0] / 4000 == pytest.approx(exact, abs=4.5 * np.sqrt(exact * (1 - exact) / 4000) + 1e-9)


def test_summary_of_given_draws_counts_by_sign():
    scores = np.array([[0.5, -0.4]])
    draws = [np.array([[0.6, 0.1]]), np.array([[0.2, -0.5]]), np.array([[-0.9, -0.1]]), np.array([[0.5, -0.4]])]
    null = summarise_draws(scores, draws)
    assert null.n_draws == 4
    np.testing.assert_array_equal(null.n_same, [[3, 3]])
    np.testing.assert_array_equal(null.n_extreme, [[2, 2]])
    np.testing.assert_allclose(null.sum_same, [[1.3, 1.0]])


def test_matched_sets_keep_size_and_expression(rng):
    expression = rng.standard_normal(400)
    genes = np.argsort(expression)[-30:].astype(np.int32)
    sets = SetMembers(np.concatenate([genes, np.arange(25, dtype=np.int32)]), np.array([0, 30, 55]))
    drawn = list(matched_members(sets, expression, n_permutations=50, rng=rng))
    # 20 bins of 20 genes: the 30 highest are all of the first bin and 10 of the second.
    for random_sets in drawn:
        ranks = np.searchsorted(np.sort(expression), expression[random_sets.genes[:30]])
        assert len(set(random_sets.genes[:30])) == 30
        assert ((ranks >= 380).sum(), (ranks >= 360).sum()) == (20, 30)
    assert len({tuple(sorted(d.genes[:30])) for d in drawn}) == 50
