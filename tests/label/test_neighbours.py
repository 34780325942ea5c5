"""Nearest reference cells, exact and by an inverted file."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from scprism.label.neighbours import label_weights, neighbour_finder, neighbour_shares, scaling_of


def clusters(rng, n, centres):
    return (centres[rng.integers(len(centres), size=n)] + 0.3 * rng.normal(size=(n, centres.shape[1]))).astype(
        np.float32
    )


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_and_distances_are_scipys(rng, metric):
    reference, query = rng.normal(size=(80, 5)), rng.normal(size=(30, 5))
    found = neighbour_finder(reference, metric=metric)(query, 7)
    peer = cdist(query, reference, metric=metric)
    np.testing.assert_array_equal(found.cell, np.argsort(peer, axis=1)[:, :7])
    np.testing.assert_allclose(found.distance, np.sort(peer, axis=1)[:, :7], atol=1e-6)


def test_a_cell_whose_latent_is_zero_is_at_right_angles_to_all(rng):
    found = neighbour_finder(rng.normal(size=(10, 3)), metric="cosine")(np.zeros((1, 3)), 2)
    assert found.distance.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("exact", [True, False])
def test_a_reference_cell_whose_latent_is_zero_is_at_right_angles_to_all(rng, exact):
    """It must come after every cell at less than a right angle, and before those at more."""
    reference = rng.normal(size=(600, 3)).astype(np.float32)
    reference[5] = 0
    query = rng.normal(size=(20, 3)).astype(np.float32)
    found = neighbour_finder(reference, metric="cosine", exact=exact)(query, 600)
    peer = cdist(query, np.delete(reference, 5, axis=0), metric="cosine")
    is_zero = found.cell == 5
    np.testing.assert_allclose(found.distance[is_zero], 1.0, atol=1e-6)
    np.testing.assert_array_equal(is_zero.argmax(axis=1), (peer < 1).sum(axis=1))


@pytest.mark.parametrize("exact", [True, False])
def test_the_order_of_cells_changes_no_bit_of_a_distance(rng, exact):
    reference, query = clusters(rng, 3000, rng.normal(size=(5, 8))), clusters(rng, 700, rng.normal(size=(5, 8)))
    find = neighbour_finder(reference, metric="cosine", exact=exact)
    whole, order = find(query, 15), rng.permutation(700)
    for rows in (order, order[:3]):
        part = find(query[rows], 15)
        np.testing.assert_array_equal(part.cell, whole.cell[rows])
        np.testing.assert_array_equal(part.distance, whole.distance[rows])


def test_of_cells_at_the_same_distance_the_first_comes_first(rng):
    reference = np.repeat(rng.normal(size=(6, 3)), 2, axis=0)
    found = neighbour_finder(reference, metric="euclidean")(reference[::2], 12)
    np.testing.assert_array_equal(found.cell[:, 0] + 1, found.cell[:, 1])
    assert (found.distance[:, :2] == 0).all()


def test_a_neighbour_of_a_label_of_a_sixteenth_of_the_cells_weighs_twice_as_much():
    codes = np.repeat([0, 1], [32, 2])
    np.testing.assert_allclose(label_weights(codes, n_labels=3), [1, 2, 32**0.25])


def test_neighbours_weigh_the_inverse_root_of_their_rank():
    shares = neighbour_shares(np.array([[0, 1, 1, 1]]), weights=np.ones(3))
    others = 1 / np.sqrt(2) + 1 / np.sqrt(3) + 1 / 2
    np.testing.assert_allclose(shares, [[1 / (1 + others), others / (1 + others), 0]])


def test_two_near_cells_of_a_rare_label_outweigh_three_farther_ones_of_a_common_one():
    labels = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]])
    near = [1 + 1 / np.sqrt(2), 1 + 1 / np.sqrt(3)]
    far = [1 / np.sqrt(3) + 1 / 2 + 1 / np.sqrt(5), 1 / np.sqrt(2) + 1 / 2 + 1 / np.sqrt(5)]
    shares = neighbour_shares(labels, weights=np.array([1.0, 2.0]))
    assert shares.argmax(axis=1).tolist() == [1, 1]
    np.testing.assert_allclose(shares[:, 1], [2 * a / (2 * a + b) for a, b in zip(near, far, strict=True)])


def test_more_neighbours_than_cells_are_all_cells(rng):
    assert neighbour_finder(rng.normal(size=(4, 2)), metric="euclidean")(np.zeros((1, 2)), 9).cell.shape == (1, 4)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_inverted_file_finds_nearly_all_neighbours(rng, metric):
    centres = rng.normal(size=(20, 10))
    reference, query = clusters(rng, 8000, centres), clusters(rng, 500, centres)
    exact, fast = (neighbour_finder(reference, metric=metric, exact=e)(query, 15) for e in (True, False))
    shared = [len(set(a) & set(b)) / 15 for a, b in zip(exact.cell, fast.cell, strict=True)]
    assert np.mean(shared) > 0.99
    np.testing.assert_allclose(fast.distance[:, 0], exact.distance[:, 0], atol=1e-5)


@pytest.mark.parametrize("exact", [True, False])
def test_threads_change_nothing(rng, exact):
    reference, query = clusters(rng, 3000, rng.normal(size=(5, 8))), rng.normal(size=(300, 8)).astype(np.float32)
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(neighbour_finder(reference, metric="cosine", exact=exact)(query, 10))
    np.testing.assert_array_equal(results[0].cell, results[1].cell)
    np.testing.assert_array_equal(results[0].distance, results[1].distance)


def test_the_inverted_file_fills_every_place_even_of_a_far_query(rng):
    # Most cells are equal, so that a few lists hold nearly all cells and the others a handful.
    reference = np.concatenate([np.zeros((2900, 4)), 50 + rng.normal(size=(100, 4))]).astype(np.float32)
    found = neighbour_finder(reference, metric="euclidean", exact=False)(np.full((1, 4), 60, dtype=np.float32), 90)
    assert found.cell.min() >= 0
    assert len(set(found.cell[0])) == 90


def test_scaling_has_the_references_moments_and_keeps_constants(rng):
    latent = rng.normal(3, 2, size=(50, 2))
    latent[:, 1] = 7
    scaled = scaling_of(latent).apply(latent)
    np.testing.assert_allclose([scaled[:, 0].mean(), scaled[:, 0].std()], [0, 1], atol=1e-6)
    assert (scaled[:, 1] == 0).all()
