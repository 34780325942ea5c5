"""How strange cells are, and how strange is usual."""

import numpy as np
import pytest
from scipy import sparse, stats

from scprism.label.evidence import Evidence
from scprism.label.novelty import DepthTrend, learn_depth_trend, learn_novelty
from scprism.label.profiles import PRIOR_MOLECULES, learn_profiles


def drawn(rates, n, *, depth, rng):
    share = rates / rates.sum()
    return sparse.csr_matrix(np.stack([rng.multinomial(depth, share) for _ in range(n)]).astype(np.float32))


@pytest.fixture
def types():
    rng = np.random.default_rng(0)
    return rng.gamma(0.5, 1, (3, 300))


def test_a_profile_is_the_labels_share_of_molecules_drawn_towards_that_of_all():
    counts = sparse.csr_matrix(np.array([[6.0, 4, 0], [0, 0, 10]], dtype=np.float32))
    profiles = learn_profiles(counts, np.array([0, 1]))
    common = np.array([6.5, 4.5, 10.5]) / 21.5
    expected = (np.array([6, 4, 0]) + PRIOR_MOLECULES * common) / (10 + PRIOR_MOLECULES)
    assert np.exp(profiles.log_share[:, 0]) == pytest.approx(expected, rel=1e-5)


def test_the_deviance_is_the_divergence_from_the_nearest_profile(types):
    rng = np.random.default_rng(1)
    counts = sparse.vstack([drawn(t, 20, depth=500, rng=rng) for t in types]).tocsr()
    profiles = learn_profiles(counts, np.repeat([0, 1, 2], 20))
    shares = np.exp(profiles.log_share.astype(float)).T
    cells = counts.toarray()
    expected = [min(stats.entropy(cell / cell.sum(), share) for share in shares) for cell in cells]
    assert profiles.deviance(counts) == pytest.approx(expected, rel=1e-4)


def test_with_fewer_genes_shares_are_taken_over_those(types):
    rng = np.random.default_rng(2)
    counts = drawn(types[0], 5, depth=500, rng=rng)
    profiles = learn_profiles(drawn(types[0], 50, depth=500, rng=rng), np.zeros(50, dtype=int))
    kept = rng.random(300) < 0.5
    share = np.exp(profiles.log_share[kept, 0].astype(float))
    cells = counts[:, kept].toarray()
    expected = [stats.entropy(cell / cell.sum(), share / share.sum()) for cell in cells]
    lacking = sparse.csr_matrix(counts @ sparse.diags(kept.astype(np.float32)))
    assert profiles.within(kept).deviance(lacking) == pytest.approx(expected, rel=1e-4)


def test_a_cell_without_molecules_deviates_from_nothing(types):
    profiles = learn_profiles(drawn(types[0], 5, depth=50, rng=np.random.default_rng(0)), np.zeros(5, dtype=int))
    assert profiles.deviance(sparse.csr_matrix((1, 300), dtype=np.float32)).tolist() == [0.0]


def test_depth_is_taken_out_of_the_deviance(types):
    rng = np.random.default_rng(3)
    profiles = learn_profiles(drawn(types[0], 200, depth=2000, rng=rng), np.zeros(200, dtype=int))
    depths = rng.integers(200, 4000, 300)
    cells = sparse.vstack([drawn(types[0], 1, depth=int(d), rng=rng) for d in depths]).tocsr()
    deviance, total = profiles.deviance(cells), depths.astype(float)
    apart = deviance - learn_depth_trend(deviance, total).of(total)
    assert stats.spearmanr(deviance, total).statistic < -0.9
    assert abs(stats.spearmanr(apart, total).statistic) < 0.2


def test_the_trend_is_the_parabola_and_level_outside_what_was_seen():
    total = np.exp(np.linspace(3, 8, 50))
    trend = learn_depth_trend(2 - np.log(total) + 0.1 * np.log(total) ** 2, total)
    assert trend.coefficients == pytest.approx((0.1, -1.0, 2.0))
    assert trend.of(np.array([np.exp(20.0)]))[0] == pytest.approx(2 - 8 + 6.4)
    assert trend.of(np.array([0.0]))[0] == pytest.approx(2 - 3 + 0.9)


def test_one_depth_alone_gives_a_level_trend():
    assert learn_depth_trend(np.array([1.0, 3.0]), np.array([100.0, 100.0])) == DepthTrend(
        pytest.approx((0.0, 0.0, 2.0)), pytest.approx(np.log(100)), pytest.approx(np.log(100))
    )


def said(scores, depth=None):
    """Return evidence with these scores, (scores, cells)."""
    n = scores.shape[1]
    return Evidence(np.zeros((n, 3)), scores, np.zeros(n), np.full(n, 1000.0) if depth is None else depth)


def test_p_values_of_the_references_own_kind_are_uniform():
    rng = np.random.default_rng(4)
    label = rng.integers(0, 3, 3000)
    scores = rng.normal(label, 1 + label, (2, 3000))
    novelty = learn_novelty([(said(scores[:, :1500]), label[:1500])], [], n_labels=3)
    p = novelty.p_values(novelty.strangeness(said(scores[:, 1500:]), label[1500:]))
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.02)
    for code in range(3):
        assert (p[label[1500:] == code] <= 0.05).mean() == pytest.approx(0.05, abs=0.035)


def test_a_p_value_is_the_share_at_least_as_strange_with_the_cell_itself():
    scores, label = np.array([[0.0, 1, 2, 3]]), np.zeros(4, dtype=int)
    novelty = learn_novelty([(said(scores), label)], [], n_labels=1)
    known = novelty.strangeness(said(scores), label)
    assert novelty.p_values(known).tolist() == pytest.approx([1.0, 0.8, 0.6, 0.4])
    assert novelty.p_values(known[-1:] + 1).tolist() == [0.2]


def test_platforms_that_move_all_cells_raise_what_is_usual():
    rng = np.random.default_rng(5)
    clean, moved = rng.normal(0, 1, (1, 500)), rng.normal(2, 1, (1, 500))
    label = np.zeros(500, dtype=int)
    alone = learn_novelty([(said(clean), label)], [], n_labels=1)
    both = learn_novelty([(said(clean), label), (said(moved), label)], [], n_labels=1)
    new = said(rng.normal(2, 1, (1, 500)))
    alarms = [(n.p_values(n.strangeness(new, label)) <= 0.05).mean() for n in (alone, both)]
    assert alarms[0] > 0.4
    assert alarms[1] == pytest.approx(0.05, abs=0.025)


def test_cells_of_fewer_molecules_are_not_strange_for_that():
    rng = np.random.default_rng(7)
    depth, label = np.exp(rng.uniform(4, 9, 2000)), np.zeros(2000, dtype=int)
    scores = (3 - 0.3 * np.log(depth) + rng.normal(0, 0.1, 2000))[None]
    novelty = learn_novelty([(said(scores[:, :1000], depth[:1000]), label[:1000])], [], n_labels=1)
    p = novelty.p_values(novelty.strangeness(said(scores[:, 1000:], depth[1000:]), label[1000:]))
    shallow = depth[1000:] < np.quantile(depth, 0.2)
    assert (p[shallow] <= 0.05).mean() < 0.1


def test_a_label_that_no_cell_was_given_is_judged_by_all():
    rng = np.random.default_rng(6)
    scores, label = said(rng.normal(size=(2, 400))), np.zeros(400, dtype=int)
    novelty = learn_novelty([(scores, label)], [], n_labels=2)
    as_other = novelty.strangeness(scores, np.ones(400, dtype=int))
    assert np.median(as_other) == pytest.approx(0, abs=0.1)
