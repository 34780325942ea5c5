"""What users hand in by mistake, each with its message."""

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import scprism
from scprism.errors import InputError, PrismWarning
from scprism.prepare.selection import hallmark_genes
from scprism.read.synthetic import Simulation, simulate_cells


@pytest.fixture(scope="module")
def cells() -> AnnData:
    return simulate_cells(Simulation(n_cells=60, genes=hallmark_genes("mouse")[:200]), rng=0)


@pytest.fixture(scope="module")
def model(cells):
    return scprism.Prism(units="raw", hidden_size=8, bottleneck_size=3, max_epochs=1, rng=0).fit(cells)


def test_a_path_is_not_cells(model):
    with pytest.raises(InputError, match=r"must come as an AnnData, got str. Read a file with scprism.read_cells"):
        model.embed("query.h5ad")


def test_groups_as_an_array_are_refused(model, cells):
    with pytest.raises(InputError, match=r"or a Series of groups, such as calls\['label'\], got ndarray"):
        model.explain(cells, groupby=np.array(["a"] * 60))


def test_labels_must_be_the_whole_table(cells):
    with pytest.raises(InputError, match="must be what `Model.label` returns, or its table"):
        scprism.annotate(cells, labels=pd.Series("B", index=cells.obs_names))


@pytest.mark.parametrize("values", [np.nan, None, pd.Categorical([np.nan] * 60)])
def test_a_reference_without_labels_is_refused(model, cells, values):
    reference = cells.copy()
    reference.obs["type"] = values
    with pytest.raises(InputError, match="No reference cell has a label in 'type'"):
        model.label(cells, reference=reference, labels="type")


@pytest.mark.parametrize(("values", "n_labels"), [(np.arange(60) / 7, 60), ("B", 1)])
def test_labels_that_are_no_cell_types_are_warned_of(model, cells, values, n_labels):
    reference = cells.copy()
    reference.obs["type"] = values
    with pytest.warns(PrismWarning, match=f"'type' holds {n_labels} different labels for 60 reference cells"):
        model.label(cells, reference=reference, labels="type")


def test_a_query_told_to_be_of_another_organism_is_warned_of(model, cells):
    human = cells.copy()
    human.var_names = [name.upper() for name in cells.var_names]
    with pytest.warns(PrismWarning, match="told to be mouse, but the gene symbols .* look like human ones"):
        model.embed(human, organism="mouse")


def test_a_model_of_few_genes_is_warned_of(cells):
    genes = [*cells.var_names[:20], "missing"]
    with pytest.warns(PrismWarning, match=r"Only \d+ genes go into the model"):
        scprism.Prism(units="raw", genes=genes, hidden_size=4, bottleneck_size=2, max_epochs=1, rng=0).fit(cells)


def test_a_query_without_any_gene_is_refused_however_low_the_limit(model, cells):
    foreign = cells.copy()
    foreign.var_names = [f"other_{i}" for i in range(cells.n_vars)]
    with pytest.raises(InputError, match="The query has 0 of the model's"):
        model.embed(foreign, min_coverage=0)


@pytest.mark.parametrize("limit", [2, -1])
def test_coverage_limits_are_shares(model, cells, limit):
    with pytest.raises(InputError, match="`min_coverage` must lie between 0 and 1"):
        model.embed(cells, min_coverage=limit)


def test_devices_are_checked(cells):
    with pytest.raises(InputError, match="`device` must be one of 'auto', 'cpu', 'cuda', 'mps', got 'gpu'"):
        scprism.Prism(units="raw", device="gpu", max_epochs=1).fit(cells)


def test_a_loom_file_of_anndata_keeps_its_names(cells, tmp_path):
    pytest.importorskip("loompy")
    plain = AnnData(cells.X.astype(np.float32), obs=cells.obs[["cell_type"]].astype(str), var=cells.var[[]])
    anndata.AnnData.write_loom(plain, tmp_path / "cells.loom")
    again = scprism.read_cells(tmp_path / "cells.loom")
    assert list(again.var_names) == list(cells.var_names)
    assert list(again.obs_names) == list(cells.obs_names)


def test_an_explanation_shows_itself_in_a_line(model, cells):
    text = repr(model.explain(cells, groupby="cell_type"))
    assert text.startswith("Explanation(4 groups × 3 units × ")
    assert len(text) < 200
