import numpy as np
import pytest
from scipy import sparse

from scprism.prepare.stream import GeneMap


def gene_map(pairs, shape):
    rows, columns = zip(*pairs, strict=True)
    selection = sparse.csr_matrix((np.ones(len(pairs), dtype=np.float32), (rows, columns)), shape=shape)
    return GeneMap(selection=selection, in_library=np.ones(shape[0]))


@pytest.mark.parametrize(
    ("pairs", "is_simple"),
    [
        pytest.param([(0, 0), (2, 1), (5, 2)], True, id="in order"),
        pytest.param([(5, 0), (0, 1), (2, 2)], True, id="in another order"),
        pytest.param([(0, 0), (1, 0), (4, 2)], False, id="two genes of the file for one"),
        pytest.param([(0, 0), (0, 1), (4, 2)], False, id="one gene of the file for two"),
    ],
)
def test_picked_counts_are_the_product_with_the_selection(pairs, is_simple, rng):
    chunk = sparse.csr_matrix(rng.poisson(0.7, (50, 6)).astype(np.float32))
    chosen = gene_map(pairs, (6, 4))
    assert (chosen.target is not None) is is_simple
    picked = chosen.pick(chunk)
    np.testing.assert_array_equal(picked.toarray(), chunk.toarray() @ chosen.selection.toarray())
    assert picked.has_sorted_indices
    assert picked.nnz == np.count_nonzero(picked.toarray())
