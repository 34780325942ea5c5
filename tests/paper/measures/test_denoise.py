import numpy as np
from scipy import sparse

from scprism.paper.measures.denoise import log_error, mixed


def test_log_error_by_hand():
    counts = sparse.csr_matrix([[3.0, 1.0], [0.0, 0.0]])
    proportions = np.array([[0.5, 0.5], [0.5, 0.5]])
    by_hand = np.mean((np.log1p([75, 25]) - np.log1p([50, 50])) ** 2)
    np.testing.assert_allclose(log_error(counts, proportions, target_sum=100), [by_hand, np.nan])


def test_a_background_is_mixed_in_by_its_share():
    background, proportions = np.array([0.5, 0.5, 0.0]), np.array([[1.0, 0.0, 0.0], [0.0, 0.2, 0.8]])
    expected = [[0.9, 0.1, 0.0], [0.1, 0.26, 0.64]]
    np.testing.assert_allclose(mixed(proportions, background, share=0.2), expected)
