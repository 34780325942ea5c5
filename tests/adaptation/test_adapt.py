"""A model adapted to a query: the original is left alone, and what changed is said."""

import copy
import json

import numpy as np
import pandas as pd
import pytest

import scprism
from scprism.errors import InputError, PrismError
from scprism.estimator.prism import Prism
from scprism.prepare.selection import hallmark_genes
from scprism.read.synthetic import Simulation, simulate_cells

GENES = hallmark_genes("mouse")[:300]


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(Simulation(n_cells=300, genes=GENES, n_programs=5, program_size=30), rng=0)


@pytest.fixture(scope="module")
def factors():
    """What another platform does to each gene: a third to three times as much of it."""
    return np.exp(np.random.default_rng(1).uniform(-1.1, 1.1, len(GENES)))


@pytest.fixture(scope="module")
def query(cells, factors):
    """The reference's kind of cells, their genes captured otherwise."""
    other = cells.copy()
    other.X = np.random.default_rng(2).poisson(cells.X.toarray() * factors).astype(np.float32)
    return other


@pytest.fixture(scope="module")
def model(cells):
    trained = Prism(units="raw", hidden_size=24, bottleneck_size=6, max_epochs=20, device="cpu", rng=0).fit(cells)
    return trained.index(cells, labels="cell_type")


@pytest.fixture(scope="module")
def by_part(model, query):
    return {part: scprism.adapt(model, query, part=part, rng=0) for part in ("input", "decoder", "network")}


@pytest.mark.parametrize("part", ["input", "decoder", "network"])
def test_held_out_cells_of_a_shifted_platform_are_told_better(by_part, part):
    losses = by_part[part][1].losses.loc["query"]
    assert losses["after"] < losses["before"]


def test_the_decoder_learns_the_planted_factor_of_each_gene(model, by_part, query, factors):
    before, after = (
        np.expm1(m.denoise(query, adjust=False).astype(np.float64)).mean(axis=0) for m in (model, by_part["decoder"][0])
    )
    order = pd.Index(GENES).get_indexer(list(model.recipe.genes))
    assert np.corrcoef(np.log(after / before), np.log(factors[order]))[0, 1] > 0.9


def test_the_original_is_untouched_to_the_bit(model, query, cells, tmp_path):
    model.save(tmp_path / "model")
    files = {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()}
    counts, state = query.X.copy(), {k: copy.deepcopy(v) for k, v in vars(model).items() if k != "weights"}
    weights = model.weights.fingerprint()
    scprism.adapt(model, query, reference=cells, part="network", rng=0)
    assert model.weights.fingerprint() == weights
    assert model.summary == state["summary"]
    assert list(model.labels_known) == ["cell_type"]
    known, before = (labels["cell_type"].rule.classifier for labels in (model.labels_known, state["labels_known"]))
    np.testing.assert_array_equal(known.points, before.points)
    pd.testing.assert_frame_equal(model.log, state["log"])
    np.testing.assert_array_equal(query.X, counts)
    model.save(tmp_path / "again")
    assert {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()} == files


def test_an_adapted_decoder_leaves_latents_and_labels_as_they_were(model, by_part, query, cells):
    adapted, change = by_part["decoder"]
    np.testing.assert_array_equal(adapted.embed(query), model.embed(query))
    calls = [m.label(query, reference=cells, labels="cell_type")["label"] for m in (model, adapted)]
    pd.testing.assert_series_equal(*calls)
    assert change.units["same"].all()
    assert (change.units["decoded_cosine"] < 1 - 1e-6).all()


def test_the_report_says_which_arrays_moved(by_part):
    moved = {part: set(change.weights.query("relative_change > 0").index) for part, (_, change) in by_part.items()}
    assert moved["input"] == {"hidden_weight", "hidden_bias"}
    assert moved["decoder"] == {"decoder_weight", "decoder_bias", "output_weight", "output_bias"}
    assert moved["network"] == moved["input"] | moved["decoder"] | {"latent_weight", "latent_bias"}


def test_activations_in_the_report_are_those_of_both_models(model, by_part, query):
    adapted, change = by_part["input"]
    first, second = model.embed(query), adapted.embed(query)
    expected = [np.corrcoef(first[:, u], second[:, u])[0, 1] for u in range(6)]
    np.testing.assert_allclose(change.units["activation_correlation"], expected, rtol=1e-4)


def test_maps_in_the_report_are_those_of_the_explanations(model, by_part, query):
    adapted, change = by_part["input"]
    first, second = (m.explain(query).signed[0].astype(np.float64) for m in (model, adapted))
    cosine = (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    np.testing.assert_allclose(change.units["map_cosine"], cosine, rtol=1e-4)


def test_an_adapted_model_has_no_index_and_says_so(model, by_part, query, tmp_path):
    adapted = by_part["input"][0]
    adapted.save(tmp_path / "adapted")
    assert not (tmp_path / "adapted" / "index.json").exists()
    for one in (adapted, scprism.load(tmp_path / "adapted")):
        with pytest.raises(InputError, match=r"no reference index.*An adapted model needs an index of its own"):
            one.label(query)


def test_a_saved_model_knows_what_it_was_adapted_from(model, by_part, query, tmp_path):
    adapted, change = by_part["input"]
    adapted.save(tmp_path / "adapted")
    again = scprism.load(tmp_path / "adapted")
    np.testing.assert_array_equal(again.embed(query), adapted.embed(query))
    record = again.summary["adapted_from"]
    assert record["fingerprint"] == model.fingerprint
    assert record["data_fingerprint"] != model.summary["data_fingerprint"]
    told = [{k: v for k, v in m.summary.items() if k not in ("adapted_from", "unseen_cells")} for m in (model, again)]
    assert told[0] == told[1]
    assert (record["part"], record["n_query"], record["n_reference"]) == ("input", 300, 0)
    assert record["losses"]["query"]["after"] == change.losses.loc["query", "after"]
    assert again.recipe.genes == model.recipe.genes
    np.testing.assert_array_equal(again.recipe.mean, model.recipe.mean)


def test_an_adapted_model_can_be_adapted_again_and_keeps_its_history(by_part, query):
    first = by_part["input"][0]
    second = scprism.adapt(first, query, part="decoder", rng=0)[0]
    record = second.summary["adapted_from"]
    assert record["fingerprint"] == first.fingerprint
    assert record["adapted_from"]["part"] == "input"
    json.dumps(second.summary)


def test_bad_queries_have_the_messages_of_any_query(model, query):
    normalised = query.copy()
    normalised.X = np.log1p(query.X)
    with pytest.raises(InputError, match="Raw counts are whole numbers"):
        scprism.adapt(model, normalised)
    with pytest.raises(InputError, match="at least 50% are required"):
        scprism.adapt(model, query[:, :100])
    with pytest.raises(InputError, match="Adapting needs at least 50 cells"):
        scprism.adapt(model, query[:30])
    with pytest.raises(PrismError, match="not trained yet"):
        scprism.adapt(Prism(), query)


@pytest.fixture
def files(model, cells, query, tmp_path):
    model.save(tmp_path / "model")
    cells.write_h5ad(tmp_path / "reference.h5ad")
    query.write_h5ad(tmp_path / "query.h5ad")
    return tmp_path


def test_the_command_writes_a_model_and_what_changed(model, files, query, command_line, by_part):
    before = {p.name: p.read_bytes() for p in (files / "model").iterdir()}
    asked = ("--reference", files / "reference.h5ad", "--part", "network", "--rng", 3, "--device", "cpu")
    status, _, messages = command_line("adapt", files / "model", files / "query.h5ad", "--out", files / "new", *asked)
    assert status == 0, messages
    assert {p.name: p.read_bytes() for p in (files / "model").iterdir()} == before
    adapted = scprism.load(files / "new")
    changes = pd.read_csv(files / "new.change.tsv", sep="\t", index_col="what")
    units = pd.read_csv(files / "new.units.tsv", sep="\t", index_col="unit")
    losses = adapted.summary["adapted_from"]["losses"]
    for name in ("query", "reference"):
        assert changes.loc[f"loss, {name}", "after"] == pytest.approx(losses[name]["after"])
        assert f"loss of held-out {name} cells: {losses[name]['before']:.6g} before" in messages
    assert f"{units['same'].sum()} of 6 units mean the same as before" in messages
    status, text, _ = command_line("info", files / "new")
    assert f"adapted from:  the weights {model.fingerprint}" in text
    assert "adapted to:    300 cells and 270 of the reference, data" in text
    assert f": network, {len(model.recipe.genes)} genes, seed 3" in text
    status, text, _ = command_line("info", files / "model")
    assert "adapted" not in text


def test_the_command_leaves_what_is_there_alone(files, command_line):
    for place in ("model", "query.h5ad"):
        before = (files / place / "model.json" if place == "model" else files / place).read_bytes()
        status, _, messages = command_line("adapt", files / "model", files / "query.h5ad", "--out", files / place)
        assert (status, "is one of the inputs" in messages) == (2, True)
        assert (files / place / "model.json" if place == "model" else files / place).read_bytes() == before
    status, _, messages = command_line(
        "adapt", files / "model", files / "query.h5ad", "--out", files / "new", "--part", "encoder"
    )
    assert (status, "Invalid value for '--part'" in messages) == (2, True)
    assert not (files / "new").exists()
