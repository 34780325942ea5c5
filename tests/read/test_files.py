import json
import pathlib
import pickle
import shutil
import subprocess
import sys
import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scprism.errors import InputError, PrismWarning
from scprism.read.files import read_cells
from scprism.read.problems import unreadable


def write_zarr(cells, path, *, version):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata and zarr disagree on string types and settings; no matter here
        with anndata.settings.override(zarr_write_format=version):
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
    with pytest.warns(PrismWarning, match="1 columns have the name of another gene .'Actb'.; they were numbered"):
        found = read_cells(tmp_path / "a.h5ad", gene_symbols="feature_name", repeated_genes="number")
    assert_read(found, table.set_axis(["Cd3e", "ENSMUSG00000000001", "Actb", "Actb-1"], axis=1))
    assert list(found.raw.var_names) == list(found.var_names)
    assert found.var["gene_ids"].tolist() == [f"ENSMUSG{i:011}" for i in range(4)]


def test_columns_of_one_symbol_are_added_everywhere(table, assert_read, cells, tmp_path):
    cells.var_names = [f"ENSMUSG{i:011}" for i in range(4)]
    cells.raw = cells.copy()  # which has no column of symbols
    cells.var["feature_name"] = ["Cd3e", "Cd19", "Actb", "Actb"]
    cells.layers["counts"] = np.full((3, 4), 200, dtype="u1")
    cells.obsm["X_pca"] = np.ones((3, 2))
    cells.uns["title"] = "three cells"
    cells.write_h5ad(tmp_path / "a.h5ad")
    with pytest.warns(PrismWarning, match="1 columns have the name of another gene .'Actb'.; their counts were added"):
        found = read_cells(tmp_path / "a.h5ad", gene_symbols="feature_name")
    added = table.iloc[:, :2].assign(Actb=table["NA"] + table["Actb"])
    assert_read(found, added)
    assert list(found.raw.var_names) == ["Cd3e", "Cd19", "Actb"]
    np.testing.assert_array_equal(found.raw.X.toarray(), added)
    np.testing.assert_array_equal(found.layers["counts"], [[200, 200, 400]] * 3)
    assert found.uns["title"] == "three cells"
    assert found.obsm["X_pca"].shape == (3, 2)


def test_symbols_of_a_backed_file_are_numbered(cells, tmp_path):
    cells.var["feature_name"] = ["Cd3e", "Cd19", "Actb", "Actb"]
    cells.write_h5ad(tmp_path / "a.h5ad")
    with pytest.warns(PrismWarning, match="numbered, and stay columns of their own"):
        found = read_cells(tmp_path / "a.h5ad", gene_symbols="feature_name", backed=True)
    assert list(found.var_names) == ["Cd3e", "Cd19", "Actb", "Actb-1"]
    found.file.close()
    with pytest.raises(InputError, match="`backed` is for h5ad files and zarr stores as they are"):
        read_cells(tmp_path / "a.h5ad", backed=True, repeated_genes="add")


@pytest.mark.parametrize("repeated", [None, "refuse"])
def test_repeated_names_of_a_file_are_a_choice(tmp_path, repeated):
    (tmp_path / "a.csv").write_text("cell,Actb,Actb\nx,1,2\n")
    with pytest.raises(
        InputError, match=r"'Actb'. If they are columns of one gene, have them added by repeated_genes='add'"
    ):
        read_cells(tmp_path / "a.csv", repeated_genes=repeated)
    with pytest.warns(PrismWarning, match="their counts were added"):
        assert read_cells(tmp_path / "a.csv", repeated_genes="add").X.toarray().tolist() == [[3]]
    with pytest.raises(InputError, match="`repeated_genes` must be one of"):
        read_cells(tmp_path / "a.csv", repeated_genes="sum")


def test_text_that_may_be_missing_becomes_plain(cells, tmp_path):
    cells.obs["type"] = pd.array(["T", None, "B"], dtype="string")
    cells.obs["kind"] = pd.Categorical(pd.array(["T", None, "B"], dtype="string"))
    cells.obs.index, cells.var.index = cells.obs.index.astype("string"), cells.var.index.astype("string")
    with anndata.settings.override(allow_write_nullable_strings=True):
        cells.write_h5ad(tmp_path / "a.h5ad")
    found = read_cells(tmp_path / "a.h5ad")
    with anndata.settings.override(allow_write_nullable_strings=False):
        found.write_h5ad(tmp_path / "b.h5ad")
    again = anndata.read_h5ad(tmp_path / "b.h5ad")
    assert list(again.obs_names) == ["AAAC-1", "AAAG-1", "AATC-1"]
    for column in ("type", "kind"):
        assert again.obs[column].isna().tolist() == [False, True, False]
        assert again.obs[column].dropna().tolist() == ["T", "B"]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("part", ["X/data", "X/indptr", "X/indices", "obs/_index"])
def test_a_zarr_store_without_a_piece_is_refused(cells, tmp_path, version, part):
    write_zarr(cells, tmp_path / "a.zarr", version=version)
    pieces = [
        file for file in (tmp_path / "a.zarr" / part).rglob("*") if file.is_file() and not file.name.startswith(".")
    ]
    pieces = [file for file in pieces if file.name != "zarr.json"]
    assert pieces
    for file in pieces:
        file.unlink()
    with pytest.raises(
        InputError, match=rf"not complete: pieces .* as zeros: '{part}(/values)? \(1 of 1 pieces\)'. Copy the whole"
    ):
        read_cells(tmp_path / "a.zarr")


def test_a_zarr_store_without_a_listed_folder_is_refused(cells, tmp_path):
    cells.obs["n"] = [1, 2, 3]
    write_zarr(cells, tmp_path / "a.zarr", version=2)
    shutil.rmtree(tmp_path / "a.zarr" / "obs" / "n")
    with pytest.raises(InputError, match=r"not complete: it lists 'obs/n', of which nothing is there"):
        read_cells(tmp_path / "a.zarr")


def test_pieces_of_a_dense_zarr_store_and_of_categories_are_warned_of(cells, tmp_path):
    cells.X = cells.X.toarray()
    cells.obs["type"] = pd.Categorical(["T", "B", "B"])
    write_zarr(cells, tmp_path / "a.zarr", version=2)
    for part in ("X", "obs/type/codes"):
        for file in (tmp_path / "a.zarr" / part).iterdir():
            if not file.name.startswith("."):
                file.unlink()
    with pytest.warns(PrismWarning, match=r"as zeros: .*'X \(1 of 1 pieces\)'") as caught:
        read_cells(tmp_path / "a.zarr", check=False)
    assert "obs/type/codes" in str(caught[0].message)


def test_a_zarr_store_whose_zeros_were_left_out_is_read(tmp_path):
    cells = anndata.AnnData(sparse.csr_matrix(np.array([[5.0, 0], [7, 0]], dtype="f4")))
    cells.obs["type"] = pd.Categorical(["T", "T"])
    cells.obs["n"] = [0, 0]
    write_zarr(cells, tmp_path / "a.zarr", version=3)
    assert read_cells(tmp_path / "a.zarr").X.toarray().tolist() == [[5, 0], [7, 0]]


def test_what_a_library_fails_on_is_said_as_it_is(cells, tmp_path):
    cells.write_h5ad(tmp_path / "float16.h5ad")
    with h5py.File(tmp_path / "float16.h5ad", "r+") as file:
        values, attributes = file["X/data"][:].astype("f2"), dict(file["X/data"].attrs)
        del file["X/data"]
        file["X/data"] = values
        file["X/data"].attrs.update(attributes)
    cells.write_h5ad(tmp_path / "newer.h5ad")
    with h5py.File(tmp_path / "newer.h5ad", "r+") as file:
        file["X"].attrs["encoding-version"] = "9.0.0"
    for name, meaning in {"float16": "of the type float16", "newer": "written by a newer version"}.items():
        with pytest.raises(InputError, match=meaning) as caught:
            read_cells(tmp_path / f"{name}.h5ad")
        assert "cut off" not in str(caught.value)


def test_a_locked_file_is_said_to_be_locked(cells, tmp_path):
    cells.write_h5ad(tmp_path / "a.h5ad")
    code = "import sys; from scprism.read.files import read_cells; read_cells(sys.argv[1])"
    with h5py.File(tmp_path / "a.h5ad", "r+"):
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "a.h5ad"], capture_output=True, text=True, check=False, timeout=120
        )
    if done.returncode == 0:
        pytest.skip("this file system has no locks")
    assert "Another program has it open for writing" in done.stderr
    assert "cut off" not in done.stderr


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (PermissionError(13, "Permission denied"), "no permission"),
        (OSError("Unable to synchronously open file (truncated file: eof = 1)"), "cut off or damaged"),
        (EOFError("Compressed file ended before the end-of-stream marker was reached"), "cut off or damaged"),
        (OSError("can't synchronously read data (required filter 'blosc' is not registered)"), "not installed here"),
        (OSError("bad superblock version number"), "newer version"),
    ],
)
def test_each_cause_has_its_own_advice(error, meaning):
    text = str(unreadable(pathlib.Path("a.h5ad"), "h5ad", error))
    assert meaning in text
    assert meaning == "cut off or damaged" or "cut off" not in text


def test_an_unknown_error_is_not_guessed_at():
    assert str(unreadable(pathlib.Path("a"), "h5ad", ValueError("odd.\nmore"))) == "'a' cannot be read as h5ad: odd."


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
    with pytest.raises(InputError, match=r"a.h5ad' cannot be read as h5ad: .*A part that h5ad files have is not in it"):
        read_cells(tmp_path / "a.h5ad")


def test_text_called_h5ad_is_refused(tmp_path):
    (tmp_path / "a.h5ad").write_text("cell,gene\n")
    with pytest.raises(
        InputError, match=r"a.h5ad' cannot be read as HDF5: .*Its name says one format and its content another"
    ):
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
    with pytest.raises(InputError, match="`backed` is for h5ad files and zarr stores as they are"):
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
