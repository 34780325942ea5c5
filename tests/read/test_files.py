import json
import pickle
import subprocess
import sys
import warnings

import anndata
import h5py
import numpy as np
import pytest

from scprism.errors import InputError, PrismWarning
from scprism.read.files import read_cells


def write_zarr(cells, path, *, version):
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=version):
        warnings.simplefilter("ignore")  # anndata and zarr disagree on string types; no matter here
        cells.write_zarr(path)


def test_h5ad_is_read_into_memory(table, assert_read, cells, tmp_path):
    cells.write_h5ad(tmp_path / "a.h5ad")
    found = read_cells(str(tmp_path / "a.h5ad"))
    assert not found.isbacked
    assert_read(found, table)


def test_h5ad_is_read_backed(table, cells, tmp_path):
    cells.write_h5ad(tmp_path / "a.h5ad")
    found = read_cells(tmp_path / "a.h5ad", backed=True)
    assert found.isbacked
    np.testing.assert_array_equal(found.X[[0, 2]].toarray(), table.iloc[[0, 2]])
    found.file.close()


def test_a_refused_backed_file_is_closed(cells, tmp_path):
    cells.X = cells.X * 0.5
    cells.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(InputError, match="whole numbers") as caught:
        read_cells(tmp_path / "a.h5ad", backed=True)
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:  # HDF5 refuses this while the file is open elsewhere
        assert "X" in file
    assert caught.tb is not None  # which holds the cells that hold the file


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_is_read(table, assert_read, cells, tmp_path, version):
    write_zarr(cells, tmp_path / "a.zarr", version=version)
    assert_read(read_cells(tmp_path / "a.zarr"), table)


def test_loom_is_read(table, assert_read, cells, tmp_path):
    loompy = pytest.importorskip("loompy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # loompy's own
        loompy.create(
            str(tmp_path / "a.loom"),
            table.T.to_numpy(),
            {"Gene": table.columns.to_numpy()},
            {"CellID": table.index.to_numpy()},
        )
    assert_read(read_cells(tmp_path / "a.loom"), table)


def test_symbols_from_a_column_become_the_names(table, assert_read, cells, tmp_path):
    cells.var_names = [f"ENSMUSG{i:011}" for i in range(4)]
    cells.var["feature_name"] = ["Cd3e", "", "Actb", "Actb"]
    cells.raw = cells.copy()
    cells.write_h5ad(tmp_path / "a.h5ad")
    found = read_cells(tmp_path / "a.h5ad", gene_symbols="feature_name")
    assert_read(found, table.set_axis(["Cd3e", "ENSMUSG00000000001", "Actb", "Actb-1"], axis=1))
    assert list(found.raw.var_names) == list(found.var_names)
    assert found.var["gene_ids"].tolist() == [f"ENSMUSG{i:011}" for i in range(4)]


def test_ensembl_ids_are_warned_of_with_the_column_of_symbols(table, cells, tmp_path):
    cells.var_names = [f"ENSMUSG{i:011}" for i in range(4)]
    cells.var["feature_name"] = table.columns
    cells.write_h5ad(tmp_path / "a.h5ad")
    with pytest.warns(PrismWarning, match=r"'ENSMUSG00000000000'.*gene_symbols='feature_name'"):
        read_cells(tmp_path / "a.h5ad")


def test_an_unknown_column_of_symbols_is_refused(table, cells, tmp_path):
    cells.var["feature_name"] = table.columns
    cells.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(InputError, match=r"must be a column of `.var`, got 'features'. Closest: 'feature_name'"):
        read_cells(tmp_path / "a.h5ad", gene_symbols="features")


def test_the_layer_told_is_the_one_checked(cells, tmp_path):
    cells.layers["counts"] = cells.X.copy()
    cells.X = cells.X.log1p()
    cells.write_h5ad(tmp_path / "a.h5ad")
    read_cells(tmp_path / "a.h5ad", layer="counts")
    with pytest.raises(InputError, match="use layer='counts'"):
        read_cells(tmp_path / "a.h5ad")


def test_the_check_can_be_left_out(table, assert_read, cells, tmp_path):
    cells.X = cells.X * 0.5
    cells.write_h5ad(tmp_path / "a.h5ad")
    assert_read(read_cells(tmp_path / "a.h5ad", check=False), table / 2)


def test_a_missing_file_is_refused_with_its_neighbours(cells, tmp_path):
    cells.write_h5ad(tmp_path / "liver.h5ad")
    with pytest.raises(InputError, match=r"no file or folder '.*livr.h5ad'. Closest in that folder: 'liver.h5ad'"):
        read_cells(tmp_path / "livr.h5ad")


def test_an_unknown_kind_is_refused_with_the_kinds_there_are(tmp_path):
    (tmp_path / "a.rds").write_bytes(b"x")
    with pytest.raises(InputError, match=r"kind of '.*a.rds' is not known. Allowed: .h5ad, .h5, .hdf5, .loom, .csv"):
        read_cells(tmp_path / "a.rds")


def test_a_truncated_h5ad_is_refused(cells, tmp_path):
    cells.write_h5ad(tmp_path / "a.h5ad")
    whole = (tmp_path / "a.h5ad").read_bytes()
    (tmp_path / "a.h5ad").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a.h5ad' cannot be read as HDF5: .*truncated.*compare its size"):
        read_cells(tmp_path / "a.h5ad")


def test_a_damaged_h5ad_is_refused(cells, tmp_path):
    cells.write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        del file["X/indptr"]
    with pytest.raises(InputError, match=r"a.h5ad' cannot be read as h5ad: .*of another format than its name says"):
        read_cells(tmp_path / "a.h5ad")


def test_text_called_h5ad_is_refused(tmp_path):
    (tmp_path / "a.h5ad").write_text("cell,gene\n")
    with pytest.raises(InputError, match=r"a.h5ad' cannot be read as HDF5: .*of another format than its name says"):
        read_cells(tmp_path / "a.h5ad")


def test_foreign_hdf5_is_refused_with_what_it_holds(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["weights"] = [1.0]
    with pytest.raises(InputError, match=r"not of AnnData \(obs, var\).* It holds 'weights'"):
        read_cells(tmp_path / "a.h5")


@pytest.mark.parametrize("transpose", [False, True])
def test_backed_is_refused_for_what_cannot_be(cells, tmp_path, transpose):
    path = tmp_path / "a.h5ad"
    cells.write_h5ad(path)
    text = tmp_path / "a.csv"
    text.write_text("cell,Actb\nx,1\n")
    with pytest.raises(InputError, match="`backed` is for h5ad files as they are"):
        read_cells(path if transpose else text, backed=True, transpose=transpose)


def test_reading_zarr_runs_no_pickle(cells, tmp_path):
    write_zarr(cells, tmp_path / "a.zarr", version=2)
    array = tmp_path / "a.zarr" / "uns" / "evil"
    array.mkdir(parents=True)
    pickled = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "order": "C", "fill_value": None}
    pickled |= {"compressor": {"id": "pickle", "protocol": 5}, "filters": [{"id": "vlen-utf8"}]}
    (array / ".zarray").write_text(json.dumps(pickled))
    (array / ".zattrs").write_text(json.dumps({"encoding-type": "array", "encoding-version": "0.2.0"}))
    (array / "0").write_bytes(pickle.dumps(_Evil(str(tmp_path / "ran"))))
    for consolidated in tmp_path.rglob(".zmetadata"):
        consolidated.unlink()
    with pytest.raises(InputError, match="cannot be read as zarr"):
        read_cells(tmp_path / "a.zarr")
    assert not (tmp_path / "ran").exists()


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_reading_h5ad_imports_neither_torch_nor_scanpy(cells, tmp_path):
    cells.write_h5ad(tmp_path / "a.h5ad")
    code = (
        "import sys; from scprism.read.files import read_cells; read_cells(sys.argv[1]); "
        "print([name for name in ('torch', 'scanpy', 'numba', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.h5ad"], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
