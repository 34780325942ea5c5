"""From votes and distances to the probability that a label is right."""

import numpy as np
import pytest
from scipy.special import expit

from scprism.label.calibrate import Calibration, Evidence, learn_calibration
from scprism.paper.measures.calibration import calibration_error

PLAIN = Calibration(
    distance=(0.0, 1.0), deviation=(0.0, 1.0), novel_above=1.5, intercept=0.0, votes=1.0, farness=0.0, far=-2.0
)


def evidence(votes, distance, deviation=None):
    distance = np.asarray(distance, dtype=float)
    return Evidence(
        np.asarray(votes, dtype=float), 15, distance, distance if deviation is None else np.array(deviation)
    )


def test_confidence_by_hand():
    # log odds of the votes with half a vote added to either side: 15 of 15, 12 of 15; farness 3 counts 2 beyond 1
    found = PLAIN.confidence(evidence([1.0, 0.8, 1.0], [0.0, 1.0, 3.0]))
    np.testing.assert_allclose(found, expit([np.log(31), np.log(12.5 / 3.5), np.log(31) - 4]))


def test_farness_is_the_mean_of_both_distances_on_their_scales():
    calibration = Calibration((1.0, 2.0), (0.0, 0.5), 1.5, 0.0, 0.0, 0.0, 0.0)
    assert calibration.farness_of(evidence([1.0], [5.0], [0.5])).tolist() == [(2.0 + 1.0) / 2]
    assert calibration.novel(evidence([1.0, 1.0], [5.0, 5.1], [0.5, 0.5])).tolist() == [False, True]


def planted(rng, n, shift=0.0):
    """Evidence whose labels are right with a known probability."""
    votes, distance = rng.integers(5, 16, size=n) / 15, rng.normal(shift, 1, size=n)
    e = evidence(votes, distance)
    chance = expit(1.2 * np.log((votes * 15 + 0.5) / (15.5 - votes * 15)) - 0.8 * distance)
    return e, rng.random(n) < chance, chance


def test_planted_probabilities_are_found(rng):
    clean, right, _ = planted(rng, 4000)
    foreign, foreign_right, _ = planted(rng, 4000, shift=1.0)
    calibration = learn_calibration((clean, right), [(foreign, foreign_right)], None)
    fresh, fresh_right, chance = planted(rng, 4000, shift=0.5)
    confidence = calibration.confidence(fresh)
    assert np.abs(confidence - chance).mean() < 0.03
    of_votes = calibration_error(fresh.votes, fresh_right)  # the votes themselves are no probability
    assert calibration_error(confidence, fresh_right) < min(0.03, of_votes / 2)


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
    assert calibration.novel_above == pytest.approx(calibration.farness_of(copy).max())
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
