"""The options of reading: what Python has, the command line has."""

import inspect

import anndata
import numpy as np
import pandas as pd
import pytest
import typer
from scipy import sparse

import scprism
from scprism.cli import app
from scprism.cli.options import READING
from scprism.genes.tables import read_gene_ids
from scprism.read.datasets import load_dataset
from scprism.read.files import read_cells

READERS = (
    "adapt",
    "compare",
    "embed",
    "enrich",
    "explain",
    "fit",
    "index",
    "integrate",
    "label",
    "report",
    "run",
    "trust",
    "tune",
)


@pytest.fixture(scope="module")
def query():
    return load_dataset("mouse_lung_immune")[:40].copy()


@pytest.fixture(scope="module")
def model(tmp_path_factory, query):
    folder = tmp_path_factory.mktemp("model") / "model"
    reference = load_dataset("tm_droplet_immune")[:100]
    prism = scprism.Prism(units="raw", hidden_size=8, bottleneck_size=3, max_epochs=1, rng=0).fit(reference)
    prism.save(folder)
    return folder, prism.embed(query)


def embedded(path):
    return anndata.read_h5ad(path).obsm["X_prism"]


@pytest.mark.parametrize("name", READERS)
def test_every_command_that_reads_cells_has_what_reading_has(name):
    options = {p.name for p in typer.main.get_command(app).commands[name].params}
    asked_in_code = {"path", "layer", "backed", "check"}
    assert set(READING) == set(inspect.signature(read_cells).parameters) - asked_in_code
    assert set(READING) <= options


def test_a_table_of_genes_in_rows_is_turned(command_line, model, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    query.to_df().T.to_csv("turned.csv")
    status, _, said = command_line("embed", model[0], "turned.csv", "--out", "e.h5ad")
    assert status == 2
    assert "The rows must be cells" in said
    assert command_line("embed", model[0], "turned.csv", "--out", "e.h5ad", "--transpose")[0] == 0
    np.testing.assert_array_equal(embedded("e.h5ad"), model[1])
    query.write_h5ad("right.h5ad")  # with cells in rows, it stays as it is
    assert command_line("embed", model[0], "right.h5ad", "--out", "e.h5ad", "--transpose")[0] == 0
    np.testing.assert_array_equal(embedded("e.h5ad"), model[1])


def test_the_column_of_symbols_is_found_or_named(command_line, model, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids = {symbol: name for name, symbol in read_gene_ids().items() if name.startswith("ENSMUSG")}
    cells = query.copy()
    symbols = list(cells.var_names)
    cells.var_names = [ids.get(symbol, f"ENSMUSG9{i:010d}") for i, symbol in enumerate(symbols)]
    del cells.var["source_symbol"]
    cells.var["gene"], cells.var["label"] = list(cells.var_names), symbols
    cells.var["odd"] = [f"odd_{i}" for i in range(len(symbols))]
    cells.write_h5ad("ids.h5ad")
    status, _, said = command_line("embed", model[0], "ids.h5ad", "--out", "e.h5ad")
    assert (status, "took the symbols in .var['label']" in said) == (0, True)
    np.testing.assert_array_equal(embedded("e.h5ad"), model[1])
    status, _, said = command_line("embed", model[0], "ids.h5ad", "--out", "e.h5ad", "--gene-symbols", "odd")
    assert (status, "0 of the model's" in said) == (2, True)
    status, _, said = command_line("embed", model[0], "ids.h5ad", "--out", "e.h5ad", "--gene-symbols", "lable")
    assert (status, "got 'lable'. Closest: 'label'" in said) == (2, True)


def test_one_of_two_genomes_is_chosen(command_line, model, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"mm10___{name}" for name in query.var_names] + [f"GRCh38_{name.upper()}" for name in query.var_names]
    matrix = sparse.hstack([query.X, query.X * 3]).tocsr()
    anndata.AnnData(matrix, obs=query.obs, var=pd.DataFrame(index=names)).write_h5ad("two.h5ad")
    status, _, said = command_line("embed", model[0], "two.h5ad", "--out", "e.h5ad")
    assert (status, "The genes are of 2 genomes" in said) == (2, True)
    assert command_line("embed", model[0], "two.h5ad", "--out", "e.h5ad", "--genome", "mm10")[0] == 0
    np.testing.assert_array_equal(embedded("e.h5ad"), model[1])


def test_columns_of_one_gene_are_added_and_said(command_line, model, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    empty = sparse.csr_matrix((query.n_obs, 1))
    var = pd.DataFrame(
        {"feature_name": ["Cd74", *query.var_names]},
        index=["ENSMUSG00000999999"] + [f"ENSMUSG9{i:010d}" for i in range(query.n_vars)],
    )
    twin = anndata.AnnData(sparse.hstack([empty, query.X]).tocsr(), obs=query.obs, var=var)
    twin.write_h5ad("twin.h5ad")
    for choice in ((), ("--repeated-genes", "number")):
        status, _, said = command_line("embed", model[0], "twin.h5ad", "--out", "e.h5ad", *choice)
        assert (status, "1 columns have the name of another gene ('Cd74')" in said) == (0, True)
        np.testing.assert_array_equal(embedded("e.h5ad"), model[1])
