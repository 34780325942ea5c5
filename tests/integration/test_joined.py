import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from scprism.errors import InputError
from scprism.integration.joined import join_data_sets, log_values


def cells(counts, genes, **obs):
    values = np.asarray(counts, dtype=np.float32)
    return AnnData(
        values, obs=pd.DataFrame(obs, index=[f"c{i}" for i in range(len(values))]), var=pd.DataFrame(index=genes)
    )


def test_common_genes_keep_the_library_of_all_genes_without_spike_ins():
    first = cells([[1, 2, 7, 90], [0, 3, 1, 0]], ["B", "A", "only_here", "ERCC-00002"])
    second = cells([[4, 1]], ["A", "B"])
    joined = join_data_sets([first, second], batch="lab")
    assert joined.genes == ("A", "B")
    np.testing.assert_array_equal(joined.counts.toarray(), [[2, 1], [3, 0], [4, 1]])
    np.testing.assert_array_equal(joined.library, [10, 4, 5])
    np.testing.assert_array_equal(joined.batches, [0, 0, 1])
    assert joined.obs["lab"].tolist() == ["0", "0", "1"]
    assert joined.obs.index.tolist() == ["c0-0", "c1-0", "c0-1"]
    np.testing.assert_allclose(
        log_values(joined, target_sum=100).toarray()[1:], np.log1p([[75, 0], [80, 20]]), rtol=1e-6
    )


def test_genes_without_a_count_are_left_out():
    joined = join_data_sets([cells([[1, 0], [2, 0]], ["A", "B"], lab=["x", "y"])], batch="lab")
    assert joined.genes == ("A",)


def test_a_cell_without_a_batch_is_refused():
    with pytest.raises(InputError, match="1 of 2 cells have no batch in 'lab'. Fill the column"):
        join_data_sets([cells([[1, 2], [3, 4]], ["A", "B"], lab=["x", None])], batch="lab")


def test_a_misspelt_column_is_named_with_the_closest():
    with pytest.raises(InputError, match="needs at least two batches, 'lob' has '0'. .* closest: 'lab'"):
        join_data_sets([cells([[1, 2], [3, 4]], ["A", "B"], lab=["x", "y"])], batch="lob")
