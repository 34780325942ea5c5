import numpy as np
import pytest
from scipy import stats

from scprism.paper.measures.bootstrap import difference_of_means, mean_with_interval, paired


def test_the_interval_of_many_normal_values_is_that_of_their_standard_error(rng):
    values = rng.normal(3.0, 2.0, size=400)
    mean, (low, high) = mean_with_interval(values)
    error = values.std() / 20
    assert mean == values.mean()
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.05 * error * 1.96)


def test_the_interval_of_a_difference_has_both_errors(rng):
    first, second = rng.normal(0.0, 3.0, size=300), rng.normal(1.0, 4.0, size=300)
    mean, (low, high) = difference_of_means(first, second)
    error = np.hypot(first.std(), second.std()) / np.sqrt(300)
    assert mean == pytest.approx(second.mean() - first.mean())
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_missing_values_are_left_out():
    assert mean_with_interval(np.array([np.nan, 2.0])) == (2.0, (2.0, 2.0))


def test_nothing_has_no_mean():
    assert np.isnan(mean_with_interval(np.array([np.nan]))[0])


def test_the_interval_is_scipy_s_percentile_bootstrap():
    values = np.random.default_rng(1).normal(0.1, 0.2, size=25)
    found = paired(values)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.005)
    assert found.p_value == stats.wilcoxon(values).pvalue
    assert found.n_above == (values > 0).sum()


@pytest.mark.parametrize(
    ("values", "p_value"),
    [
        pytest.param([1.0, 2.0, 3.0, 4.0, 5.0], np.nan, id="five: 2 / 2**5 is the least p there can be"),
        pytest.param([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2 / 2**6, id="six"),
        pytest.param([1.0, 2.0, 3.0, 4.0, 5.0, 0.0], np.nan, id="five that are not 0"),
    ],
)
def test_pairs_are_tested_only_where_the_test_could_say_something(values, p_value):
    assert paired(np.array(values)).p_value == pytest.approx(p_value, nan_ok=True)


def test_one_value_is_its_own_interval():
    assert mean_with_interval(np.array([2.5])) == (2.5, (2.5, 2.5))
    assert difference_of_means(np.array([1.0]), np.array([2.0, 4.0]))[0] == 2.0
    assert paired(np.array([0.3])).text == "0.300 [0.300, 0.300], above 0 in 1 of 1"


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        pytest.param([0.1, 0.2, 0.3, 0.2, 0.1], "holds", id="all above"),
        pytest.param([-0.1, -0.2, -0.3, -0.2, -0.1], "does not hold", id="all below"),
        pytest.param([0.3, -0.3, 0.2, -0.2, 0.1], "not shown", id="either"),
        pytest.param([-0.1, -0.2], "not shown", id="too few"),
        pytest.param([np.nan], "no data", id="none"),
    ],
)
def test_a_claim_holds_where_the_whole_interval_says_so(values, outcome):
    assert paired(np.array(values)).outcome() == outcome


def test_within_the_margin_is_as_good():
    slightly_below = paired(np.full(6, -0.005))
    assert slightly_below.outcome() == "does not hold"
    assert slightly_below.outcome(margin=0.01) == "holds"
