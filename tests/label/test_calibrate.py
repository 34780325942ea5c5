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


def confidence(calibration, evidence):
    calls = calibration.calls(evidence)
    return calibration.trust(calls.best.label, calls.log_odds, calls.strangeness).confidence


def test_confidence_finds_planted_chances():
    rng = np.random.default_rng(3)
    odds, strange = np.abs(rng.normal(2, 2, 20_000)), rng.gamma(1, 0.5, 20_000)
    middle, high = np.quantile(strange, [0.5, 0.95])
    chance = expit(0.7 * odds - 2.0 * np.maximum((strange - high) / (high - middle), 0) + 0.3)
    codes = np.where(rng.random(20_000) < chance, 0, 1)
    evidence = said(two_labels(odds), strange)
    calibration = learn_calibration([evidence], [], codes, n_labels=2)
    assert (calibration.calls(evidence).best.label == 0).all()
    assert calibration.accuracy == (codes == 0).mean()
    assert abs(confidence(calibration, evidence) - chance).mean() < 0.015
    assert calibration.confidence.beyond == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("wrong", ["strange", "usual"])
def test_a_stranger_or_less_sure_cell_is_never_more_trusted(wrong):
    """Even where the strange cells, or the unsure ones, happened to be the right ones."""
    rng = np.random.default_rng(4)
    odds, strange = rng.normal(3, 1, 2000), rng.gamma(1, 1, 2000)
    is_wrong = (strange > 2) if wrong == "strange" else (strange < 2) & (odds > 3)
    calibration = learn_calibration([said(two_labels(odds), strange)], [], is_wrong.astype(int), n_labels=2)
    asked = said(two_labels(np.repeat([1.0, 2.0, 4.0], 200)), np.tile(np.linspace(0, 9, 200), 3))
    found = confidence(calibration, asked).reshape(3, 200)
    assert (np.diff(found, axis=0) >= -1e-12).all()
    assert (np.diff(found, axis=1) <= 1e-12).all()


def test_a_cell_beyond_all_that_is_known_is_not_trusted_where_every_known_label_was_right():
    rng = np.random.default_rng(4)
    calibration = learn_calibration(
        [said(two_labels(rng.normal(6, 1, 500)), rng.normal(0, 1, 500))], [], np.zeros(500, dtype=int), n_labels=2
    )
    values = np.append(rng.normal(0, 1, 200), 40.0)
    found = confidence(calibration, said(two_labels(np.full(201, 6.0)), values))
    assert found[-1] < 0.5 < 0.95 < np.median(found[:-1])


def test_no_confidence_is_certain_even_where_every_label_was_right():
    evidence = said(two_labels(np.full(100, 10.0)))
    calibration = learn_calibration([evidence], [], np.zeros(100, dtype=int), n_labels=2)
    sure = said(two_labels(np.array([50.0])), np.zeros(1))
    assert confidence(calibration, sure)[0] < 1


def test_probabilities_are_as_sure_as_labels_are_right():
    """Evidence that is five times too sure is brought back."""
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, 6000)
    odds = rng.normal(size=(6000, 4))
    odds[np.arange(6000), codes] += 2
    evidence = said(log_softmax(5 * log_softmax(odds, axis=1), axis=1), np.zeros(6000))
    calibration = learn_calibration([evidence], [], codes, n_labels=4)
    calls = calibration.calls(evidence)
    right = calls.best.label == codes
    assert confidence(calibration, evidence).mean() == pytest.approx(right.mean(), abs=0.02)
    assert np.exp(calls.log_probabilities).sum(axis=1) == pytest.approx(np.ones(6000))
    assert calls.best.probability.mean() == pytest.approx(right.mean(), abs=0.06)


def test_log_odds_are_of_the_label_against_all_others():
    assert log_odds_of(np.log([[0.8, 0.1, 0.1]]))[0] == pytest.approx(np.log(4))


def test_confidence_survives_json():
    confidence = Confidence(0.1, 0.2, 0.3)
    assert Confidence.from_json(confidence.to_json()) == confidence
