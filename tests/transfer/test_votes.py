import numpy as np

from scprism.transfer.votes import cast_votes, worth_of_votes


def test_a_vote_for_a_label_of_a_sixteenth_of_the_cells_is_worth_twice_as_much():
    codes = np.repeat([0, 1], [32, 2])
    np.testing.assert_allclose(worth_of_votes(codes, n_labels=3), [1, 2, 32**0.25])


def test_weighted_votes_are_the_inverse_root_of_the_rank():
    label, share = cast_votes(np.array([[0, 1, 1, 1]]), worth=np.ones(2))
    others = 1 / np.sqrt(2) + 1 / np.sqrt(3) + 1 / 2
    assert label.tolist() == [1]
    np.testing.assert_allclose(share, others / (1 + others))


def test_two_near_voters_of_a_rare_label_outvote_three_farther_ones_of_a_common_one():
    ballots = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]])
    near = [1 + 1 / np.sqrt(2), 1 + 1 / np.sqrt(3)]
    far = [1 / np.sqrt(3) + 1 / 2 + 1 / np.sqrt(5), 1 / np.sqrt(2) + 1 / 2 + 1 / np.sqrt(5)]
    label, share = cast_votes(ballots, worth=np.array([1.0, 2.0]))
    assert label.tolist() == [1, 1]
    np.testing.assert_allclose(share, [2 * a / (2 * a + b) for a, b in zip(near, far, strict=True)])
