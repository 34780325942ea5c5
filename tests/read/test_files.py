import gzip
import json
import pickle
import subprocess
import sys
import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import io, sparse

from scprism.errors import InputError, PrismWarning
from scprism.read.files import read_cells

COUNTS = np.array([[1, 0, 2, 0], [0, 3, 0, 1], [4, 0, 0, 300]], dtype=np.float32)
CELLS = ["AAAC-1", "AAAG-1", "AATC-1"]
GENES = ["Cd3e", "Cd19", "NA", "Actb"]  # a gene called NA must not become a missing value


@pytest.fixture
def cells():
    return AnnData(sparse.csr_matrix(COUNTS), obs=pd.DataFrame(index=CELLS), var=pd.DataFrame(index=GENES))


def assert_read(found, *, counts=COUNTS, cell_names=CELLS, genes=GENES):
    assert list(found.obs_names) == list(cell_names)
    assert list(found.var_names) == list(genes)
    assert found.X.format == "csr"
    np.testing.assert_array_equal(found.X.toarray(), counts)


def write_table(path, *, separator, genes_in_rows=False, corner=""):
    frame = pd.DataFrame(COUNTS.astype(int), index=CELLS, columns=GENES)
    frame = frame.T if genes_in_rows else frame
    text = frame.to_csv(sep=separator, index_label=corner)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_zarr(cells, path, *, version):
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=version):
        warnings.simplefilter("ignore")  # anndata and zarr disagree on string types; no matter here
        cells.write_zarr(path)


def write_10x_folder(folder, *, genes, version=3, prefix=""):
    """Cell Ranger's folder: features in rows, all files gzipped from version 3 on."""
    folder.mkdir()
    end = ".gz" if version == 3 else ""
    name = "features" if version == 3 else "genes"
    io.mmwrite(folder / "plain.mtx", sparse.coo_matrix(COUNTS.T.astype(int)))
    files = {"matrix.mtx": (folder / "plain.mtx").read_text(), "barcodes.tsv": "\n".join(CELLS) + "\n"}
    files[f"{name}.tsv"] = "".join("\t".join(row) + "\n" for row in genes)
    (folder / "plain.mtx").unlink()
    for file, text in files.items():
        content = gzip.compress(text.encode()) if end else text.encode()
        (folder / f"{prefix}{file}{end}").write_bytes(content)
    return folder


def write_10x_h5(path, *, symbols, kinds):
    matrix = sparse.csc_matrix(COUNTS.T.astype(np.int32))  # (features, cells)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = matrix.data, matrix.indices, matrix.indptr
        group["shape"] = np.array(matrix.shape)
        group["barcodes"] = np.array(CELLS, dtype="S")
        features = group.create_group("features")
        features["id"] = np.array([f"ENSMUSG0000000000{i}" for i in range(4)], dtype="S")
        features["name"], features["feature_type"] = np.array(symbols, dtype="S"), np.array(kinds, dtype="S")
        features["genome"] = np.array(["mm10"] * 4, dtype="S")
    return path


def write_10x_v2_h5(path):
    matrix = sparse.csc_matrix(COUNTS.T.astype(np.int32))
    with h5py.File(path, "w") as file:
        group = file.create_group("mm10")
        group["data"], group["indices"], group["indptr"] = matrix.data, matrix.indices, matrix.indptr
        group["shape"] = np.array(matrix.shape)
        group["barcodes"] = np.array(CELLS, dtype="S")
        group["genes"] = np.array([f"ENSMUSG0000000000{i}" for i in range(4)], dtype="S")
        group["gene_names"] = np.array(GENES, dtype="S")
    return path


def test_h5ad_is_read_into_memory(cells, tmp_path):
    cells.write_h5ad(tmp_path / "a.h5ad")
    found = read_cells(str(tmp_path / "a.h5ad"))
    assert not found.isbacked
    assert_read(found)


def test_h5ad_is_read_backed(cells, tmp_path):
    cells.write_h5ad(tmp_path / "a.h5ad")
    found = read_cells(tmp_path / "a.h5ad", backed=True)
    assert found.isbacked
    np.testing.assert_array_equal(found.X[[0, 2]].toarray(), COUNTS[[0, 2]])
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
def test_zarr_is_read(cells, tmp_path, version):
    write_zarr(cells, tmp_path / "a.zarr", version=version)
    assert_read(read_cells(tmp_path / "a.zarr"))


def test_loom_is_read(cells, tmp_path):
    loompy = pytest.importorskip("loompy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # loompy's own
        loompy.create(str(tmp_path / "a.loom"), COUNTS.T, {"Gene": np.array(GENES)}, {"CellID": np.array(CELLS)})
    assert_read(read_cells(tmp_path / "a.loom"))


@pytest.mark.parametrize("corner", ["", "cell"])
@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ","), ("a.csv.gz", ","), ("a.tsv", "\t"), ("a.txt.gz", "\t")]
)
def test_tables_are_read(tmp_path, name, separator, corner):
    assert_read(read_cells(write_table(tmp_path / name, separator=separator, corner=corner)))


def test_tables_with_genes_in_rows_are_turned(tmp_path):
    path = write_table(tmp_path / "Kidney-counts.csv", separator=",", genes_in_rows=True)
    assert_read(read_cells(path, transpose=True))


def test_a_table_as_r_writes_it_is_read(tmp_path):
    lines = ["\t".join(f'"{gene}"' for gene in GENES)]
    lines += [
        f'"{cell}"\t' + "\t".join(f"{value:.0f}" for value in row) for cell, row in zip(CELLS, COUNTS, strict=True)
    ]
    (tmp_path / "a.tsv").write_text("\n".join(lines))
    assert_read(read_cells(tmp_path / "a.tsv"))


def test_a_table_is_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("scprism.read.text.VALUES_AT_ONCE", 8)  # two rows at once
    assert_read(read_cells(write_table(tmp_path / "a.csv", separator=",")))


def test_repeated_genes_of_a_table_are_seen(tmp_path):
    (tmp_path / "a.csv").write_text("cell,Actb,Actb\nx,1,2\n")
    with pytest.raises(InputError, match="used more than once: 'Actb'"):
        read_cells(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "needs a line of names", id="empty"),
        pytest.param("cell;a;b\nx;1;2\n", r"counts parted by ','; its second line is 'x;1;2'", id="other separator"),
        pytest.param("cell,a\nx,1,2,3\n", "2 fields in its first line and 4 in its second", id="header too short"),
        pytest.param("cell,a,type\nx,1,B cell\n", "these columns hold other things: 'type'", id="labels"),
        pytest.param("cell,a\nx,1\ny,many\n", "must hold numbers .*'many'", id="a word further down"),
        pytest.param("cell,a,b\nx,1,2\ny,1,2,3\n", "must hold numbers .*line 3, saw 4", id="a long line"),
        pytest.param("cell,a,b\nx,1,\ny,1,2\n", "1 values are missing", id="a gap in the first line"),
        pytest.param("cell,a,b\nx,1,2\ny,1,\n", "1 values are missing", id="a gap further down"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_cells(tmp_path / "a.csv")


def test_10x_folder_of_version_3_keeps_gene_expression(tmp_path):
    rows = [(f"ENSMUSG{i:011}", gene, "Gene Expression") for i, gene in enumerate(GENES[:3])]
    rows.append(("CD8", "CD8_ADT", "Antibody Capture"))
    found = read_cells(write_10x_folder(tmp_path / "out", genes=rows))
    assert_read(found, counts=COUNTS[:, :3], genes=GENES[:3])
    assert found.var["gene_ids"].tolist() == [f"ENSMUSG{i:011}" for i in range(3)]


@pytest.mark.parametrize("columns", [1, 2])
def test_10x_folder_of_tabula_muris_is_read(tmp_path, columns):
    folder = tmp_path / "Spleen-10X_P4_7"
    assert_read(read_cells(write_10x_folder(folder, genes=[(gene,) * columns for gene in GENES], version=2)))


def test_10x_folder_with_a_sample_prefix_is_read(tmp_path):
    rows = [(gene, gene, "Gene Expression") for gene in GENES]
    assert_read(read_cells(write_10x_folder(tmp_path / "GSE1", genes=rows, prefix="GSM1_s1_")))


@pytest.mark.parametrize("suffix", [".h5", ".h5ad"])
def test_10x_h5_is_told_by_its_content_and_keeps_gene_expression(tmp_path, suffix):
    kinds = ["Gene Expression"] * 3 + ["Antibody Capture"]
    found = read_cells(write_10x_h5(tmp_path / f"a{suffix}", symbols=GENES, kinds=kinds))
    assert_read(found, counts=COUNTS[:, :3], genes=GENES[:3])


def test_10x_h5_of_version_2_is_read(tmp_path):
    assert_read(read_cells(write_10x_v2_h5(tmp_path / "a.h5")))


@pytest.mark.parametrize("kind", ["folder", "h5"])
def test_repeated_symbols_of_10x_data_are_numbered(tmp_path, kind):
    symbols = ["Actb", "Cd19", "Actb", "Actb"]
    if kind == "folder":
        rows = [(f"ENSMUSG{i:011}", symbol) for i, symbol in enumerate(symbols)]
        path = write_10x_folder(tmp_path / "v2", genes=rows, version=2)
    else:
        path = write_10x_h5(tmp_path / "a.h5", symbols=symbols, kinds=["Gene Expression"] * 4)
    assert_read(read_cells(path), genes=["Actb", "Cd19", "Actb-1", "Actb-2"])


def test_an_incomplete_10x_folder_is_refused_with_what_is_there(tmp_path):
    folder = write_10x_folder(tmp_path / "v2", genes=[(gene, gene) for gene in GENES], version=2)
    (folder / "barcodes.tsv").rename(folder / "cells.tsv")
    with pytest.raises(InputError, match=r"exactly one file barcodes.tsv \(or .gz\).*Found: 'cells.tsv', 'genes.tsv'"):
        read_cells(folder)


def test_a_10x_folder_of_files_that_do_not_fit_is_refused(tmp_path):
    folder = write_10x_folder(tmp_path / "v2", genes=[(gene, gene) for gene in GENES[:3]], version=2)
    with pytest.raises(InputError, match="the matrix has 4 rows and 3 columns, for 3 genes and 3 barcodes"):
        read_cells(folder)


def test_symbols_from_a_column_become_the_names(cells, tmp_path):
    cells.var_names = [f"ENSMUSG{i:011}" for i in range(4)]
    cells.var["feature_name"] = ["Cd3e", "", "Actb", "Actb"]
    cells.raw = cells.copy()
    cells.write_h5ad(tmp_path / "a.h5ad")
    found = read_cells(tmp_path / "a.h5ad", gene_symbols="feature_name")
    assert_read(found, genes=["Cd3e", "ENSMUSG00000000001", "Actb", "Actb-1"])
    assert list(found.raw.var_names) == list(found.var_names)
    assert found.var["gene_ids"].tolist() == [f"ENSMUSG{i:011}" for i in range(4)]


def test_ensembl_ids_are_warned_of_with_the_column_of_symbols(cells, tmp_path):
    cells.var_names = [f"ENSMUSG{i:011}" for i in range(4)]
    cells.var["feature_name"] = GENES
    cells.write_h5ad(tmp_path / "a.h5ad")
    with pytest.warns(PrismWarning, match=r"'ENSMUSG00000000000'.*gene_symbols='feature_name'"):
        read_cells(tmp_path / "a.h5ad")


def test_an_unknown_column_of_symbols_is_refused(cells, tmp_path):
    cells.var["feature_name"] = GENES
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


def test_the_check_can_be_left_out(cells, tmp_path):
    cells.X = cells.X * 0.5
    cells.write_h5ad(tmp_path / "a.h5ad")
    assert_read(read_cells(tmp_path / "a.h5ad", check=False), counts=COUNTS / 2)


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
    with pytest.raises(InputError, match="`backed` is for h5ad files as they are"):
        read_cells(
            path if transpose else write_table(tmp_path / "a.csv", separator=","), backed=True, transpose=transpose
        )


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
