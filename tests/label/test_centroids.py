"""Where cells lie when they are compared."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from scprism.label.centroids import Whitening, centroid_shares, centroids_of, space_of
from scprism.model.settings import LabelSettings

WHITE = LabelSettings(metric="euclidean", whiten_latent=True)
COSINE = LabelSettings(metric="cosine", whiten_latent=True)


@pytest.fixture
def two_types(rng):
    """Two labels that differ by 1 in the first unit alone, in which they vary little; the second varies by 30."""
    codes = np.repeat([0, 1], 3000)
    return (rng.normal(size=(6000, 3)) * [0.2, 30.0, 1.0] + np.outer(codes, [1.0, 0, 0])).astype(np.float32), codes


def test_units_have_unit_spread_within_labels_and_are_uncorrelated(two_types, rng):
    latent, codes = two_types
    turned = latent @ np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    points = space_of(turned, codes, WHITE).points(turned)
    within = points - centroids_of(points, codes)[codes]
    # the shrinkage is (3 + 2) / 6000 and a thousandth of the mean variance of 300
    np.testing.assert_allclose(np.linalg.eigvalsh(within.T @ within / 6000)[-1], 1, atol=0.01)
    assert np.abs(centroids_of(points, codes).mean(axis=0)).max() < 1e-3


def test_labels_that_plain_neighbours_mix_up_lie_apart(two_types):
    latent, codes = two_types
    sides = {}
    for config in (WHITE, replace(WHITE, whiten_latent=False)):
        space = space_of(latent[::30], codes[::30], config)
        found = space.finder(latent[::30])(latent[1::30], 5).cell
        sides[config.whiten_latent] = (codes[::30][found].mean(axis=1).round() == codes[1::30]).mean()
    assert sides[False] < 0.7 < 0.8 < sides[True]


def test_nearest_centroids_are_those_of_linear_discriminant_analysis(rng):
    codes = rng.integers(0, 4, 5000)
    latent = (rng.normal(size=(5000, 6)) @ rng.normal(size=(6, 6)) + 3 * rng.normal(size=(4, 6))[codes]).astype(
        np.float32
    )
    points = space_of(latent, codes, WHITE).points(latent)
    apart = points[:, None] - centroids_of(points, codes)
    theirs = LinearDiscriminantAnalysis(priors=np.full(4, 0.25)).fit(latent, codes).predict(latent)
    assert (np.square(apart).sum(axis=2).argmin(axis=1) == theirs).mean() > 0.995


def test_with_cosines_neither_the_length_of_a_latent_counts_nor_that_of_a_point(two_types):
    latent, codes = two_types
    space = space_of(latent, codes, COSINE)
    points = space.points(latent[:50])
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(space.points(latent[:50] * 7), points, rtol=1e-4, atol=1e-5)


def test_without_whitening_the_space_is_as_it_comes(two_types):
    latent, codes = two_types
    plain = space_of(latent, codes, replace(WHITE, whiten_latent=False))
    np.testing.assert_array_equal(plain.points(latent[:9]), latent[:9])


def test_labels_of_one_cell_each_change_no_order(rng):
    latent = rng.normal(size=(30, 4)).astype(np.float32)
    space = space_of(latent, np.arange(30), WHITE)  # nothing is known of the spread within labels
    plain = space_of(latent, np.arange(30), replace(WHITE, whiten_latent=False))
    np.testing.assert_array_equal(space.finder(latent)(latent, 5).cell, plain.finder(latent)(latent, 5).cell)


def test_a_centroid_speaks_by_its_direction_from_the_middle_of_the_centroids():
    centroids = np.array([[3.0, 1.0], [1.0, 3.0], [-1.0, -1.0]])  # their middle is (1, 1)
    shares = centroid_shares(np.array([[5.0, 1.0]]), centroids)  # exactly towards the first, cosines 0 and −1/√2 else
    odds = np.exp(np.array([1.0, 0.0, -1 / np.sqrt(2)]) / 0.1)
    np.testing.assert_allclose(shares, [odds / odds.sum()])


def test_a_label_without_a_centroid_has_no_share_and_does_not_move_the_middle():
    centroids, cells = np.array([[2.0, 0.0], [0.0, 1.0], [np.nan, np.nan]]), np.array([[1.5, 0.0], [0.5, 2.0]])
    shares = centroid_shares(cells, centroids)
    np.testing.assert_allclose(shares[:, :2], centroid_shares(cells, centroids[:2]))
    assert (shares[:, 2] == 0).all()


def test_the_only_label_has_the_whole_share():
    assert centroid_shares(np.array([[7.0, 7.0]]), np.array([[1.0, 2.0]])) == pytest.approx(1.0)


def test_a_label_without_cells_has_no_centroid_and_changes_no_space(two_types):
    latent, codes = two_types
    assert np.isnan(centroids_of(latent, 2 * codes)[1]).all()
    np.testing.assert_array_equal(
        space_of(latent, 2 * codes, WHITE).points(latent), space_of(latent, codes, WHITE).points(latent)
    )


def test_points_do_not_depend_on_the_cells_beside_them(two_types, rng):
    latent, codes = two_types
    space, order = space_of(latent, codes, COSINE), rng.permutation(1001)
    points = space.points(latent[:1001])
    np.testing.assert_array_equal(space.points(latent[order]), points[order])
    np.testing.assert_array_equal(space.points(latent[:1]), points[:1])
    whole = space.whitening.apply(latent[:1001])  # before it is rounded to float32
    np.testing.assert_array_equal(space.whitening.apply(latent[order]), whole[order])
    np.testing.assert_array_equal(space.whitening.apply(latent[:1]), whole[:1])


def test_whitened_points_are_the_same_bits_in_any_order_and_alone(rng):
    whitening = Whitening(rng.normal(size=50), rng.normal(size=(50, 50)))
    points = rng.normal(size=(501, 50))
    order = rng.permutation(501)
    whole = whitening.apply(points)
    np.testing.assert_array_equal(whitening.apply(points[order]), whole[order])
    for cell in (0, 250, 500):
        np.testing.assert_array_equal(whitening.apply(points[cell : cell + 1])[0], whole[cell])


def test_directions_in_which_platforms_differ_count_little(two_types):
    latent, codes = two_types
    moved = np.diag([0.0, 0.0, 400.0])
    spreads = [
        space_of(latent, codes, WHITE, platforms=platforms).points(latent).std(axis=0) for platforms in (None, moved)
    ]
    # the third unit's variance within labels is 1; three tenths of 400 are added
    assert spreads[1][2] / spreads[0][2] == pytest.approx(1 / np.sqrt(121), rel=0.25)
    assert spreads[1][0] == pytest.approx(spreads[0][0], rel=0.2)
