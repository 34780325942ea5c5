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


@pytest.mark.filterwarnings("ignore:Low gene coverage", "ignore:The query is unlike")
def test_a_reference_is_seen_through_the_gaps_of_the_query(model, cells):
    """Labelling by the whole reference is labelling by a reference whose file lacks the same genes."""
    kept = cells[:, ::2]
    lacking = model.label(kept, reference=cells, labels="cell_type")
    cut = model.label(kept, reference=kept, labels="cell_type")
    pd.testing.assert_series_equal(lacking["label"], cut["label"])
    pd.testing.assert_series_equal(lacking["distance"], cut["distance"])


@pytest.mark.filterwarnings("ignore:Low gene coverage", "ignore:The query is unlike")
def test_an_index_warns_of_a_query_with_gaps(model, cells):
    with pytest.warns(PrismWarning, match="Labels will be better with reference="):
        model.label(cells[:, ::2], labels="cell_type")


def test_cells_without_a_label_are_not_in_the_index(model, cells):
    assert len(model.labels_known["cell_type"].latent) == cells.n_obs
    assert len(model.labels_known["half"].latent) == cells.n_obs - 100


def test_the_index_holds_neither_counts_nor_cell_names(folder, cells):
    arrays = safetensors.numpy.load_file(folder / "index.safetensors")
    assert {name: array.shape[1:] for name, array in arrays.items() if name.startswith("0.")} == {
        "0.latent": (50,),
        "0.codes": (),
        "0.usual_distance": (),
        "0.centroid": (50,),
        "0.whitening": (50,),
    }
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
    with pytest.raises(BundleError, match="schema version 99, this scprism reads up to 2"):
        load(folder)


def test_an_index_of_an_older_scprism_is_refused(folder):
    record = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**record, "schema_version": 1}))
    with pytest.raises(BundleError, match="made by an earlier scprism .schema version 1.*Make it again: scprism index"):
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
