"""Several methods' probabilities as one."""

import numpy as np
import pytest

from scprism.label.stacking import LEAST_PROBABILITY, ranked, stacked


def test_a_stack_is_the_scaled_product_of_powers():
    a, b = np.array([[0.7, 0.2, 0.1]]), np.array([[0.3, 0.6, 0.1]])
    product = a**0.5 * b**2
    assert np.exp(stacked([np.log(a), np.log(b)], [0.5, 2.0])) == pytest.approx(product / product.sum())


def test_no_method_rules_out_a_label_by_itself():
    with np.errstate(divide="ignore"):
        never = np.log(np.array([[1.0, 0.0]]))
    least = LEAST_PROBABILITY
    expected = np.array([[1.0 * 0.01, least * 0.99]])
    found = np.exp(stacked([never, np.log([[0.01, 0.99]])], [1, 1]))
    assert found == pytest.approx(expected / expected.sum())


def test_the_runner_up_and_the_margin():
    found = ranked(np.log([[0.1, 0.6, 0.3], [0.4, 0.4, 0.2]]))
    assert found.label.tolist() == [1, 0]
    assert found.runner_up.tolist() == [2, 1]
    assert found.probability == pytest.approx([0.6, 0.4])
    assert found.margin == pytest.approx([0.3, 0.0])


def test_one_label_alone_is_its_own_runner_up():
    found = ranked(np.zeros((2, 1)))
    assert found.runner_up.tolist() == [0, 0]
    assert found.margin.tolist() == [1.0, 1.0]
