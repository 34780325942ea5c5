import numpy as np
import pytest

from scprism.model.row_product import row_product


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_is_the_same_bits_wherever_it_stands(rng, dtype):
    """NumPy's own product differs in the last bits for these sizes: in the last rows, and for a few rows alone."""
    rows, matrix = rng.normal(size=(1001, 50)).astype(dtype), rng.normal(size=(50, 20)).astype(dtype)
    product, order = row_product(rows, matrix), rng.permutation(1001)
    np.testing.assert_array_equal(row_product(rows[order], matrix), product[order])
    np.testing.assert_array_equal(row_product(rows[:37], matrix), product[:37])
    np.testing.assert_allclose(product, rows.astype(float) @ matrix.astype(float), atol=1e-4)
    assert product.dtype == dtype
