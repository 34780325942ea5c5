"""What the tests of reading write, and how they look at what they read."""

import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse


@pytest.fixture
def table():
    """Three cells by four genes; a gene called NA must not become a missing value."""
    counts = [[1, 0, 2, 0], [0, 3, 0, 1], [4, 0, 0, 300]]
    return pd.DataFrame(counts, index=["AAAC-1", "AAAG-1", "AATC-1"], columns=["Cd3e", "Cd19", "NA", "Actb"])


@pytest.fixture
def cells(table):
    matrix = sparse.csr_matrix(table.to_numpy(dtype="float32"))
    return AnnData(matrix, obs=pd.DataFrame(index=table.index), var=pd.DataFrame(index=table.columns))


@pytest.fixture
def assert_read():
    def check(found, table):
        assert found.X.format == "csr"
        pd.testing.assert_frame_equal(found.to_df(), table.astype("float32"), check_names=False)

    return check
