"""Small p-values, against all sets, exact counts of lattice paths, and the number of sets."""

import itertools
import math

import numpy as np
import pytest

from scprism.enrichment.kernels import SetMembers, set_scores, walk
from scprism.enrichment.small_p import log_tail

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
        assert tail.error < 0.25
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
