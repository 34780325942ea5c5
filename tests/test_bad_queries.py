"""Queries that cannot be used: each is refused with what is wrong, where, and what to do; nothing is left behind."""

import dataclasses

import anndata
import numpy as np
import pandas as pd
import pytest

import scprism
from scprism.genes.tables import read_gene_ids
from scprism.read.datasets import load_dataset


@pytest.fixture(scope="module")
def reference():
    return load_dataset("tm_droplet_immune")[::10].copy()


@pytest.fixture(scope="module")
def model(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    scprism.Prism(units="raw", hidden_size=8, bottleneck_size=4, max_epochs=1, rng=0).fit(reference).save(folder)
    return folder


@pytest.fixture
def query():
    return load_dataset("mouse_lung_immune")[::20].copy()


def normalised(cells):
    cells.X = cells.X.multiply(1e4 / cells.X.sum(axis=1)).log1p().tocsr().astype(np.float32)
    return cells


def few_genes(cells):
    return cells[:, np.random.default_rng(0).random(cells.n_vars) < 0.05].copy()


def same_barcodes(cells):
    cells.obs_names = ["AAAC-1", "AAAC-1", *cells.obs_names[2:]]
    return cells


def rat_ids(cells):
    cells.var = pd.DataFrame(index=[f"ENSRNOG{i:011d}" for i in range(cells.n_vars)])
    return cells


BAD = [
    pytest.param(
        lambda cells: cells,
        ["--organism", "human"],
        ["told to be human, but 1,9", "known in mouse only", "in human only", "Leave --organism out"],
        id="wrong species told",
    ),
    pytest.param(
        lambda cells: cells.T.copy(),
        [],
        ["The rows must be cells and the columns genes, but the rows are named like genes", "--transpose"],
        id="genes as rows",
    ),
    pytest.param(
        normalised,
        [],
        ["Raw counts are whole numbers, but", "They look like logarithms (log1p)", "Give the raw counts"],
        id="normalised values",
    ),
    pytest.param(
        few_genes,
        [],
        ["of the model's", "% of the reference's expression", "at least 50% are required. Missing, highest first:"],
        id="5 % of the genes",
    ),
    pytest.param(lambda cells: cells[:0], [], ["holds no cell"], id="empty"),
    pytest.param(
        same_barcodes,
        [],
        ["Cell names must be unique, but these are used more than once: 'AAAC-1'", "put the sample's name before"],
        id="duplicate barcodes",
    ),
    pytest.param(
        rat_ids,
        [],
        ["Genes must be symbols such as", "got Ensembl ids such as 'ENSRNOG", "--gene-symbols"],
        id="rat ids",
    ),
]


@pytest.mark.filterwarnings("ignore:Observation names are not unique")  # of anndata, which has its own remark
@pytest.mark.parametrize("command", ["embed", "label"])
@pytest.mark.parametrize(("spoil", "options", "messages"), BAD)
def test_a_bad_query_is_refused_and_nothing_is_written(
    command_line, model, reference, query, tmp_path, spoil, options, messages, command
):
    spoil(query).copy().write_h5ad(tmp_path / "query.h5ad")
    reference.write_h5ad(tmp_path / "reference.h5ad")
    labelled = ("--reference", tmp_path / "reference.h5ad", "--labels", "cell_type") if command == "label" else ()
    status, output, said = command_line(
        command,
        model,
        tmp_path / "query.h5ad",
        *labelled,
        *options,
        "--out",
        tmp_path / ("result.csv" if command == "label" else "result.h5ad"),
    )
    assert (status, output) == (2, "")
    assert not [message for message in messages if message not in said], said
    assert "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["query.h5ad", "reference.h5ad"]


def test_a_bad_query_is_known_before_a_model_is_trained_for_it(command_line, reference, query, tmp_path):
    normalised(query).write_h5ad(tmp_path / "query.h5ad")
    reference.write_h5ad(tmp_path / "reference.h5ad")
    files = (tmp_path / "reference.h5ad", tmp_path / "query.h5ad")
    status, _, said = command_line("run", *files, "--labels", "cell_type", "--out", tmp_path / "out")
    assert (status, "Raw counts are whole numbers" in said, "training" in said) == (2, True, False)
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:The query is unlike the reference")
def test_one_cell_is_labelled_as_it_is_among_others(reference, model, query):
    prism = scprism.load(model)
    alone, among = (prism.label(cells, reference=reference, labels="cell_type") for cells in (query[3:4].copy(), query))
    pd.testing.assert_frame_equal(alone.table, among.table.iloc[3:4])


def test_spike_ins_and_mitochondrial_genes_do_not_move_a_cell(model, query):
    # the default's library is that of the model's genes, of which these are none
    prism = scprism.load(model)
    rng = np.random.default_rng(0)
    names = ["ERCC-00002", "mt-Rnr1", "mt-Rnr2"]
    added = anndata.AnnData(rng.poisson(500, (query.n_obs, 3)).astype(np.float32), obs=query.obs[[]])
    added.var_names = names
    kept = query[:, ~query.var_names.isin(names)]
    more = anndata.concat([kept, added], axis=1)
    np.testing.assert_array_equal(prism.embed(more), prism.embed(kept))


def test_ensembl_ids_give_what_symbols_give(model, query):
    prism = scprism.load(model)
    ids = {symbol: f"{name}.7" for name, symbol in read_gene_ids().items() if name.startswith("ENSMUSG")}
    kept = query[:, query.var_names.isin(list(ids))].copy()
    renamed = kept.copy()
    renamed.var_names = [ids[name] for name in kept.var_names]
    np.testing.assert_array_equal(prism.embed(renamed), prism.embed(kept))
    assert set(prism.align(renamed).coverage["found"]) == {"id", "missing"}


def test_mouse_symbols_in_capitals_need_no_orthologs(model, query):
    prism = scprism.load(model)
    capitals = query.copy()
    capitals.var_names = [name.upper() for name in query.var_names]
    capitals.var_names_make_unique()
    assert "ortholog" not in set(prism.align(capitals).coverage["found"])
    assert prism.align(capitals).share_of_genes == pytest.approx(prism.align(query).share_of_genes, abs=0.005)


def test_coverage_of_counts_in_raw_is_that_of_raw(model, query):
    prism = scprism.load(model)
    query.raw = query
    some_genes = query[:, :2000].copy()
    assert prism.align(some_genes, layer="raw").share_of_genes == prism.align(query).share_of_genes
    in_raw = dataclasses.replace(prism, asked=dataclasses.replace(prism.asked, layer="raw"))
    assert in_raw.align(some_genes).share_of_genes == prism.align(query).share_of_genes
