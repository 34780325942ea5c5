import numpy as np
import pytest
from scipy.special import log_softmax

from label_stack.stacking import LEAST_PROBABILITY, learn_weights, ranked, stacked


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


def said(codes, *, signal, rng, n_labels=4):
    odds = rng.normal(size=(len(codes), n_labels))
    odds[np.arange(len(codes)), codes] += signal
    return log_softmax(odds, axis=1)


def test_the_method_that_knows_more_has_the_greater_weight_and_one_that_knows_nothing_none():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 3000)
    logs = [said(codes, signal=s, rng=rng) for s in (0.0, 1.0, 2.0)]
    weights = learn_weights(logs, codes, cells=np.ones(3000))
    assert weights[0] < 0.1 < weights[1] < weights[2]


def test_a_stack_by_learned_weights_is_as_sure_as_it_is_right():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, 8000)
    logs = [said(codes, signal=2.0, rng=rng) * 5 for _ in range(2)]  # five times too sure
    weights = learn_weights([log[:4000] for log in logs], codes[:4000], cells=np.ones(4000))
    found = stacked([log[4000:] for log in logs], weights)
    right = found.argmax(axis=1) == codes[4000:]
    assert np.exp(found.max(axis=1)).mean() == pytest.approx(right.mean(), abs=0.015)


def test_a_few_cells_leave_the_weights_near_where_they_start():
    rng = np.random.default_rng(2)
    codes = np.array([0, 1])
    weights = learn_weights([said(codes, signal=s, rng=rng) for s in (0.0, 3.0)], codes, cells=np.ones(2))
    assert weights == pytest.approx([0.5, 0.5], abs=0.15)


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
