"""From agreement and distances to the probability that a label is right."""

import numpy as np
import pytest
from scipy.special import expit

from scprism.label.calibrate import Calibration, Evidence, fold_numbers, joined_evidence, learn_calibration
from scprism.paper.measures.calibration import calibration_error

PLAIN = Calibration(
    distance_scale=(0.0, 1.0),
    deviation_scale=(0.0, 1.0),
    novel_above=1.5,
    intercept=0.0,
    share=1.0,
    distance=0.0,
    far_distance=-2.0,
)


def evidence(share, distance, deviation=None):
    distance = np.asarray(distance, dtype=float)
    return Evidence(
        np.asarray(share, dtype=float), 15, distance, distance if deviation is None else np.array(deviation)
    )


def test_confidence_by_hand():
    # log odds of the share with half a neighbour added to either side: 15 of 15, 12 of 15; distance 3 is 2 beyond 1
    found = PLAIN.confidence(evidence([1.0, 0.8, 1.0], [0.0, 1.0, 3.0]))
    np.testing.assert_allclose(found, expit([np.log(31), np.log(12.5 / 3.5), np.log(31) - 4]))


def test_relative_distance_is_the_mean_of_both_distances_on_their_scales():
    calibration = Calibration((1.0, 2.0), (0.0, 0.5), 1.5, 0.0, 0.0, 0.0, 0.0)
    assert calibration.relative_distance(evidence([1.0], [5.0], [0.5])).tolist() == [(2.0 + 1.0) / 2]
    assert calibration.novel(evidence([1.0, 1.0], [5.0, 5.1], [0.5, 0.5])).tolist() == [False, True]


def planted(rng, n, shift=0.0):
    """Evidence whose labels are right with a known probability."""
    share, distance = rng.integers(5, 16, size=n) / 15, rng.normal(shift, 1, size=n)
    e = evidence(share, distance)
    chance = expit(1.2 * np.log((share * 15 + 0.5) / (15.5 - share * 15)) - 0.8 * distance)
    return e, rng.random(n) < chance, chance


def test_planted_probabilities_are_found(rng):
    clean, right, _ = planted(rng, 4000)
    foreign, foreign_right, _ = planted(rng, 4000, shift=1.0)
    calibration = learn_calibration((clean, right), [(foreign, foreign_right)], None)
    fresh, fresh_right, chance = planted(rng, 4000, shift=0.5)
    confidence = calibration.confidence(fresh)
    assert np.abs(confidence - chance).mean() < 0.03
    of_share = calibration_error(fresh.share, fresh_right)  # the share itself is no probability
    assert calibration_error(confidence, fresh_right) < min(0.03, of_share / 2)


def test_far_cells_lose_confidence_even_if_every_label_was_right(rng):
    e = evidence(np.ones(500), rng.normal(size=500))
    calibration = learn_calibration((e, np.ones(500, dtype=bool)), [], None)
    near, far = calibration.confidence(evidence([1.0, 1.0], [0.0, 20.0]))
    assert near > 0.95
    assert far < near


def test_cells_without_their_type_lower_the_confidence_of_far_cells(rng):
    e, right, _ = planted(rng, 2000)
    unknown = evidence(np.ones(2000), rng.normal(6, 1, size=2000))
    with_unknown = learn_calibration((e, right), [], unknown)
    without = learn_calibration((e, right), [], None)
    far = evidence([1.0], [6.0])
    assert with_unknown.confidence(far)[0] < 0.2 < without.confidence(far)[0]


def test_one_in_twenty_of_new_cells_of_the_same_kind_is_novel(rng):
    alarms = []
    for _ in range(200):
        e = evidence(np.ones(100), rng.normal(size=100))
        calibration = learn_calibration((e, np.ones(100, dtype=bool)), [], None)
        alarms.append(calibration.novel(evidence(np.ones(100), rng.normal(size=100))).mean())
    # split conformal: at most 0.05 on average, at least 0.05 − 1/101; the standard error of the mean is 0.002
    assert 0.05 - 1 / 101 - 0.006 < np.mean(alarms) < 0.05 + 0.006


def test_every_way_of_making_cells_foreign_counts_as_much_as_the_cells_as_they_are():
    near = np.linspace(-1, 1, 100)
    shifted = np.where(np.arange(100) < 9, 50.0, near)  # 9 of 100 lie far out in each of three copies: 27 of 400 in all
    as_is, copy = evidence(np.ones(100), near), evidence(np.ones(100), shifted)
    right = np.ones(100, dtype=bool)
    calibration = learn_calibration((as_is, right), [(copy, right)] * 3, None)
    assert calibration.novel_above == pytest.approx(calibration.relative_distance(copy).max())
    assert not calibration.novel(copy).any()


def test_a_calibration_comes_back_from_json():
    assert (
        Calibration.from_json({k: list(v) if isinstance(v, tuple) else v for k, v in PLAIN.to_json().items()}) == PLAIN
    )


@pytest.mark.parametrize(
    ("confidence", "right", "error"),
    [
        ([0.9, 0.9], [True, False], 0.4),
        ([0.25, 0.75], [False, True], 0.25),
        ([1.0, 1.0], [True, True], 0.0),
        ([], [], 0),
    ],
)
def test_calibration_error_by_hand(confidence, right, error):
    assert calibration_error(np.array(confidence), np.array(right, dtype=bool)) == pytest.approx(error)


def test_cells_without_their_type_count_a_twentieth():
    """Where their evidence is that of right cells, 20 of 21 are right by weight, whatever else is learned."""
    alike = evidence(np.ones(2000), np.tile([-1.0, 1.0], 1000))
    calibration = learn_calibration((alike, np.ones(2000, dtype=bool)), [], alike)
    assert calibration.confidence(alike).mean() == pytest.approx(1 / 1.05, abs=0.002)


def test_each_fold_has_as_many_cells_of_a_label_and_leaves_out_a_twentieth_of_a_reference():
    codes = np.repeat([0, 1, 2], [40, 20, 3])
    folds = fold_numbers(codes, n_cells=63)
    assert np.unique(folds).tolist() == list(range(10))
    counts = np.array([np.bincount(folds[codes == label], minlength=10) for label in range(3)])
    assert (counts.max(axis=1) - counts.min(axis=1)).tolist() == [0, 0, 1]
    assert fold_numbers(codes, n_cells=63 * 5).max() == 3
    assert fold_numbers(codes, n_cells=10**6).max() == 1  # never judged with all others of the sample in place


def test_evidence_of_parts_comes_back_in_the_order_of_the_cells():
    parts = [evidence([0.1, 0.4], [1.0, 4.0], [10.0, 40.0]), evidence([0.2, 0.3], [2.0, 3.0], [20.0, 30.0])]
    joined = joined_evidence(parts, [np.array([0, 3]), np.array([1, 2])])
    assert joined.share.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert (joined.log_distance.tolist(), joined.log_deviation.tolist()) == ([1, 2, 3, 4], [10, 20, 30, 40])
