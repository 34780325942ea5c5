"""Units are found where programs were planted, and only there."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr

from scprism.errors import InputError
from scprism.units.fitting import coherence, fit_units, gene_weights
from scprism.units.inference import activity
from scprism.units.record import UnitSettings


def test_each_planted_program_has_a_unit_of_its_own(planted, units, matched):
    values, shares, members = planted
    own, least_area = matched
    assert len(set(own.tolist())) == len(members)
    assert least_area > 0.95
    alike = spearmanr(activity(units, values)[:, own], shares).statistic[: len(own), len(own) :]
    assert np.diag(alike).min() > 0.8


def test_no_unit_comes_of_shuffled_genes(shuffled, settings):
    units = fit_units(shuffled, settings=settings, rng=0)
    assert units.names == ()
    assert units.n_dropped > 0
    assert activity(units, shuffled).shape == (shuffled.shape[0], 0)


def test_units_stand_in_the_order_of_their_replication(units):
    assert (np.diff(units.replication) <= 0).all()
    assert units.replication.min() >= units.settings.least_replication
    assert units.replication.max() <= 1


def test_ranges_hold_the_weights_and_are_above_zero_for_member_genes(planted, units, matched):
    assert (units.low <= units.programs).all()
    assert (units.programs <= units.high).all()
    for number, genes in zip(matched[0], planted[2], strict=True):
        assert (units.low[number][genes] > 0).mean() > 0.9
    assert (units.n_runs_found <= units.settings.runs).all()


def test_an_activity_of_one_is_the_top_hundredth(planted, units):
    np.testing.assert_allclose(np.quantile(activity(units, planted[0]), 0.99, axis=0), 1.0, rtol=1e-4)
    np.testing.assert_allclose(units.quantiles[:, -1], 1.0, rtol=1e-4)


def test_same_seed_gives_same_units_for_any_number_of_threads(planted, units, settings):
    again = fit_units(planted[0], settings=settings, rng=0, threads=2)
    np.testing.assert_array_equal(again.programs, units.programs)


def test_units_of_disjoint_cells_are_the_same(planted, settings):
    values = planted[0]
    one, other = (fit_units(values[half::2], settings=settings, rng=half) for half in (0, 1))
    alike = np.corrcoef(activity(one, values).T, activity(other, values).T)[: len(one.names), len(one.names) :]
    rows, columns = linear_sum_assignment(-alike)
    assert np.sort(alike[rows, columns])[::-1][: len(planted[2])].min() > 0.9


def test_a_number_of_units_keeps_the_best(planted, units, settings):
    best = fit_units(planted[0], n_units=2, settings=settings, rng=0)
    assert best.names == ("U01", "U02")
    np.testing.assert_array_equal(best.replication, units.replication[:2])
    assert best.n_dropped == units.n_dropped + len(units.names) - 2


def test_a_run_sees_no_more_cells_than_allowed(planted, monkeypatch):
    seen = []
    from scprism.units import fitting

    original = fitting._factorised
    monkeypatch.setattr(fitting, "_factorised", lambda x, *rest: seen.append(x.shape[0]) or original(x, *rest))
    fit_units(planted[0], settings=UnitSettings(runs=4, ranks=(4,), max_cells=150, max_iterations=20), rng=0)
    assert sorted(seen) == [150, 150, 150, 150, 150, 300]  # one of them on shuffled genes


def test_weights_follow_the_power_of_the_mean():
    values = sparse.csr_matrix(np.array([[4.0, 1.0, 0.0], [4.0, 0.0, 0.0]]))
    np.testing.assert_allclose(gene_weights(values, power=1.0), [0.5, np.sqrt(2), 0.0], rtol=1e-6)
    np.testing.assert_allclose(gene_weights(values, power=0.0), [1.0, 1.0, 0.0])


def test_genes_that_move_together_cohere_and_one_gene_does_not():
    generator = np.random.default_rng(0)
    common = generator.gamma(1.0, 1.0, 500)
    together = common[:, None] + 0.2 * generator.random((500, 6))
    alone = generator.gamma(1.0, 1.0, (500, 6))
    programs = np.zeros((2, 12))
    programs[0, :6], programs[1, 6:] = 1.0, 1.0
    found = coherence(programs, sparse.csr_matrix(np.hstack([together, alone])))
    assert found[0] > 0.95
    assert abs(found[1]) < 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda v: -v, "not negative", id="negative"),
        pytest.param(lambda v: v * np.inf, "finite", id="infinite"),
        pytest.param(lambda v: v[:50], "at least 80 cells", id="few cells"),
    ],
)
def test_values_that_cannot_be_used_are_refused(planted, settings, change, message):
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match=message):
        fit_units(change(planted[0]), settings=settings, rng=0)


@pytest.mark.parametrize("runs", [2, 5])
def test_runs_must_be_even_and_enough(runs):
    with pytest.raises(InputError, match="even number"):
        UnitSettings(runs=runs)


@pytest.mark.parametrize("ranks", [(), (1, 5)])
def test_ranks_must_be_numbers_of_programs(ranks):
    with pytest.raises(InputError, match="`ranks` must be"):
        UnitSettings(ranks=ranks)


@pytest.mark.parametrize("n_units", [0, "all"])
def test_number_of_units_is_checked(planted, settings, n_units):
    with pytest.raises(InputError, match="n_units"):
        fit_units(planted[0], n_units=n_units, settings=settings, rng=0)
