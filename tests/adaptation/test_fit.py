"""Further training on a query: what is held out, what is replayed, which genes are learned."""

import dataclasses

import numpy as np
import pytest

from scprism.adaptation.fit import LEAST_CELLS, SPLIT, adapt_fitted
from scprism.errors import InputError
from scprism.estimator.prism import Prism
from scprism.model.forward import decode, encode
from scprism.prepare.cell_hashes import cell_marks
from scprism.query.view import open_query
from scprism.read.synthetic import make_cells
from scprism.train.batches import collect_cells, split_cells
from scprism.train.fit import Fitted


@pytest.fixture(scope="module")
def reference():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def model(reference):
    trained = Prism(
        units="raw", genes="all", organism="human", hidden_size=16, bottleneck_size=5, max_epochs=4, device="cpu", rng=0
    )
    return trained.fit(reference)


@pytest.fixture(scope="module")
def foreign():
    return make_cells(rng=1)[:120].copy()


def opened(model, cells):
    return open_query(cells, model.recipe, model.config, min_coverage=0.0)


def adapted(model, query, *, reference=None, part="network", rng=0, **changes):
    fitted = Fitted(model.recipe, model.weights, model.log, model.summary)
    config = dataclasses.replace(model.config, max_epochs=3, **changes)
    return adapt_fitted(fitted, query, reference=reference, part=part, config=config, rng=rng, device="cpu")


def loss_by_hand(weights, cells, rows, genes):
    output = decode(weights, encode(weights, cells.inputs[rows])).astype(np.float64)[:, genes]
    counts = cells.targets[rows].toarray()[:, genes]
    log_share = output - np.log(np.exp(output).sum(axis=1, keepdims=True))
    return float((-(counts * log_share).sum(axis=1) / counts.sum(axis=1)).mean())


def test_the_losses_are_those_of_the_held_out_cells_by_hand(model, foreign):
    query = opened(model, foreign)
    fitted, losses = adapted(model, query)
    cells = collect_cells(query.chunks(), counts_as_targets=True)
    held_out = split_cells(120, SPLIT, np.random.default_rng(0))[2]
    genes = np.ones(len(model.recipe.genes), dtype=bool)
    assert list(losses.index) == ["query"]
    assert losses.loc["query", "cells"] == 12
    for column, weights in (("before", model.weights), ("after", fitted.weights)):
        by_hand = loss_by_hand(weights, cells, held_out, genes)
        assert losses.loc["query", column] == pytest.approx(by_hand, rel=1e-5)


def test_cells_held_out_are_marked_as_unseen_beside_those_of_the_model(model, foreign):
    query = opened(model, foreign)
    fitted, _ = adapted(model, query)
    marks = cell_marks(collect_cells(query.chunks(), counts_as_targets=True).inputs)
    _, stop, report = split_cells(120, SPLIT, np.random.default_rng(0))
    expected = {*model.summary["unseen_cells"], *(marks[i] for i in (*stop, *report))}
    assert set(fitted.summary["unseen_cells"]) == expected


def test_no_more_reference_cells_are_trained_on_than_the_query_has(model, foreign, reference):
    fitted, losses = adapted(model, opened(model, foreign), reference=opened(model, reference))
    record = fitted.summary["adapted_from"]
    assert (record["n_query"], record["n_reference"]) == (120, 120)
    assert losses.loc["reference", "cells"] == len(model.summary["unseen_cells"])


def test_reference_cells_that_the_model_held_out_stay_held_out(model, reference):
    fitted, _ = adapted(model, opened(model, make_cells(rng=1)), reference=opened(model, reference))
    record, n_unseen = fitted.summary["adapted_from"], len(model.summary["unseen_cells"])
    assert (record["n_query"], record["n_reference"], n_unseen) == (300, 270, 30)


def test_the_reference_is_scored_on_cells_that_no_training_saw_by_hand(model, foreign, reference):
    fitted, losses = adapted(model, opened(model, foreign), reference=opened(model, reference))
    cells = collect_cells(opened(model, reference).chunks(), counts_as_targets=True)
    rows = np.flatnonzero(np.isin(cell_marks(cells.inputs), model.summary["unseen_cells"]))
    genes = np.ones(len(model.recipe.genes), dtype=bool)
    for column, weights in (("before", model.weights), ("after", fitted.weights)):
        by_hand = loss_by_hand(weights, cells, rows, genes)
        assert losses.loc["reference", column] == pytest.approx(by_hand, rel=1e-5)


def test_a_reference_that_the_model_never_saw_is_scored_on_its_own_held_out_cells(model, foreign):
    _, losses = adapted(model, opened(model, foreign), reference=opened(model, make_cells(rng=2)))
    assert losses["cells"].to_dict() == {"query": 12, "reference": 12}


@pytest.mark.filterwarnings("ignore:Low gene coverage")
def test_genes_that_query_or_reference_lack_keep_their_weights_to_the_bit(model, foreign, reference):
    query, known = foreign[:, 40:], reference[:, :-30]
    fitted, _ = adapted(model, opened(model, query), reference=opened(model, known))
    learned = np.isin(model.recipe.genes, query.var_names) & np.isin(model.recipe.genes, known.var_names)
    assert fitted.summary["adapted_from"]["n_genes"] == learned.sum() == len(learned) - 70
    before, after = model.weights, fitted.weights
    moved = (before.hidden_weight != after.hidden_weight).any(axis=0)
    np.testing.assert_array_equal(moved, learned)
    np.testing.assert_array_equal((before.output_weight != after.output_weight).any(axis=1), learned)
    np.testing.assert_array_equal(before.output_bias != after.output_bias, learned)


def test_same_seed_same_weights_and_another_seed_others(model, foreign):
    first, again, other = (adapted(model, opened(model, foreign), rng=seed)[0] for seed in (0, 0, 1))
    assert first.weights.fingerprint() == again.weights.fingerprint() != other.weights.fingerprint()


def test_too_few_cells_are_refused(model, foreign):
    with pytest.raises(InputError, match=f"at least {LEAST_CELLS} cells.*got {LEAST_CELLS - 1}"):
        adapted(model, opened(model, foreign[: LEAST_CELLS - 1]))
    adapted(model, opened(model, foreign[:LEAST_CELLS]))


def test_an_unknown_part_is_refused(model, foreign):
    with pytest.raises(InputError, match="`part` must be one of 'decoder', 'input', 'network', got 'encoder'"):
        adapted(model, opened(model, foreign), part="encoder")


def test_orthonormal_units_stay_so_or_are_refused(model, foreign):
    with pytest.raises(InputError, match="penalty='hard'"):
        adapted(model, opened(model, foreign), penalty="hard")
    adapted(model, opened(model, foreign), penalty="hard", part="decoder")


@pytest.mark.filterwarnings("ignore:Low gene coverage")
def test_without_a_gene_in_common_nothing_is_learned(model, foreign, reference):
    half = foreign.n_vars // 2
    with pytest.raises(InputError, match="none of the model's genes in common"):
        adapted(model, opened(model, foreign[:, :half]), reference=opened(model, reference[:, half:]))
