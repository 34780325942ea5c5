"""The trained model: a record that comes back as it was saved, and remembers what it was asked."""

import copy
import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import scprism
from scprism import Config, Model, Prism, View
from scprism.errors import InputError, PrismError, PrismWarning
from scprism.prepare.selection import hallmark_genes
from scprism.read.synthetic import Simulation, make_cells, simulate_cells

pytestmark = pytest.mark.filterwarnings("ignore:The query is unlike")  # cells of another seed are another tissue

SMALL = {
    "units": "raw",
    "genes": "all",
    "organism": "human",
    "hidden_size": 8,
    "bottleneck_size": 3,
    "max_epochs": 2,
    "device": "cpu",
}


def in_a_layer(cells, *, layer="counts"):
    """The same cells with their counts in a layer, and other whole numbers, which pass for counts, in X."""
    moved = cells.copy()
    moved.layers[layer] = cells.X.copy()
    moved.X = np.full(cells.shape, 3.0, dtype=np.float32)
    return moved


@pytest.fixture(scope="module")
def cells():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def query():
    return make_cells(rng=1)[:100].copy()


@pytest.fixture(scope="module")
def trainer():
    return Prism(**SMALL, layer="counts", rng=7)


@pytest.fixture(scope="module")
def model(trainer, cells):
    return trainer.fit(in_a_layer(cells)).index(in_a_layer(cells), labels="cell_type")


def test_what_was_saved_is_what_comes_back(model, query, tmp_path):
    model.save(tmp_path / "model")
    again = scprism.load(tmp_path / "model")
    assert type(again) is Model
    for name in ("config", "asked", "summary", "warnings", "trials", "genes", "organism", "fingerprint"):
        assert getattr(again, name) == getattr(model, name), name
    given = {name: value for name, value in SMALL.items() if name not in ("organism", "device", "units")}
    assert again.asked == dataclasses.replace(
        again.asked, preset="default", settings=given, layer="counts", organism="human", seed=7, device="cpu"
    )
    pd.testing.assert_frame_equal(again.log, model.log, check_exact=True)
    foreign = in_a_layer(query)
    np.testing.assert_array_equal(again.embed(foreign), model.embed(foreign))
    pd.testing.assert_frame_equal(again.label(foreign).table, model.label(foreign).table)
    again.save(tmp_path / "again")
    files = {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()}
    assert files == {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()}


def test_a_loaded_model_reads_the_layer_that_it_was_trained_on(model, query, tmp_path):
    model.save(tmp_path / "model")
    again = scprism.load(tmp_path / "model")
    by_hand = dataclasses.replace(model, asked=dataclasses.replace(model.asked, layer=None)).embed(query)
    np.testing.assert_array_equal(again.embed(in_a_layer(query)), by_hand)
    np.testing.assert_array_equal(again.embed(query, layer="X"), by_hand)
    assert np.abs(again.embed(in_a_layer(query), layer="X") - by_hand).max() > 0.1
    with pytest.raises(InputError, match=r"There is no layer 'counts'.*'X' for \.X"):
        again.embed(query)


def test_a_generator_leaves_no_seed(cells, tmp_path):
    generator = Prism(**SMALL, rng=np.random.default_rng(0)).fit(cells)
    assert generator.asked.seed is None
    generator.save(tmp_path / "model")
    assert scprism.load(tmp_path / "model").asked == generator.asked


def test_a_list_of_genes_comes_back(cells, tmp_path):
    genes = list(cells.var_names[:60])
    told = Prism(**{**SMALL, "genes": genes}, rng=0).fit(cells)
    told.save(tmp_path / "model")
    assert scprism.load(tmp_path / "model").asked.settings["genes"] == tuple(genes)


def test_a_model_is_not_changed(model):
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.config = Config()
    assert copy.copy(model).fingerprint == model.fingerprint


def test_warnings_of_the_training_are_kept(cells, tmp_path):
    empty = cells.copy()
    empty.X = np.where(np.arange(cells.n_obs)[:, None] < 2, 0, cells.X.toarray())
    trainer = Prism(**{**SMALL, "genes": list(cells.var_names[:30])}, rng=0)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        kept = trainer.fit(empty).warnings
    assert [str(w.message) for w in seen] == list(kept)  # shown, too
    assert [text.split(" ", 2)[0] for text in kept] == ["2", "Only"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)
        hidden = trainer.fit(empty)  # who silences them has them still
    assert hidden.warnings == kept
    hidden.save(tmp_path / "model")
    assert scprism.load(tmp_path / "model").warnings == kept


def test_warnings_point_at_the_line_that_called_scprism(cells, query):
    model = Prism(**SMALL, rng=0).fit(cells)
    for call in (lambda: model.embed(query[:, :150]), lambda: model.view(query[:, :150])):
        with pytest.warns(PrismWarning, match="Low gene coverage") as seen:
            call()
        assert [w.filename for w in seen if issubclass(w.category, PrismWarning)] == [__file__]


def test_a_view_gives_what_the_model_gives(model, query):
    view, cells = model.view(in_a_layer(query)), in_a_layer(query)
    np.testing.assert_array_equal(view.embed(), model.embed(cells))
    np.testing.assert_array_equal(view.denoise(), model.denoise(cells))
    np.testing.assert_array_equal(view.denoise(adjust=False), model.denoise(cells, adjust=False))
    pd.testing.assert_frame_equal(view.label().table, model.label(cells).table)
    pd.testing.assert_frame_equal(
        view.label(reference=cells, labels="cell_type").table,
        model.label(cells, reference=cells, labels="cell_type").table,
    )
    ours, theirs = view.explain(groupby="cell_type"), model.explain(cells, groupby="cell_type")
    np.testing.assert_array_equal(ours.signed, theirs.signed)
    pd.testing.assert_frame_equal(view.coverage, model.align(cells).coverage)


def test_a_changed_result_of_a_view_does_not_change_the_view(model, query):
    view = model.view(in_a_layer(query))
    view.embed()[:] = 0
    coverage = view.coverage
    coverage["found"] = "missing"
    np.testing.assert_array_equal(view.embed(), model.embed(in_a_layer(query)))
    assert (view.coverage["found"] == "name").all()


def test_each_data_set_is_surveyed_matched_and_embedded_once(model, query, monkeypatch):
    seen = counted(monkeypatch)
    known, view = model.view(in_a_layer(query)), model.view(in_a_layer(query))
    view.embed()
    view.denoise(adjust=False)
    view.label()
    view.label(reference=known, labels="cell_type")
    view.label(reference=known, labels="cell_type")
    view.explain(groupby="cell_type")
    model.embed(view)
    model.explain(view)
    assert seen["survey_values"] == 2
    # beside the genes of the model, those that the labels of the index and of the reference are told by
    assert seen["align_genes"] == 2 + 1 + 4
    assert seen["embed_cells"] == 1


def counted(monkeypatch):
    """Count calls of what each data set needs once."""
    seen = dict.fromkeys(("survey_values", "align_genes", "embed_cells"), 0)
    for name, places in {
        "survey_values": ("scprism.read.counts",),
        "align_genes": ("scprism.query.view", "scprism.estimator.model"),
        "embed_cells": ("scprism.estimator.view", "scprism.denoise.adjust"),
    }.items():
        for place in places:
            monkeypatch.setattr(f"{place}.{name}", _counting(name, seen, place))
    return seen


def _counting(name, seen, place):
    import importlib

    function = getattr(importlib.import_module(place), name)

    def counting(*arguments, **options):
        seen[name] += 1
        return function(*arguments, **options)

    return counting


@pytest.mark.filterwarnings("ignore:Only 298 of", "ignore:The query is unlike")
def test_the_whole_path_reads_each_data_set_once(tmp_path, monkeypatch):
    from scprism.cli.run import run_path

    simulation = Simulation(n_cells=150, genes=hallmark_genes("human")[:300], n_programs=4, program_size=30)
    cells, query = (simulate_cells(simulation, rng=seed) for seed in (0, 1))
    seen = counted(monkeypatch)
    trainer = Prism(**{**SMALL, "genes": "hallmark"}, rng=0)
    run_path(cells, query, model=trainer, labels="cell_type", out=tmp_path / "out")
    assert (seen["survey_values"], seen["embed_cells"]) == (2, 2)


def test_a_view_of_another_model_is_refused(model, cells, query):
    other = Prism(**SMALL, rng=8).fit(cells)
    view = model.view(in_a_layer(query))
    with pytest.raises(InputError, match="This view of the cells is another model's"):
        other.embed(view)
    with pytest.raises(InputError, match="are those a view was opened with"):
        model.embed(view, layer="counts")


def test_what_models_and_views_are_is_shown(model, query):
    text = repr(model)
    for part in ("genes → 8 hidden → 3 latent", "300 human cells", "labels known: cell_type", model.fingerprint):
        assert part in text
        assert part in model._repr_html_()
    assert "100 cells; " in repr(model.view(in_a_layer(query)))
    assert isinstance(model.view(in_a_layer(query)), View)
    odd = dataclasses.replace(model, labels_known={"<b>": None})
    assert "&lt;b&gt;" in odd._repr_html_()


def test_the_trainer_follows_scikit_learn(trainer, cells, model):
    twin = clone(trainer)
    assert twin.get_params() == trainer.get_params()
    assert twin.fit(in_a_layer(cells)).fingerprint == model.fingerprint
    assert clone(trainer).set_params(rng=8).rng == 8
    with pytest.raises(InputError, match="`parameter` must be one of .* Closest: 'hidden_size'"):
        clone(trainer).set_params(hiden_size=3)
    assert repr(Prism("paper", genes=("a", "b", "c", "d"), rng=0)) == (
        "Prism(preset='paper', genes=['a', 'b', 'c', … 4 in all], rng=0)"
    )


def test_training_leaves_the_trainer_as_it_was(trainer, cells):
    before = dict(vars(trainer))
    trainer.fit(in_a_layer(cells))
    assert vars(trainer) == before


@pytest.mark.parametrize("name", ["embed", "label", "explain", "denoise", "save", "weights", "summary", "index"])
def test_what_only_a_trained_model_has_is_told_where_it_is(trainer, name):
    with pytest.raises(PrismError, match=f"not trained yet and has no '{name}'.*then model.{name}"):
        getattr(trainer, name)
    assert not hasattr(trainer, name)


def test_an_unknown_name_is_just_unknown(trainer):
    with pytest.raises(AttributeError, match="^'Prism' has no attribute 'embedd'.$"):
        _ = trainer.embedd
