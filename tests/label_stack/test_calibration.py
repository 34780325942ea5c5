import numpy as np
import pytest
from scipy.special import expit, log_softmax

from label_stack.calibration import Confidence, Judged, cross_fitted, folds_of, learn_confidence


def test_each_label_is_spread_over_the_folds():
    codes = np.repeat([0, 1, 2], [50, 11, 3])
    folds = folds_of(codes, np.random.default_rng(0).permutation(64).astype(np.uint64))
    for code, (least, most) in {0: (10, 10), 1: (2, 3), 2: (0, 1)}.items():
        sizes = np.bincount(folds[codes == code], minlength=5)
        assert sizes.min() == least
        assert sizes.max() == most


def test_a_cells_fold_ignores_where_it_stands():
    rng = np.random.default_rng(1)
    codes, keys, order = rng.integers(0, 3, 60), rng.permutation(60).astype(np.uint64), rng.permutation(60)
    assert (folds_of(codes[order], keys[order]) == folds_of(codes, keys)[order]).all()


def test_equal_cells_lie_in_one_fold():
    keys = np.array([7, 1, 7, 2, 3, 7], dtype=np.uint64)
    folds = folds_of(np.zeros(6, dtype=int), keys)
    assert len(set(folds[keys == 7].tolist())) == 1


def test_what_judges_a_cell_was_learned_without_its_fold():
    folds = np.array([0, 1, 0, 2, 1])
    values = np.array([1.0, 2, 3, 4, 5])
    found = cross_fitted(folds, lambda rows: values[rows].sum(), lambda total, rows: np.full((len(rows), 1), total))
    assert found[:, 0].tolist() == [11.0, 8.0, 11.0, 11.0, 8.0]


N_LABELS, N_EACH, N_UNITS = 20, 20, 50


def centroid_rule(z, codes):
    """Whitened centroids: they and the whitening know the cells that they were learned from."""
    centroids = np.stack([z[codes == label].mean(axis=0) for label in range(N_LABELS)])
    apart = z - centroids[codes]
    turn = np.linalg.cholesky(np.linalg.inv(apart.T @ apart / len(z) + 0.1 * np.eye(N_UNITS)))

    def says(cells):
        a, b = cells @ turn, centroids @ turn
        a, b = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (a, b))
        return log_softmax(a @ b.T / 0.1, axis=1)

    return says


def test_labels_without_a_signal_are_right_by_chance_alone_and_said_to_be():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(N_LABELS), N_EACH)
    z = rng.normal(size=(len(codes), N_UNITS))
    leaking = centroid_rule(z, codes)(z)
    assert (leaking.argmax(axis=1) == codes).mean() > 0.3  # the fault that cross-fitting is for
    folds = folds_of(codes, rng.permutation(len(codes)).astype(np.uint64))
    logs = cross_fitted(folds, lambda rows: centroid_rule(z[rows], codes[rows]), lambda says, rows: says(z[rows]))
    right = logs.argmax(axis=1) == codes
    assert right.mean() == pytest.approx(1 / N_LABELS, abs=0.035)
    odds = logs.max(axis=1) - np.log1p(-np.exp(logs.max(axis=1)))
    usual = np.zeros(len(codes))
    confidence = learn_confidence([Judged(odds, usual, right)], None)
    new = centroid_rule(z, codes)(rng.normal(size=(2000, N_UNITS)))
    new_odds = new.max(axis=1) - np.log1p(-np.exp(new.max(axis=1)))
    assert confidence.of(new_odds, np.zeros(2000)).mean() == pytest.approx(1 / N_LABELS, abs=0.04)


def judged(n, *, rng, shift=0.0):
    odds, far = rng.normal(2, 2, n), rng.gamma(1, 0.5, n)
    chance = expit(0.7 * odds - 1.0 * far + 0.3 + shift)
    return Judged(odds, far, rng.random(n) < chance), chance


def test_confidence_finds_planted_chances():
    part, chance = judged(20_000, rng=np.random.default_rng(3))
    found = learn_confidence([part], None).of(part.log_odds, part.strangeness)
    assert abs(found - chance).mean() < 0.01


def test_cells_whose_label_was_taken_away_teach_that_strange_cells_are_wrong():
    rng = np.random.default_rng(4)
    n = 2000
    known = Judged(rng.normal(6, 1, n), rng.normal(0, 0.5, n), np.ones(n, dtype=bool))
    unknown = Judged(rng.normal(6, 1, n), rng.normal(3, 0.5, n), np.zeros(n, dtype=bool))
    with_them, without = learn_confidence([known], unknown), learn_confidence([known], None)
    strange = np.array([6.0]), np.array([3.0])
    assert with_them.of(*strange)[0] < 0.5 < without.of(*strange)[0]


def test_no_confidence_is_certain_even_where_every_label_was_right():
    n = 100
    part = Judged(np.full(n, 10.0), np.zeros(n), np.ones(n, dtype=bool))
    assert learn_confidence([part], None).of(np.array([50.0]), np.array([0.0]))[0] < 1


def test_confidence_survives_json():
    confidence = Confidence(0.1, 0.2, 0.3, 0.4)
    assert Confidence.from_json(confidence.to_json()) == confidence
