import gzip

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from scprism.errors import InputError, PrismWarning
from scprism.prepare.learn import map_by_name
from scprism.read.counts import find_counts
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
@pytest.mark.parametrize("repeated", [None, "add", "number"])
def test_repeated_symbols_of_10x_data_are_added_or_numbered(table, assert_read, tmp_path, kind, repeated):
    symbols = ["Actb", "Cd19", "Actb", "Actb"]
    if kind == "folder":
        rows = [(f"ENSMUSG{i:011}", symbol) for i, symbol in enumerate(symbols)]
        path = write_10x_folder(tmp_path / "v2", table, genes=rows, version=2)
    else:
        path = write_10x_h5(tmp_path / "a.h5", table, symbols=symbols, kinds=["Gene Expression"] * 4)
    with pytest.warns(PrismWarning, match=r"2 columns have the name of another gene \('Actb'\)"):
        found = read_cells(path, repeated_genes=repeated, check=False)
    numbered = table.set_axis(["Actb", "Cd19", "Actb-1", "Actb-2"], axis=1)
    added = pd.DataFrame({"Actb": [3, 1, 304], "Cd19": [0, 3, 0]}, index=table.index)
    assert_read(found, numbered if repeated == "number" else added)
    # a model sees the same genes either way
    np.testing.assert_array_equal(map_by_name(find_counts(found)[1], ["Actb"]).pick(found.X).toarray(), added[["Actb"]])


@pytest.mark.parametrize("third", ["protein_coding", "", "gene"])
def test_a_third_column_of_something_else_drops_no_gene(table, assert_read, tmp_path, third):
    rows = [(f"ENSMUSG{i:011}", gene, third) for i, gene in enumerate(table.columns)]
    assert_read(read_cells(write_10x_folder(tmp_path / "out", table, genes=rows)), table)


def test_features_of_other_assays_are_refused_with_the_choice(table, assert_read, tmp_path):
    rows = [
        (gene, gene, kind) for gene, kind in zip(table.columns, ["RNA", "RNA", "Antibody Capture", "RNA"], strict=True)
    ]
    path = write_10x_folder(tmp_path / "out", table, genes=rows)
    with pytest.raises(InputError, match=r"'RNA', 'Antibody Capture'. Choose the kind .* by feature_type='RNA'"):
        read_cells(path)
    assert_read(read_cells(path, feature_type="RNA"), table.iloc[:, [0, 1, 3]])
    with pytest.raises(InputError, match=r"no feature of the kind 'rna'. .* Closest: 'RNA'"):
        read_cells(path, feature_type="rna")


@pytest.mark.parametrize("joint", ["_", ".", "-"])
def test_files_of_a_sample_are_found_and_hidden_ones_passed_over(table, assert_read, tmp_path, joint):
    rows = [(gene, gene) for gene in table.columns]
    folder = write_10x_folder(tmp_path / "out", table, genes=rows, version=2, prefix=f"GSM1{joint}")
    (folder / "._matrix.mtx").write_bytes(b"\0\5\x16\7")
    (folder / f"._GSM1{joint}barcodes.tsv").write_bytes(b"\0\5\x16\7")
    assert_read(read_cells(folder), table)


def test_a_folder_of_two_samples_is_refused(table, tmp_path):
    rows = [(gene, gene) for gene in table.columns]
    folder = write_10x_folder(tmp_path / "out", table, genes=rows, version=2, prefix="GSM1_")
    for file in list(folder.iterdir()):
        (folder / file.name.replace("GSM1", "GSM2")).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match=r"has 2. Found: 'GSM1_matrix.mtx', 'GSM2_matrix.mtx'. .* files of one sample"):
        read_cells(folder)


def test_two_genomes_of_version_2_are_a_choice(table, assert_read, tmp_path):
    path = write_10x_v2_h5(tmp_path / "a.h5", table)
    with h5py.File(path, "r+") as file:
        file.copy("mm10", "hg19")
        file["hg19/data"][...] = file["hg19/data"][:] * 2
    with pytest.raises(InputError, match=r"holds 2 genomes: 'hg19', 'mm10'. .* choose one by genome='hg19'"):
        read_cells(path)
    assert_read(read_cells(path, genome="mm10"), table)
    assert_read(read_cells(path, genome="hg19"), table * 2)
    with pytest.raises(InputError, match=r"`genome` must be one of those of .*'hg19', 'mm10'; got 'mm9'"):
        read_cells(path, genome="mm9")


def test_two_genomes_of_version_3_are_a_choice(table, assert_read, tmp_path):
    symbols = ["GRCh38_CD3E", "GRCh38_CD19", "mm10___Cd3e", "mm10___Cd19"]
    path = write_10x_h5(tmp_path / "a.h5", table, symbols=symbols, kinds=["Gene Expression"] * 4)
    with h5py.File(path, "r+") as file:
        file["matrix/features/genome"][...] = np.array(["GRCh38"] * 2 + ["mm10"] * 2, dtype="S")
    with pytest.raises(InputError, match=r"2 of GRCh38 and 2 of mm10\. .* genome='GRCh38' when reading"):
        read_cells(path)
    with pytest.warns(PrismWarning, match="2 genes have the prefix 'mm10_', which was left out"):
        found = read_cells(path, genome="mm10")
    assert list(find_counts(found)[1]) == ["Cd3e", "Cd19"]
    np.testing.assert_array_equal(found.X.toarray(), table.iloc[:, 2:])
    with pytest.raises(InputError, match="`genome` must be one of"):
        read_cells(path, genome="hg19")


def test_prefixes_of_a_folder_choose_the_genome(table, assert_read, tmp_path):
    names = ["GRCh38_CD3E", "GRCh38_CD19", "mm10___Cd3e", "mm10___Cd19"]
    path = write_10x_folder(tmp_path / "out", table, genes=[(name, name) for name in names], version=2)
    assert_read(read_cells(path, genome="mm10"), table.iloc[:, 2:].set_axis(["Cd3e", "Cd19"], axis=1))
    with pytest.raises(InputError, match=r"prefix of genome='hg19'. Genomes .*: 'GRCh38', 'mm10'"):
        read_cells(path, genome="hg19")


def test_an_incomplete_10x_folder_is_refused_with_what_is_there(table, tmp_path):
    folder = write_10x_folder(tmp_path / "v2", table, genes=[(gene, gene) for gene in table.columns], version=2)
    (folder / "barcodes.tsv").rename(folder / "cells.tsv")
    with pytest.raises(InputError, match=r"exactly one file barcodes.tsv \(or .gz\).*Found: 'cells.tsv', 'genes.tsv'"):
        read_cells(folder)


def test_a_10x_folder_of_files_that_do_not_fit_is_refused(table, tmp_path):
    folder = write_10x_folder(tmp_path / "v2", table, genes=[(gene, gene) for gene in table.columns[:3]], version=2)
    with pytest.raises(InputError, match="the matrix has 4 rows and 3 columns, for 3 genes and 3 barcodes"):
        read_cells(folder)
