"""Verdicts on programs: from the runs and the query alone, and with further fits to the reference."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scprism import Prism, assess_units, read_trust
from scprism.cli import main
from scprism.errors import InputError, PrismWarning
from scprism.estimator.programs import program_chunks
from scprism.read.synthetic import Simulation, simulate_cells
from scprism.trust import programs as trust_programs
from scprism.trust.inputs import TrustSettings
from scprism.trust.verdict import MAY_BE_NAMED, MAY_NOT_BE_NAMED
from scprism.units.inference import activity
from scprism.units.runs import gene_shuffled

SIMULATION = Simulation(n_cells=600, n_programs=4)


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(SIMULATION, rng=0)


@pytest.fixture(scope="module")
def model(cells):
    return Prism(genes="all", organism="human", max_epochs=1, hidden_size=8, runs=6, device="cpu", rng=0).fit(cells)


@pytest.fixture(scope="module")
def query():
    return simulate_cells(SIMULATION, rng=0)[::2, ::-1].copy()


def shuffled_query(query):
    shuffled = query.copy()
    shuffled.X = gene_shuffled(query.X.tocsr(), np.random.default_rng(0))
    return shuffled


def test_programs_are_judged_without_a_fit(model, query, monkeypatch):
    monkeypatch.setattr(trust_programs, "fit_units", None)
    trust = assess_units(model, query, rng=0)
    assert trust.table["unit"].tolist() == model.units.index.tolist()
    np.testing.assert_allclose(trust.table["replication"], model.units["replication"])
    may = trust.table["verdict"] == MAY_BE_NAMED
    assert may.sum() >= 3
    assert not (may & ~model.units["trusted"].to_numpy()).any()
    assert trust.settings["n_refits"] == 0
    assert repr(trust) == f"Trust({may.sum()} of {len(may)} units may be named)"


def test_in_cells_of_shuffled_genes_no_unit_may_be_named(model, query):
    trust = assess_units(model, shuffled_query(query), rng=0)
    assert (trust.table["verdict"] == MAY_NOT_BE_NAMED).all()
    assert trust.table["reason"].str.contains("in the query its genes move together by").all()


def test_genes_move_together_in_the_query_as_two_readings_say(model, query):
    """The correlation of two activities, each read from the genes of one half alone."""
    units, view = model.named_units.units, model.view(query)
    values = next(program_chunks(view.query))[1]
    squares = np.asarray(values.multiply(units.gene_weights).power(2).sum(axis=0)).ravel()
    order = np.argsort(-squares, kind="stable")
    halves = [np.isin(np.arange(len(order)), order[start::2]) for start in (0, 1)]
    one, other = (activity(units, values, half) for half in halves)
    found = assess_units(model, view, rng=0).table["query_coherence"]
    expected = [stats.pearsonr(one[:, unit], other[:, unit]).statistic for unit in range(len(units.names))]
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_a_query_that_lacks_most_of_a_unit_cannot_bear_its_name(model, query):
    units = model.named_units.units
    weight = units.programs[0] * units.gene_weights
    order = np.argsort(-weight)
    kept = np.cumsum(weight[order]) > 0.7 * weight.sum()
    names = [model.genes[gene] for gene in order[kept]]
    part = query[:, query.var_names.isin(names)].copy()
    with pytest.warns(PrismWarning, match="Low gene coverage"):
        view = model.view(part, min_coverage=0.1)
    row = assess_units(model, view, rng=0).table.iloc[0]
    assert row["coverage"] == pytest.approx(weight[order[kept]].sum() / weight.sum())
    assert row["verdict"] == MAY_NOT_BE_NAMED
    assert f"the query has {row['coverage']:.0%} of it, by weight" in row["reason"]


def test_further_fits_find_the_units_and_fits_to_shuffled_genes_do_not(model, cells, query):
    trust = assess_units(model, query, reference=cells, settings=TrustSettings(n_refits=1), rng=0)
    may = trust.table["verdict"] == MAY_BE_NAMED
    assert may.sum() >= 3
    assert (trust.table.loc[may, "matched_correlation"] > 0.9).all()
    assert (trust.table["shuffled_correlation"] < 0.5).all()
    assert repr(trust).endswith("after 1 refits)")
    assert "Further fits to the reference" in trust.settings["rules"][-1]


def test_another_reference_is_told(model, cells, query):
    with pytest.warns(PrismWarning, match="not the data that the model was trained on"):
        assess_units(model, query, reference=cells[:400].copy(), settings=TrustSettings(n_refits=1), rng=0)


def test_few_cells_leave_it_to_the_runs_with_a_warning(model, query):
    with pytest.warns(PrismWarning, match="In fewer than 50 query cells"):
        trust = assess_units(model, query[:20].copy(), rng=0)
    assert trust.table["query_coherence"].isna().all()
    assert (trust.table["verdict"] == MAY_BE_NAMED).tolist() == model.units["trusted"].tolist()
    assert any("fewer than 50 query cells (20)" in text for text in trust.warnings)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({"groupby": "cell_type"}, "without `groupby`", id="groups"),
        pytest.param({"sets": {"some": ["g"]}}, "without `sets`", id="sets"),
        pytest.param({"settings": TrustSettings(method="guided")}, "without `method`", id="method"),
    ],
)
def test_what_is_of_raw_units_is_refused(model, query, given, told):
    with pytest.raises(InputError, match=told):
        assess_units(model, query, **given)


def test_raw_units_of_the_same_model_are_judged_on_request(model, cells, query):
    settings = TrustSettings(units="raw", n_refits=1, n_draws=2)
    trust = assess_units(model, query, reference=cells, settings=settings, rng=0)
    assert trust.table["unit"].iloc[0] == "latent_0"
    assert trust.settings["units"] == "raw"


def test_the_command_writes_what_the_function_returns(model, query, tmp_path, monkeypatch, capsys):
    model.save(tmp_path / "model")
    query.write_h5ad(tmp_path / "query.h5ad")

    def call(*options):
        command = ["scprism", "trust", tmp_path / "model", tmp_path / "query.h5ad", "--out", tmp_path / "t.tsv"]
        monkeypatch.setattr(sys, "argv", [str(part) for part in (*command, *options)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr().err

    status, said = call("--rng", "4")
    assert status == 0, said
    expected = assess_units(model, query, rng=4)
    again = read_trust(tmp_path / "t.tsv")
    pd.testing.assert_frame_equal(again.table, expected.table)
    assert again.settings == expected.settings
    assert f"{(expected.table['verdict'] == MAY_BE_NAMED).sum()} of {len(expected.table)} units may be named" in said
    for options, told in (
        (("--units", "raw"), "give --reference, the data of the training"),
        (("--groupby", "cell_type"), "--groupby: for raw units alone"),
        (("--reference-layer", "counts"), "about the cells of --reference, which was not given"),
    ):
        status, said = call(*options)
        assert status == 2
        assert told in said
