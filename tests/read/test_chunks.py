import anndata
import numpy as np
import pytest
from scipy import sparse

from scprism.errors import InputError
from scprism.read import chunks
from scprism.read.chunks import row_chunks

TABLE = np.array([[1, 0, 2], [0, 0, 0], [0, 5, 0], [7, 8, 9], [0, 0, 3]], dtype=np.float64)


def test_blocks_are_the_rows_in_order():
    found = [(span, block.toarray().tolist()) for span, block in row_chunks(TABLE, size=2)]
    assert found == [
        (slice(0, 2), [[1, 0, 2], [0, 0, 0]]),
        (slice(2, 4), [[0, 5, 0], [7, 8, 9]]),
        (slice(4, 5), [[0, 0, 3]]),
    ]


@pytest.mark.parametrize("size", [1, 7, 300, 4096])
def test_every_storage_gives_the_same_blocks_to_the_bit(storage, small_cells, size):
    expected = small_cells.X.astype(np.float32)
    blocks = [block for _, block in row_chunks(storage(small_cells).X, size=size)]
    together = sparse.vstack(blocks, format="csr")
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(together, part), getattr(expected, part))
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}


def test_csc_on_disk_is_read_whole_and_not_sliced(tmp_path, monkeypatch):
    anndata.AnnData(sparse.csc_matrix(TABLE)).write_h5ad(tmp_path / "csc.h5ad")
    cells = anndata.read_h5ad(tmp_path / "csc.h5ad", backed="r")
    matrix = cells.X
    monkeypatch.delattr(type(matrix).__mro__[1], "__getitem__")  # slicing rows reads all of the file each time
    found = np.vstack([block.toarray() for _, block in row_chunks(matrix, size=2)])
    cells.file.close()
    np.testing.assert_array_equal(found, TABLE)


def test_dense_data_on_disk_is_read_by_rows(tmp_path):
    anndata.AnnData(TABLE).write_h5ad(tmp_path / "dense.h5ad")
    cells = anndata.read_h5ad(tmp_path / "dense.h5ad", backed="r")
    found = np.vstack([block.toarray() for _, block in row_chunks(cells.X, size=3)])
    cells.file.close()
    np.testing.assert_array_equal(found, TABLE)


def test_wide_dense_blocks_are_built_from_pieces(monkeypatch):
    monkeypatch.setattr(chunks, "DENSE_VALUES", 6)  # two rows of three genes
    ((span, block),) = row_chunks(TABLE)
    assert span == slice(0, 5)
    np.testing.assert_array_equal(block.toarray(), TABLE)


def test_blocks_are_canonical_and_leave_the_matrix_as_it_was():
    values = np.array([1.0, 2.0, 4.0, 0.0], dtype=np.float32)
    untidy = sparse.csr_matrix((values, np.array([2, 0, 2, 1]), np.array([0, 4])), shape=(1, 3))
    ((_, block),) = row_chunks(untidy)
    assert (block.indices.tolist(), block.data.tolist()) == ([0, 2], [2.0, 5.0])
    block.data[:] = 99
    assert untidy.data.tolist() == [1.0, 2.0, 4.0, 0.0]
    assert untidy.indices.tolist() == [2, 0, 2, 1]


def test_counts_are_exact_in_float32_up_to_two_to_the_24():
    limit = 2**24
    ((_, single),) = row_chunks(sparse.csr_matrix(np.array([[limit - 1, limit, limit + 1]])))
    assert single.data.tolist() == [limit - 1, limit, limit]
    ((_, double),) = row_chunks(sparse.csr_matrix(np.array([[limit + 1]])), dtype=np.float64)
    assert double.data.tolist() == [limit + 1]


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.coo_matrix, sparse.lil_matrix])
def test_other_sparse_formats_are_read_too(kind):
    ((_, block),) = row_chunks(kind(TABLE))
    np.testing.assert_array_equal(block.toarray(), TABLE)


def test_csc_is_turned_to_rows_once_a_pass(monkeypatch):
    matrix = sparse.csc_matrix(TABLE)
    turns = []
    turned = matrix.tocsr()
    monkeypatch.setattr(matrix, "tocsr", lambda: turns.append(1) or turned)
    assert len(list(row_chunks(matrix, size=1))) == 5
    assert len(turns) == 1


def test_what_is_no_matrix_is_refused():
    with pytest.raises(InputError, match=r"must be a NumPy array, .* a Dask array .*, got builtins\.list"):
        next(row_chunks([[1, 2]]))


def test_a_size_below_one_is_refused():
    with pytest.raises(InputError, match="`size` must be at least 1 row, got 0"):
        next(row_chunks(TABLE, size=0))
