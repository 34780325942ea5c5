"""From evidence to confidence, learned on cells that were judged without themselves."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax

from scprism.label.calibrate import Confidence, cross_fitted, fold_numbers, learn_calibration, log_odds_of
from scprism.label.evidence import Evidence


def test_each_label_is_spread_over_the_folds():
    codes = np.repeat([0, 1, 2], [50, 11, 3])
    folds = fold_numbers(codes, np.random.default_rng(0).permutation(64).astype(np.uint64), n_cells=64)
    for code, (least, most) in {0: (10, 10), 1: (2, 3), 2: (0, 1)}.items():
        sizes = np.bincount(folds[codes == code], minlength=5)
        assert (sizes.min(), sizes.max()) == (least, most)


def test_a_cells_fold_ignores_where_it_stands():
    rng = np.random.default_rng(1)
    codes, keys, order = rng.integers(0, 3, 60), rng.permutation(60).astype(np.uint64), rng.permutation(60)
    turned = fold_numbers(codes[order], keys[order], n_cells=60)
    assert (turned == fold_numbers(codes, keys, n_cells=60)[order]).all()


def test_equal_cells_lie_in_one_fold():
    keys = np.array([7, 1, 7, 2, 3, 7], dtype=np.uint64)
    folds = fold_numbers(np.zeros(6, dtype=int), keys, n_cells=6)
    assert len(set(folds[keys == 7].tolist())) == 1


def said(log_probabilities, scores=None):
    n = len(log_probabilities)
    scores = np.random.default_rng(0).normal(size=n) if scores is None else scores
    return Evidence(log_probabilities, scores[None], np.zeros(n), np.full(n, 1000.0))


def test_what_judges_a_cell_was_learned_without_its_fold():
    folds = np.array([0, 1, 0, 2, 1])
    values = np.array([1.0, 2, 3, 4, 5])

    def ask(total, rows):
        return Evidence(np.full((len(rows), 1), total), np.zeros((1, len(rows))), values[rows], values[rows])

    (found,) = cross_fitted(folds, lambda rows: values[rows].sum(), [ask])
    assert found.log_probabilities[:, 0].tolist() == [11.0, 8.0, 11.0, 11.0, 8.0]
    assert found.distance.tolist() == values.tolist()


def two_labels(odds):
    """Return log probabilities of two labels of which the first has these log odds."""
    return log_softmax(np.column_stack([odds, np.zeros(len(odds))]), axis=1)


def test_confidence_finds_planted_chances():
    rng = np.random.default_rng(3)
    odds, far = np.abs(rng.normal(2, 2, 20_000)), rng.gamma(1, 0.5, 20_000)
    far = (far - np.median(far)) / (np.quantile(far, 0.95) - np.median(far))
    chance = expit(0.7 * odds - 1.0 * far + 0.3)
    codes = np.where(rng.random(20_000) < chance, 0, 1)
    evidence = said(two_labels(odds), far)
    calls = learn_calibration([evidence], [], None, codes, n_labels=2).calls(evidence)
    assert (calls.best.label == 0).all()
    assert abs(calls.confidence - chance).mean() < 0.015


def test_cells_whose_label_was_taken_away_teach_that_strange_cells_are_wrong():
    rng = np.random.default_rng(4)
    n = 2000
    known = said(two_labels(rng.normal(6, 1, n)), rng.normal(0, 0.5, n))
    unknown = said(two_labels(rng.normal(6, 1, n)), rng.normal(3, 0.5, n))
    codes, strange = np.zeros(n, dtype=int), said(two_labels(np.array([6.0])), np.array([3.0]))
    found = [
        learn_calibration([known], [], other, codes, n_labels=2).calls(strange).confidence[0]
        for other in (unknown, None)
    ]
    assert found[0] < 0.5 < found[1]


def test_no_confidence_is_certain_even_where_every_label_was_right():
    evidence = said(two_labels(np.full(100, 10.0)))
    calibration = learn_calibration([evidence], [], None, np.zeros(100, dtype=int), n_labels=2)
    sure = said(two_labels(np.array([50.0])), np.zeros(1))
    assert calibration.calls(sure).confidence[0] < 1


def test_probabilities_are_as_sure_as_labels_are_right():
    """Evidence that is five times too sure is brought back."""
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, 6000)
    odds = rng.normal(size=(6000, 4))
    odds[np.arange(6000), codes] += 2
    evidence = said(log_softmax(5 * log_softmax(odds, axis=1), axis=1), np.zeros(6000))
    calls = learn_calibration([evidence], [], None, codes, n_labels=4).calls(evidence)
    right = calls.best.label == codes
    assert calls.confidence.mean() == pytest.approx(right.mean(), abs=0.02)
    assert np.exp(calls.log_probabilities).sum(axis=1) == pytest.approx(np.ones(6000))
    assert calls.best.probability.mean() == pytest.approx(right.mean(), abs=0.06)


def test_log_odds_are_of_the_label_against_all_others():
    assert log_odds_of(np.log([[0.8, 0.1, 0.1]]))[0] == pytest.approx(np.log(4))


def test_confidence_survives_json():
    confidence = Confidence(0.1, 0.2, 0.3, 0.4)
    assert Confidence.from_json(confidence.to_json()) == confidence
