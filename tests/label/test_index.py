"""The reference index beside a model."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy

import scprism
from scprism.errors import BundleError, InputError, PrismWarning
from scprism.estimator.load import load
from scprism.estimator.prism import Prism
from scprism.read.synthetic import make_cells


@pytest.fixture(scope="module")
def cells():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def model(cells):
    trained = Prism(units="raw", genes="all", organism="human", max_epochs=20, device="cpu", rng=0).fit(cells)
    halves = pd.Series(np.arange(cells.n_obs) % 2).map({0: "even", 1: "odd"}).to_numpy()
    both = cells.copy()
    both.obs["half"] = np.where(np.arange(cells.n_obs) < 100, "NA", halves)
    return trained.index(both, labels=["cell_type", "half"])


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_the_index_labels_as_the_reference_does(model, cells, folder):
    by_reference = model.label(cells, reference=cells, labels="cell_type")
    by_index = load(folder).label(cells, labels="cell_type")
    pd.testing.assert_frame_equal(by_index.table, by_reference.table)
    pd.testing.assert_frame_equal(by_index.probabilities, by_reference.probabilities)


@pytest.mark.filterwarnings("ignore:Low gene coverage", "ignore:The query is unlike")
def test_a_reference_is_seen_through_the_gaps_of_the_query(model, cells):
    """Labelling by the whole reference is labelling by a reference whose file lacks the same genes."""
    kept = cells[:, ::2]
    lacking = model.label(kept, reference=cells, labels="cell_type")
    cut = model.label(kept, reference=kept, labels="cell_type")
    assert (lacking["label"] == cut["label"]).mean() > 0.98
    # the whole reference's variable genes, of which the query has some; the cut one's are chosen among those it has
    np.testing.assert_allclose(lacking["distance"], cut["distance"], atol=0.05)


@pytest.mark.filterwarnings("ignore:Low gene coverage", "ignore:The query is unlike")
def test_an_index_warns_of_a_query_with_gaps(model, cells):
    with pytest.warns(PrismWarning, match="Labels will be better with reference="):
        model.label(cells[:, ::2], labels="cell_type")


def test_cells_without_a_label_are_not_in_the_index(model, cells):
    assert model.labels_known["cell_type"].n_cells == cells.n_obs
    assert model.labels_known["half"].n_cells == cells.n_obs - 100


def test_the_index_holds_neither_counts_nor_cell_names(folder, cells, model):
    arrays = safetensors.numpy.load_file(folder / "index.safetensors")
    n_genes = len(model.labels_known["cell_type"].recipe.genes)
    by_cell = {name: array.shape[1:] for name, array in arrays.items() if array.shape[:1] == (cells.n_obs,)}
    assert {name for name in by_cell if name.startswith("0.") and "known" not in name} == {"0.points", "0.codes"}
    assert by_cell["0.points"] == (50,)
    assert arrays["0.loadings"].shape == (n_genes, 50)
    assert cells.obs_names[0] not in (folder / "index.json").read_text()


def test_an_index_of_another_model_is_refused(folder):
    record = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**record, "fingerprint": "0123"}))
    with pytest.raises(BundleError, match=r"does not belong here: it is of the model 0123.*scprism index MODEL"):
        load(folder)


def test_a_truncated_index_is_refused(folder):
    payload = (folder / "index.safetensors").read_bytes()
    (folder / "index.safetensors").write_bytes(payload[:-8])
    with pytest.raises(BundleError, match="index.safetensors is truncated or was edited"):
        load(folder)


def test_an_index_of_a_newer_scprism_is_refused(folder):
    record = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**record, "schema_version": 99}))
    with pytest.raises(BundleError, match="schema version 99, this scprism reads up to 4"):
        load(folder)


def test_an_index_of_an_older_scprism_is_refused(folder):
    record = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**record, "schema_version": 2}))
    with pytest.raises(BundleError, match="made by an earlier scprism .schema version 2.*Make it again: scprism index"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "other"}'])
def test_an_index_that_is_none_is_refused(folder, text):
    (folder / "index.json").write_text(text)
    with pytest.raises(BundleError, match="it cannot be read"):
        load(folder)


def test_learning_labels_leaves_the_model_as_it_was(model, cells):
    bare = dataclasses.replace(model, labels_known={})
    learned = bare.index(cells, labels="cell_type")
    assert (dict(bare.labels_known), list(learned.labels_known)) == ({}, ["cell_type"])
    assert learned.fingerprint == model.fingerprint


def test_without_index_and_reference_the_message_says_what_to_do(cells, model):
    bare = dataclasses.replace(model, labels_known={})
    with pytest.raises(InputError, match="no reference index. Give labelled cells .* scprism index MODEL"):
        bare.label(cells)


def test_a_column_must_be_chosen_of_several(model, cells):
    with pytest.raises(InputError, match="has several label columns: 'cell_type', 'half'"):
        model.label(cells)
    with pytest.raises(InputError, match="column of the model's index, got 'cell_typ'. Closest: 'cell_type'"):
        model.label(cells, labels="cell_typ")


def test_a_reference_needs_its_column(model, cells):
    with pytest.raises(InputError, match="`labels` is needed beside `reference`"):
        model.label(cells, reference=cells)


def test_an_index_needs_a_trained_model(cells):
    with pytest.raises(scprism.PrismError, match="not trained yet"):
        Prism().index(cells, labels="cell_type")
