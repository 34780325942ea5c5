"""Small p-values by importance sampling, against exhaustive enumeration."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from scprism.enrich.kernel import SetMembers, _mark_draw, _take_marked, set_scores
from scprism.enrich.tail import bin_edges, log_tail

N_GENES = 20
DISTRIBUTIONS = {
    "normal": lambda rng: rng.standard_normal(N_GENES),
    "heavy_tailed": lambda rng: rng.standard_t(1.5, N_GENES),
    "mostly_zero": lambda rng: rng.standard_normal(N_GENES) * (rng.random(N_GENES) < 0.4),
}


def all_sets(n_hits):
    """Return every set of `n_hits` of the places."""
    places = np.array(list(itertools.combinations(range(N_GENES), n_hits)), dtype=np.int32)
    return SetMembers(places.ravel(), np.arange(len(places) + 1) * n_hits)


@pytest.mark.parametrize("one_sided", [pytest.param(True, id="one_sided"), pytest.param(False, id="two_sided")])
@pytest.mark.parametrize("weight", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_tail_equals_the_share_of_all_sets(distribution, weight, one_sided):
    rng = np.random.default_rng(1)
    weights = np.maximum(np.abs(np.sort(DISTRIBUTIONS[distribution](rng))[::-1]) ** weight, 1e-20)
    place_of = np.arange(N_GENES, dtype=np.int32)[None, :]
    scores, _ = set_scores(place_of, weights[None, :], all_sets(5), one_sided=one_sided)
    scores = scores[0]
    for quantile in (0.99, 0.999, 1.0):
        score = np.quantile(scores, quantile, method="higher")
        exact = (scores >= score - 1e-12).mean()
        estimates = [
            log_tail(weights, score, n_hits=5, one_sided=one_sided, edges=bin_edges(N_GENES), seed=np.uint64(seed))
            for seed in range(3)
        ]
        ratios = [math.exp(log_p) / exact for log_p, _ in estimates]
        # Three estimates, each with a standard error of at most a fifth; four standard errors of their mean.
        assert np.mean(ratios) == pytest.approx(1.0, abs=4 * 0.2 / math.sqrt(3))


def test_tail_of_the_best_possible_set_is_one_over_the_number_of_sets():
    # Unweighted, a score of 1 needs all hits in front: one set of C(60, 12), 1.4e12 of them.
    log_p, error = log_tail(np.ones(60), 1.0, n_hits=12, one_sided=False, edges=bin_edges(60), seed=np.uint64(0))
    assert log_p == pytest.approx(-math.log(math.comb(60, 12)), abs=0.5)
    assert error < 0.2


@pytest.mark.parametrize("n_genes", [3, 10, 257, 20_000])
def test_bins_cover_all_places_once_and_are_mirror_images(n_genes):
    edges = bin_edges(n_genes)
    assert (edges[0], edges[-1]) == (0, n_genes)
    assert (np.diff(edges) > 0).all()
    np.testing.assert_array_equal(n_genes - edges[::-1], edges)


def test_every_subset_of_a_bin_is_drawn_alike():
    # 3 of the bin's 6 places, and 1 of the 2 in the bin before it: 2 × 20 sets.
    state, words = np.array([3], dtype=np.uint64), np.zeros(1, dtype=np.uint64)
    edges, hits = np.array([0, 2, 8]), np.array([1, 3])
    seen = Counter()
    n_draws = 8000
    for _ in range(n_draws):
        _mark_draw(edges, hits, state, words)
        seen[tuple(_take_marked(words, 4))] += 1
    assert len(seen) == 2 * math.comb(6, 3)
    assert chisquare(list(seen.values())).pvalue > 1e-4
