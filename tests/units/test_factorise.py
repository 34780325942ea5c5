"""Factorisations side by side are scikit-learn's, one by one."""

import numpy as np
from sklearn.decomposition import NMF

from scprism.units.factorise import factorised, random_starts


def test_factorisations_side_by_side_are_those_of_scikit_learn(planted):
    cells = planted[0]
    starts = [random_starts(cells, rank, rank) for rank in (3, 5)]
    found = factorised(cells, starts, iterations=15)
    for (activities, programs), rank in zip(found, (3, 5), strict=True):
        peer = NMF(rank, init="random", random_state=rank, max_iter=15, tol=0.0)
        np.testing.assert_allclose(activities, peer.fit_transform(cells), atol=2e-3)
        np.testing.assert_allclose(programs, peer.components_, atol=2e-3)


def test_cells_and_genes_without_counts_stay_at_zero(planted):
    cells = planted[0].tolil(copy=True)
    cells[7], cells[:, 11] = 0.0, 0.0
    starts = [random_starts(cells.tocsr(), 3, 0)]
    activities, programs = factorised(cells.tocsr(), starts, iterations=5)[0]
    assert not activities[7].any()
    assert not programs[:, 11].any()


def test_starts_are_left_as_they_are(planted):
    start = random_starts(planted[0], 3, 0)
    before = [part.copy() for part in start]
    factorised(planted[0], [start], iterations=2)
    for part, was in zip(start, before, strict=True):
        np.testing.assert_array_equal(part, was)
