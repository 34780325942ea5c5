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
    p = novelty.compared(novelty.strangeness(said(scores[:, 1500:]), label[1500:]), label[1500:])[0]
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.02)
    for code in range(3):
        assert (p[label[1500:] == code] <= 0.05).mean() == pytest.approx(0.05, abs=0.035)


def test_a_p_value_is_the_share_at_least_as_strange_with_the_cell_itself():
    scores, label = np.array([[0.0, 1, 2, 3]]), np.zeros(4, dtype=int)
    novelty = learn_novelty([(said(scores), label)], [], n_labels=1)
    known = novelty.strangeness(said(scores), label)
    assert novelty.compared(known, label)[0].tolist() == pytest.approx([1.0, 0.8, 0.6, 0.4])
    assert novelty.compared(known[-1:] + 1, label[:1])[0].tolist() == [0.2]


def test_how_far_a_cell_lies_beyond_counts_from_the_95th_percentile():
    known, label = np.arange(101.0), np.zeros(101, dtype=int)
    novelty = learn_novelty([(said(known[None]), label)], [], n_labels=1)
    at = novelty.strangeness(said(np.array([[50.0, 95.0, 140.0, 185.0]])), np.zeros(4, dtype=int))
    assert novelty.compared(at, np.zeros(4, dtype=int))[1] == pytest.approx([0, 0, 1, 2])


def on_platforms(rng, *, shifts=(0.0, 1.0, 3.0), n=1000):
    """Return novelty learned on cells that one score tells of, as they are and moved by platforms."""
    label = np.arange(n) % 2
    return learn_novelty([(said(rng.normal(shift, 1, (1, n))), label) for shift in shifts], [], n_labels=2)


def novel(novelty, values, label):
    p, _ = novelty.compared(novelty.strangeness(said(values[None]), label), label)
    return p <= 0.05


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.0, 2.0, 3.0])
def test_alarms_are_as_usual_however_far_the_platform_moves_the_query(shift):
    rng = np.random.default_rng(5)
    label = np.arange(1000) % 2
    alarms = novel(on_platforms(rng), rng.normal(shift, 1, 1000), label)
    assert alarms.mean() == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_cells_of_a_new_type_are_novel_among_cells_of_that_platform(shift):
    rng = np.random.default_rng(5)
    label, is_new = np.arange(1000) % 2, np.arange(1000) % 4 == 0
    found = novel(on_platforms(rng), rng.normal(shift + 5 * is_new, 1), label)
    assert found[is_new].mean() > 0.95
    assert found[~is_new].mean() < 0.08


def test_a_label_that_the_platform_moves_farther_is_judged_by_its_own_cells():
    rng = np.random.default_rng(5)
    label = np.arange(1000) % 2
    alarms = novel(on_platforms(rng), rng.normal(3 * label, 1), label)
    assert alarms[label == 1].mean() < 0.08


def test_a_query_of_new_cells_alone_is_judged_by_the_farthest_platform_and_said_to_lie_outside():
    rng = np.random.default_rng(5)
    novelty, label = on_platforms(rng), np.zeros(500, dtype=int)
    for shift, share, is_outside in ((3.2, 0.05, True), (9.0, 1.0, True), (2.5, 0.05, False)):
        values = rng.normal(shift, 1, 500)
        assert novel(novelty, values, label).mean() == pytest.approx(share, abs=0.05)
        assert novelty.lies_outside(novelty.strangeness(said(values[None]), label)) is is_outside


def test_of_a_cell_alone_nothing_is_known_but_that_it_may_be_of_the_farthest_platform():
    novelty, label = on_platforms(np.random.default_rng(5)), np.zeros(1, dtype=int)
    assert not novel(novelty, np.array([3.0]), label)[0]
    assert novel(novelty, np.array([6.0]), label)[0]


def test_novelty_ignores_the_order_of_the_cells():
    rng = np.random.default_rng(5)
    novelty, label, values = on_platforms(rng), np.arange(300) % 2, rng.normal(0.7, 2, 300)
    order = rng.permutation(300)
    whole = novelty.compared(values, label)
    turned = novelty.compared(values[order], label[order])
    for a, b in zip(whole, turned, strict=True):
        assert (a[order] == b).all()


def test_cells_of_fewer_molecules_are_not_strange_for_that():
    rng = np.random.default_rng(7)
    depth, label = np.exp(rng.uniform(4, 9, 2000)), np.zeros(2000, dtype=int)
    scores = (3 - 0.3 * np.log(depth) + rng.normal(0, 0.1, 2000))[None]
    novelty = learn_novelty([(said(scores[:, :1000], depth[:1000]), label[:1000])], [], n_labels=1)
    p = novelty.compared(novelty.strangeness(said(scores[:, 1000:], depth[1000:]), label[1000:]), label[1000:])[0]
    shallow = depth[1000:] < np.quantile(depth, 0.2)
    assert (p[shallow] <= 0.05).mean() < 0.1


def test_a_label_that_no_cell_was_given_is_judged_by_all():
    rng = np.random.default_rng(6)
    scores, label = said(rng.normal(size=(2, 400))), np.zeros(400, dtype=int)
    novelty = learn_novelty([(scores, label)], [], n_labels=2)
    as_other = novelty.strangeness(scores, np.ones(400, dtype=int))
    assert np.median(as_other) == pytest.approx(0, abs=0.1)
