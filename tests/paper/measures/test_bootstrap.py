import numpy as np
import pytest

from scprism.paper.measures.resampling import difference_of_means, mean_with_interval


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
