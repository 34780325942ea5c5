import numpy as np
import pytest
from scipy import sparse

from scprism.model.first_layer import sparse_product
from scprism.model.forward import softplus_array


@pytest.mark.parametrize("n_units", [7, 64, 130])
def test_the_sparse_product_is_that_of_the_dense_matrices(rng, n_units):
    inputs = sparse.random_array((40, 30), density=0.6, rng=rng).toarray()
    inputs[3] = 0
    weights = rng.standard_normal((n_units, 30)).astype(np.float32)
    result = sparse_product(sparse.csr_matrix(inputs), weights.T)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, inputs @ weights.T.astype(np.float64), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("beta", [0.5, 1.0, 128.0])
def test_softplus_neither_overflows_nor_loses_small_values(rng, beta):
    z = np.concatenate([rng.standard_normal(500) * 10, [-1000, -20, 0, 20, 1000]]).astype(np.float32)
    expected = np.logaddexp(0, beta * z.astype(np.float64)) / beta
    np.testing.assert_allclose(softplus_array(z, beta), expected, rtol=2e-5, atol=1e-30)
