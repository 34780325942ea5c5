"""Cells on disk and Dask arrays, in every way that they are stored: the same blocks as in memory."""

import warnings

import anndata
import h5py
import numpy as np
import pytest
import zarr
from anndata import AnnData
from scipy import sparse

from scprism import make_cells, read_cells
from scprism._stores import write_anndata
from scprism.read.chunks import row_chunks
from scprism.read.counts import check_counts
from scprism.read.on_disk import is_on_disk, stored_bytes

CELLS = make_cells(n_cells=150, rng=0)
KINDS = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": lambda matrix: matrix.toarray()}


def stored(path, kind, *, version=2):
    cells = AnnData(KINDS[kind](CELLS.X), obs=CELLS.obs, var=CELLS.var, layers={"counts": CELLS.X.copy()})
    if path.suffix == ".h5ad":
        cells.write_h5ad(path)
    else:
        with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=version):
            warnings.simplefilter("ignore")
            cells.write_zarr(path)
    return path


def sharded(path):
    """Write the values of X anew, a hundred in a chunk and ten chunks in a file."""
    group = zarr.open_group(str(path), mode="r+")
    for part in ("data", "indices"):
        old = group[f"X/{part}"]
        values, attributes = old[:], dict(old.attrs)
        del group[f"X/{part}"]
        sizes = {"chunks": (100,), "shards": (1000,)}
        new = group["X"].create_array(part, shape=values.shape, dtype=values.dtype, **sizes)
        new[:] = values
        new.attrs.update(attributes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(str(path))
    return path


def assert_same_blocks(matrix):
    for size in (64, 1000):
        for (span, found), (place, wanted) in zip(
            row_chunks(matrix, size=size), row_chunks(CELLS.X, size=size), strict=True
        ):
            assert span == place
            for part in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("a.h5ad", {}, id="h5ad"),
        pytest.param("a.zarr", {}, id="zarr v2"),
        pytest.param("a.zarr", {"version": 3}, id="zarr v3"),
    ],
)
def test_blocks_from_disk_are_those_in_memory(tmp_path, name, options, kind):
    path = stored(tmp_path / name, kind, **options)
    cells = read_cells(path, backed=True)
    assert is_on_disk(cells)
    assert not isinstance(cells.layers["counts"], sparse.csr_matrix)
    assert_same_blocks(cells.X)
    assert_same_blocks(cells.layers["counts"])
    assert_same_blocks(read_cells(path).X)
    cells.file.close()


def test_shards_of_zarr_v3_are_read(tmp_path):
    path = sharded(stored(tmp_path / "a.zarr", "csr", version=3))
    assert zarr.open_group(str(path))["X/data"].shards == (1000,)
    assert_same_blocks(read_cells(path, backed=True).X)


def test_the_size_in_memory_is_known_without_reading(tmp_path):
    values = 2 * (CELLS.X.data.nbytes + CELLS.X.indices.nbytes)  # X and the layer
    for name in ("a.h5ad", "a.zarr"):
        path = stored(tmp_path / name, "csr")
        assert stored_bytes(path, path.suffix[1:]) == values
    assert stored_bytes(stored(tmp_path / "b.h5ad", "csc"), "h5ad") == 0  # rows of CSC cannot be read one by one
    (tmp_path / "c.h5ad").write_bytes(b"nothing")
    assert stored_bytes(tmp_path / "c.h5ad", "h5ad") == 0


@pytest.mark.parametrize("chunks", [(40, 200), (7, 60), (150, 200), (64, 200)], ids=str)
@pytest.mark.parametrize("is_sparse", [True, False])
def test_dask_arrays_are_read_in_the_same_blocks(chunks, is_sparse):
    da = pytest.importorskip("dask.array")
    matrix = da.from_array(CELLS.X.toarray(), chunks=chunks)
    if is_sparse:
        matrix = matrix.rechunk({1: -1}).map_blocks(sparse.csr_matrix)
    assert_same_blocks(matrix)
    check_counts(matrix, genes=CELLS.var_names, cells=CELLS.obs_names)


def test_a_piece_of_a_dask_array_is_computed_once_a_pass():
    da = pytest.importorskip("dask.array")
    computed = []

    def piece(block, block_info=None):
        computed.append(block_info[0]["chunk-location"][0])
        return block

    matrix = da.from_array(CELLS.X.toarray(), chunks=(40, -1)).map_blocks(
        piece, dtype=np.float32, meta=np.empty((0, 0))
    )
    list(row_chunks(matrix, size=64))
    assert sorted(computed) == [0, 1, 2, 3]


def test_cells_of_dask_are_embedded_and_written(tmp_path):
    da = pytest.importorskip("dask.array")
    from scprism import Prism, write_annotated

    model = Prism(genes="all", organism="human", max_epochs=1, units="raw", device="cpu", rng=0).fit(CELLS)
    lazy = AnnData(da.from_array(CELLS.X.toarray(), chunks=(40, -1)), obs=CELLS.obs, var=CELLS.var)
    np.testing.assert_array_equal(model.embed(lazy), model.embed(CELLS))
    write_annotated(tmp_path / "a.h5ad", model.view(lazy))
    np.testing.assert_array_equal(anndata.read_h5ad(tmp_path / "a.h5ad").X, CELLS.X.toarray())


@pytest.mark.parametrize("source", ["h5ad", "zarr"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["h5ad", "zarr"])
def test_matrices_are_copied_from_disk_to_disk(tmp_path, source, kind, target):
    cells = read_cells(stored(tmp_path / f"a.{source}", kind), backed=True)
    write_anndata(cells, tmp_path / f"b.{target}")
    found = read_cells(tmp_path / f"b.{target}")
    np.testing.assert_array_equal(sparse.csr_matrix(found.X).toarray(), CELLS.X.toarray())
    np.testing.assert_array_equal(found.layers["counts"].toarray(), CELLS.X.toarray())


def test_a_compressed_matrix_stays_compressed_in_a_copy(tmp_path):
    CELLS.write_h5ad(tmp_path / "a.h5ad", compression="gzip")
    write_anndata(read_cells(tmp_path / "a.h5ad", backed=True), tmp_path / "b.h5ad")
    with h5py.File(tmp_path / "b.h5ad") as file:
        assert file["X/data"].compression == "gzip"
