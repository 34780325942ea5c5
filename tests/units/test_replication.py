"""Agreement and replication by hand."""

import numpy as np

from scprism.units.replication import Candidates, agreement, distinct, replication


def candidates_of(coherent):
    """Two splits, two halves each, one run a half, two programs a run."""
    return Candidates(
        programs=np.eye(8),
        activities=np.zeros((3, 8)),
        coherence=np.ones(8),
        coherent=np.asarray(coherent),
        run=np.repeat(np.arange(4), 2),
        split=np.array([0, 0, 1, 1]),
        half=np.array([0, 1, 0, 1]),
    )


ALIKE = np.array([[0.9, 0.1, 0.7, 0.2, 0.8, 0.3, 0.95, 0.4]])


def test_replication_is_the_mean_over_splits_of_the_lesser_half():
    # split 0: min(0.9, 0.7); split 1: min(0.8, 0.95)
    np.testing.assert_allclose(replication(ALIKE, candidates_of([True] * 8)), [0.75])


def test_incoherent_programs_do_not_count():
    coherent = [True, True, False, True, True, True, True, True]
    np.testing.assert_allclose(replication(ALIKE, candidates_of(coherent)), [(0.2 + 0.8) / 2])


def test_agreement_needs_the_same_genes():
    activities = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    candidates = Candidates(
        programs=np.eye(2),
        activities=activities,
        coherence=np.ones(2),
        coherent=np.ones(2, dtype=bool),
        run=np.zeros(2, dtype=int),
        split=np.zeros(1, dtype=int),
        half=np.zeros(1, dtype=int),
    )
    alike = agreement(np.array([[0.8, 0.6]]), activities[:, :1], candidates, least_cosine=0.7)
    np.testing.assert_allclose(alike, [[1.0, 0.0]])


def test_of_programs_alike_the_first_is_kept():
    activities = np.array([[0.0, 0.1, 3.0], [1.0, 1.0, 0.0], [2.0, 2.2, 2.0]])
    assert distinct([1, 0, 2], np.eye(3), activities, largest_correlation=0.5) == [1, 2]
    same_genes = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert distinct([0, 1, 2], same_genes, activities * [1, 0, 1], largest_correlation=0.5) == [0, 1]
