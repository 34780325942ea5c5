"""Small p-values, against all sets, exact counts of lattice paths, and the number of sets."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from scprism.enrichment import small_p
from scprism.enrichment.kernels import SetMembers, set_scores, walk
from scprism.enrichment.permutation import NullSummary, observed_scores
from scprism.enrichment.rankings import rank_genes
from scprism.enrichment.small_p import SmallP, log_tail, resolved

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
    sets = all_sets(5)
    scores = set_scores(place_of, weights[None, :], sets, one_sided=one_sided)[0][0]
    for quantile in (0.99, 0.999, 1.0):
        score = np.quantile(scores, quantile, method="higher")
        places = sets.genes.reshape(-1, 5)[np.argmax(scores == score)]
        exact = (scores >= score - 1e-12).mean()
        estimates = [log_tail(weights, places, one_sided=one_sided, seed=seed) for seed in range(3)]
        assert all(estimate.error <= 0.1 for estimate in estimates)
        # Three estimates, each with a standard error of at most a tenth; four standard errors of their mean.
        ratios = [math.exp(estimate.log_p) / exact for estimate in estimates]
        assert np.mean(ratios) == pytest.approx(1.0, abs=4 * 0.1 / math.sqrt(3))


def log_share_of_paths(n_genes, n_hits, score):
    """Return the log share of sets whose unweighted running sum reaches `score`, counted path by path.

    After h hits and m misses the sum is h / hits - m / misses; w[h] counts the ways there that never reached the score.
    """
    n_misses = n_genes - n_hits
    ways = np.zeros(n_hits + 1, dtype=object)
    for m in range(n_misses + 1):
        for h in range(n_hits + 1):
            ways[h] = 1 if h == m == 0 else ways[h] * (m > 0) + (ways[h - 1] if h else 0)
            if h / n_hits - m / n_misses >= score - 1e-12:
                ways[h] = 0
    total = math.comb(n_genes, n_hits)
    return math.log(total - ways[n_hits]) - math.log(total)


@pytest.mark.parametrize(
    ("n_genes", "n_hits", "n_swapped"), [(300, 20, 8), (300, 20, 3), (300, 20, 1), (120, 60, 15), (1000, 30, 12)]
)
def test_unweighted_tail_equals_the_share_of_lattice_paths_to_1e_40_and_below(n_genes, n_hits, n_swapped):
    # The highest places, but the last few of them spread over the ranking.
    kept = n_hits - n_swapped
    spread = np.linspace(n_hits + 5, n_genes - 10, n_swapped).astype(np.int32)
    places = np.concatenate([np.arange(kept, dtype=np.int32), spread])
    score = walk(np.ones(n_genes), places, True)[0]
    exact = log_share_of_paths(n_genes, n_hits, score)
    tails = [log_tail(np.ones(n_genes), places, one_sided=True, seed=seed) for seed in range(4)]
    for tail in tails:
        assert tail.error < small_p.WORST_ERROR
        assert tail.log_p == pytest.approx(exact, abs=4 * tail.error)
    error = np.mean([tail.error for tail in tails])
    assert np.mean([tail.log_p for tail in tails]) == pytest.approx(exact, abs=4 * error / 2)


@pytest.mark.parametrize(("n_genes", "n_hits"), [(60, 12), (1858, 20), (1858, 100), (20_000, 500)])
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_tail_of_the_best_possible_set_is_one_over_the_number_of_sets(n_genes, n_hits, weight):
    weights = np.abs(np.linspace(1, -1, n_genes) + 1e-9) ** weight
    tail = log_tail(weights, np.arange(n_hits, dtype=np.int32), one_sided=False, seed=0)
    exact = math.lgamma(n_hits + 1) + math.lgamma(n_genes - n_hits + 1) - math.lgamma(n_genes + 1)
    assert tail == pytest.approx((exact, 0.0))


def test_next_best_sets_are_counted_exactly():
    # One miss before the last hit: of C(60, 12) sets the best, and those with places 0 to 12 but one of the first 12.
    places = np.array([*range(11), 12], dtype=np.int32)
    tail = log_tail(np.ones(60), places, one_sided=False, seed=0)
    assert tail.log_p == pytest.approx(math.log(13 / math.comb(60, 12)), abs=0.3)


def test_hits_without_weight_leave_more_than_one_best_set():
    # All weight is in the first 5 places: sets with the first 1 to 5 of them and any others.
    weights = np.where(np.arange(60) < 5, 1.0, 1e-20)
    tail = log_tail(weights, np.arange(12, dtype=np.int32), one_sided=True, seed=0)
    assert tail.log_p == pytest.approx(math.log(sum(math.comb(55, k) for k in range(7, 12)) / math.comb(60, 12)))


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0, 3.0, 4.0, 5.0])
@pytest.mark.parametrize(("n_genes", "n_hits"), [(1858, 150), (1858, 20)])
def test_seeds_agree_within_the_stated_error(n_genes, n_hits, shift):
    values = np.random.default_rng(0).standard_normal(n_genes)
    values[:n_hits] += shift
    order = np.argsort(-values, kind="stable")
    places = np.flatnonzero(order < n_hits).astype(np.int32)
    tails = [log_tail(np.abs(values[order]), places, one_sided=False, seed=seed) for seed in range(6)]
    errors = np.array([tail.error for tail in tails])
    assert (errors < 0.2).all()
    # The spread of six estimates is within a factor 2 of what they state (chi-squared of 5 degrees: .9998 at 24).
    assert np.std([tail.log_p for tail in tails], ddof=1) < 2.2 * np.sqrt((errors**2).mean())


def ranked(values):
    genes = [f"g{k:04d}" for k in range(len(values))]
    return rank_genes(pd.DataFrame([values], columns=genes), weight=1.0), genes


def one_set(members):
    return SetMembers(np.asarray(members, dtype=np.int32), np.array([0, len(members)]))


def summary(*, n_same, n_extreme, n_draws=1000):
    counts = (np.array([[n]]) for n in (n_same, n_extreme))
    n_same, n_extreme = counts
    return NullSummary(n_same, 0.5 * n_same, n_extreme, n_draws)


@pytest.fixture
def strong():
    """A ranking, a set that is high in it, and its score."""
    values = np.random.default_rng(0).standard_normal(600)
    values[:30] += 1.5
    rankings, _ = ranked(values)
    scores, _ = observed_scores(rankings, one_set(range(30)), one_sided=False, threads=1)
    return rankings, one_set(range(30)), scores


def p_values_of(strong, null, **options):
    rankings, sets, scores = strong
    rng = np.random.default_rng(0)
    return resolved(rankings, sets, scores, null=null, one_sided=False, rng=rng, threads=1, **options)


def test_tail_is_divided_by_the_share_of_random_sets_of_its_sign(strong):
    few, many = (p_values_of(strong, summary(n_same=n, n_extreme=0)) for n in (99, 999))
    assert few.p_values[0, 0] / many.p_values[0, 0] == pytest.approx(10, rel=1e-9)
    rankings, sets, _ = strong
    places = np.sort(rankings.place_of[0, sets.genes])
    tail = log_tail(rankings.weights[0], places, one_sided=False, seed=5)
    assert np.log(many.p_values[0, 0]) == pytest.approx(tail.log_p + np.log(1001 / 1000), abs=0.5)
    # The share rests on 100 sets or 1,000, and its error is part of the stated one.
    assert few.log_errors[0, 0] ** 2 - many.log_errors[0, 0] ** 2 == pytest.approx(
        0.9 / 100 - 1 / 1001 / 1000, abs=1e-4
    )


@pytest.mark.parametrize("tail", [SmallP(-700.0, math.inf), SmallP(-math.inf, math.inf), SmallP(-50.0, 0.6)])
def test_a_tail_that_cannot_be_told_leaves_the_count_as_a_bound(strong, monkeypatch, tail):
    monkeypatch.setattr(small_p, "log_tail", lambda *_, **__: tail)
    found = p_values_of(strong, summary(n_same=499, n_extreme=0))
    assert (found.p_values[0, 0], found.are_bounds[0, 0]) == (1 / 500, True)


def test_a_p_value_below_the_smallest_number_is_a_bound(strong, monkeypatch):
    monkeypatch.setattr(small_p, "log_tail", lambda *_, **__: SmallP(-1000.0, 0.0))
    found = p_values_of(strong, summary(n_same=499, n_extreme=0))
    assert (found.p_values[0, 0], found.are_bounds[0, 0]) == (np.finfo(float).tiny, True)


def test_counts_are_kept_where_ten_random_sets_are_as_extreme(strong):
    found = p_values_of(strong, summary(n_same=499, n_extreme=10))
    assert found.p_values[0, 0] == 11 / 500
    assert found.log_errors[0, 0] == pytest.approx(np.sqrt((1 - 11 / 500) / 11))
    assert not found.are_bounds[0, 0]
    assert p_values_of(strong, summary(n_same=499, n_extreme=9)).p_values[0, 0] < 1e-6


def test_the_tail_of_a_low_set_is_that_of_the_turned_ranking():
    values = np.random.default_rng(1).standard_normal(600)
    values[:30] -= 1.5
    found = []
    for turned in (values, -values):
        rankings, _ = ranked(turned)
        scores, _ = observed_scores(rankings, one_set(range(30)), one_sided=False, threads=1)
        found.append(p_values_of((rankings, one_set(range(30)), scores), summary(n_same=500, n_extreme=0)))
    assert found[0].p_values[0, 0] < 1e-6
    np.testing.assert_allclose(np.log(found[0].p_values), np.log(found[1].p_values), atol=4 * 0.14)


def test_an_estimate_far_below_that_of_the_likeliest_place_is_not_trusted(monkeypatch):
    weights, places = np.ones(300), np.array([*range(12), 60, 100, 150, 200, 250, 280, 290, 295], dtype=np.int32)
    assert log_tail(weights, places, one_sided=True, seed=0).error < 0.2
    crossing = small_p.crossing_places

    def claimed(*arguments):
        return crossing(*arguments)[0], crossing(*arguments)[1] + 5.0

    monkeypatch.setattr(small_p, "crossing_places", claimed)
    assert log_tail(weights, places, one_sided=True, seed=0).error == math.inf
