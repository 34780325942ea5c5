import numpy as np
import pytest

from scprism.label.evidence import say_of_centres, vote_shares, worth_of_votes


def test_a_vote_for_a_label_of_a_sixteenth_of_the_cells_is_worth_twice_as_much():
    codes = np.repeat([0, 1], [32, 2])
    np.testing.assert_allclose(worth_of_votes(codes, n_labels=3), [1, 2, 32**0.25])


def test_weighted_votes_are_the_inverse_root_of_the_rank():
    shares = vote_shares(np.array([[0, 1, 1, 1]]), worth=np.ones(3))
    others = 1 / np.sqrt(2) + 1 / np.sqrt(3) + 1 / 2
    np.testing.assert_allclose(shares, [[1 / (1 + others), others / (1 + others), 0]])


def test_two_near_voters_of_a_rare_label_outvote_three_farther_ones_of_a_common_one():
    ballots = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]])
    near = [1 + 1 / np.sqrt(2), 1 + 1 / np.sqrt(3)]
    far = [1 / np.sqrt(3) + 1 / 2 + 1 / np.sqrt(5), 1 / np.sqrt(2) + 1 / 2 + 1 / np.sqrt(5)]
    shares = vote_shares(ballots, worth=np.array([1.0, 2.0]))
    assert shares.argmax(axis=1).tolist() == [1, 1]
    np.testing.assert_allclose(shares[:, 1], [2 * a / (2 * a + b) for a, b in zip(near, far, strict=True)])


def test_a_centre_speaks_by_its_direction_from_the_middle_of_the_centres():
    centres = np.array([[3.0, 1.0], [1.0, 3.0], [-1.0, -1.0]])  # their middle is (1, 1)
    say = say_of_centres(np.array([[5.0, 1.0]]), centres)  # exactly towards the first, at cosines 0 and −1/√2 of others
    odds = np.exp(np.array([1.0, 0.0, -1 / np.sqrt(2)]) / 0.1)
    np.testing.assert_allclose(say, [odds / odds.sum()])


def test_a_barred_label_has_no_say_and_does_not_move_the_middle():
    centres, cells = np.array([[2.0, 0.0], [0.0, 1.0], [50.0, 50.0]]), np.array([[1.5, 0.0], [0.5, 2.0]])
    say = say_of_centres(cells, centres, barred=2)
    np.testing.assert_allclose(say[:, :2], say_of_centres(cells, centres[:2]))
    assert (say[:, 2] == 0).all()


def test_the_only_label_has_all_the_say():
    assert say_of_centres(np.array([[7.0, 7.0]]), np.array([[1.0, 2.0]])) == pytest.approx(1.0)
