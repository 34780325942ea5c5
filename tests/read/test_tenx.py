import gzip

import h5py
import numpy as np
import pytest
from scipy import io, sparse

from scprism.errors import InputError
from scprism.read.files import read_cells


def write_10x_folder(folder, table, *, genes, version=3, prefix=""):
    """Cell Ranger's folder: features in rows, all files gzipped from version 3 on."""
    folder.mkdir()
    end = ".gz" if version == 3 else ""
    name = "features" if version == 3 else "genes"
    io.mmwrite(folder / "plain.mtx", sparse.coo_matrix(table.T.to_numpy()))
    files = {"matrix.mtx": (folder / "plain.mtx").read_text(), "barcodes.tsv": "\n".join(table.index) + "\n"}
    files[f"{name}.tsv"] = "".join("\t".join(row) + "\n" for row in genes)
    (folder / "plain.mtx").unlink()
    for file, text in files.items():
        content = gzip.compress(text.encode()) if end else text.encode()
        (folder / f"{prefix}{file}{end}").write_bytes(content)
    return folder


def write_10x_h5(path, table, *, symbols, kinds):
    matrix = sparse.csc_matrix(table.T.to_numpy(dtype=np.int32))  # (features, cells)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = matrix.data, matrix.indices, matrix.indptr
        group["shape"] = np.array(matrix.shape)
        group["barcodes"] = np.array(list(table.index), dtype="S")
        features = group.create_group("features")
        features["id"] = np.array([f"ENSMUSG0000000000{i}" for i in range(4)], dtype="S")
        features["name"], features["feature_type"] = np.array(symbols, dtype="S"), np.array(kinds, dtype="S")
        features["genome"] = np.array(["mm10"] * 4, dtype="S")
    return path


def write_10x_v2_h5(path, table):
    matrix = sparse.csc_matrix(table.T.to_numpy(dtype=np.int32))
    with h5py.File(path, "w") as file:
        group = file.create_group("mm10")
        group["data"], group["indices"], group["indptr"] = matrix.data, matrix.indices, matrix.indptr
        group["shape"] = np.array(matrix.shape)
        group["barcodes"] = np.array(list(table.index), dtype="S")
        group["genes"] = np.array([f"ENSMUSG0000000000{i}" for i in range(4)], dtype="S")
        group["gene_names"] = np.array(list(table.columns), dtype="S")
    return path


def test_10x_folder_of_version_3_keeps_gene_expression(table, assert_read, tmp_path):
    rows = [(f"ENSMUSG{i:011}", gene, "Gene Expression") for i, gene in enumerate(table.columns[:3])]
    rows.append(("CD8", "CD8_ADT", "Antibody Capture"))
    found = read_cells(write_10x_folder(tmp_path / "out", table, genes=rows))
    assert_read(found, table.iloc[:, :3])
    assert found.var["gene_ids"].tolist() == [f"ENSMUSG{i:011}" for i in range(3)]


@pytest.mark.parametrize("columns", [1, 2])
def test_10x_folder_of_tabula_muris_is_read(table, assert_read, tmp_path, columns):
    folder = tmp_path / "Spleen-10X_P4_7"
    assert_read(
        read_cells(write_10x_folder(folder, table, genes=[(gene,) * columns for gene in table.columns], version=2)),
        table,
    )


def test_10x_folder_with_a_sample_prefix_is_read(table, assert_read, tmp_path):
    rows = [(gene, gene, "Gene Expression") for gene in table.columns]
    assert_read(read_cells(write_10x_folder(tmp_path / "GSE1", table, genes=rows, prefix="GSM1_s1_")), table)


@pytest.mark.parametrize("suffix", [".h5", ".h5ad"])
def test_10x_h5_is_told_by_its_content_and_keeps_gene_expression(table, assert_read, tmp_path, suffix):
    kinds = ["Gene Expression"] * 3 + ["Antibody Capture"]
    found = read_cells(write_10x_h5(tmp_path / f"a{suffix}", table, symbols=list(table.columns), kinds=kinds))
    assert_read(found, table.iloc[:, :3])


def test_10x_h5_of_version_2_is_read(table, assert_read, tmp_path):
    assert_read(read_cells(write_10x_v2_h5(tmp_path / "a.h5", table)), table)


@pytest.mark.parametrize("kind", ["folder", "h5"])
def test_repeated_symbols_of_10x_data_are_numbered(table, assert_read, tmp_path, kind):
    symbols = ["Actb", "Cd19", "Actb", "Actb"]
    if kind == "folder":
        rows = [(f"ENSMUSG{i:011}", symbol) for i, symbol in enumerate(symbols)]
        path = write_10x_folder(tmp_path / "v2", table, genes=rows, version=2)
    else:
        path = write_10x_h5(tmp_path / "a.h5", table, symbols=symbols, kinds=["Gene Expression"] * 4)
    assert_read(read_cells(path), table.set_axis(["Actb", "Cd19", "Actb-1", "Actb-2"], axis=1))


def test_an_incomplete_10x_folder_is_refused_with_what_is_there(table, tmp_path):
    folder = write_10x_folder(tmp_path / "v2", table, genes=[(gene, gene) for gene in table.columns], version=2)
    (folder / "barcodes.tsv").rename(folder / "cells.tsv")
    with pytest.raises(InputError, match=r"exactly one file barcodes.tsv \(or .gz\).*Found: 'cells.tsv', 'genes.tsv'"):
        read_cells(folder)


def test_a_10x_folder_of_files_that_do_not_fit_is_refused(table, tmp_path):
    folder = write_10x_folder(tmp_path / "v2", table, genes=[(gene, gene) for gene in table.columns[:3]], version=2)
    with pytest.raises(InputError, match="the matrix has 4 rows and 3 columns, for 3 genes and 3 barcodes"):
        read_cells(folder)
