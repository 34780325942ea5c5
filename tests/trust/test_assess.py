"""Which units may be named: sharing of sets, rules, the composed table, its file and its command."""

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scprism import Prism, adapt, assess_units
from scprism.cli import main
from scprism.enrichment.enrich import enrich
from scprism.enrichment.result import count_significant
from scprism.errors import BundleError, InputError, PrismWarning
from scprism.model.config import Config
from scprism.read.synthetic import Simulation, gene_names, simulate_cells
from scprism.trust.gene_sets import decomposition_stability, set_jaccard
from scprism.trust.inputs import TrustSettings
from scprism.trust.result import read_trust
from scprism.trust.sharing import mean_absolute_cosine, participation_ratio, set_sharing
from scprism.trust.verdict import MAY_BE_NAMED, MAY_NOT_BE_NAMED, Limits, judge_units, rule_texts

GOOD = {
    "spread": 1.0,
    "matched_correlation": 0.9,
    "shuffled_correlation": 0.3,
    "map_correlation": 0.6,
    "jaccard_top50": 0.5,
    "randomisation_highest": 0.4,
    "deletion_low": 0.1,
}
LIMITS = Limits(correlation=0.8, maps=0.2, jaccard=0.25)


def enrichment_of(q_values):
    """An enrichment of two groups from {(unit, set): (q, q)}."""
    rows = [
        (group, unit, name, 20, 0.5, 1.5, q, q, "")
        for (unit, name), qs in q_values.items()
        for group, q in zip("AB", qs, strict=True)
    ]
    columns = ["group", "unit", "gene_set", "size", "es", "nes", "p_value", "q_value", "leading_edge"]
    return pd.DataFrame(rows, columns=columns)


def strong_programs(rng):
    simulation = Simulation(
        n_cells=600, genes=gene_names(200), n_programs=4, n_types=4, effect=2.5, activity_spread=0.5, dispersion=0.05
    )
    cells = simulate_cells(simulation, rng=rng)
    return cells[:400].copy(), cells[400:].copy()


def program_sets(cells):
    return {name: cells.var_names[cells.var[name]] for name in cells.var}


def small_model(**changes):
    settings = {"genes": "all", "hidden_size": 16, "bottleneck_size": 4, "bottleneck": "softplus", **changes}
    return Prism(Config(**settings), units="raw", device="cpu", rng=1)


def test_participation_ratio_counts_equal_parts():
    weights = np.array([[2.0, 2.0, 2.0, 0.0], [5.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [3.0, 1.0, 0.0, 0.0]])
    assert participation_ratio(weights).tolist() == [3.0, 1.0, 0.0, 1.6]


def test_sets_are_weighted_by_the_groups_in_which_they_are_significant():
    q_values = {
        ("u0", "S"): (0.01, 0.01),
        ("u0", "T"): (0.9, 0.01),
        ("u1", "S"): (0.01, 0.01),
        ("u1", "T"): (0.9, 0.9),
        ("u2", "S"): (0.9, 0.9),
        ("u2", "T"): (0.9, 0.9),
    }
    by_unit, by_set = set_sharing(enrichment_of(q_values))
    assert by_unit.to_dict() == {"u0": pytest.approx(9 / 5), "u1": 1.0, "u2": 0.0}
    assert by_set.to_dict() == {"S": 2.0, "T": 1.0}


def test_mean_cosine_leaves_out_signs_itself_and_empty_maps():
    maps = np.array([[1.0, 0.0], [-2.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert mean_absolute_cosine(maps) == pytest.approx((1 + np.sqrt(0.5) + np.sqrt(0.5)) / 3)
    assert np.isnan(mean_absolute_cosine(maps[:1]))


def test_set_jaccard_compares_partners():
    never = (0.9, 0.9)
    own = enrichment_of({("u0", "S"): (0.01, 0.5), ("u0", "T"): (0.01, 0.5), ("u1", "S"): never, ("u1", "T"): never})
    other = enrichment_of({("u0", "S"): never, ("u0", "T"): never, ("u1", "S"): (0.5, 0.01), ("u1", "T"): never})
    assert set_jaccard(own, other, np.array([1, 0])) == pytest.approx([0.5, np.nan], nan_ok=True)


def test_components_of_structure_are_stable_and_those_of_noise_are_not(rng):
    far_apart, alike = (rng.exponential(size=(400, 3)) * scale for scale in ([30.0, 10.0, 3.0], 10.0))
    clear, parts, noise = far_apart @ np.eye(3, 60), alike @ np.eye(3, 60), rng.random((400, 60))
    pca, nmf, none, negative = (
        decomposition_stability(sparse.csr_matrix(x), x[:100], n_components=3, n_refits=2, rng=rng)
        for x in (clear, parts, noise, clear - 1)
    )
    assert pca["median_pca_correlation"] > 0.99
    assert nmf["median_nmf_correlation"] > 0.99
    assert max(none.values()) < 0.8
    assert negative["median_nmf_correlation"] is None


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param({"spread": 1e-4}, "hardly varies", id="constant"),
        pytest.param({"matched_correlation": 0.75}, "refits agree by 0.75, needs 0.80", id="not above the null"),
        pytest.param({"shuffled_correlation": 0.9}, "trained on shuffled genes agrees as well (0.90)", id="shuffled"),
        pytest.param({"map_correlation": 0.2}, "maps of refits agree by 0.20, chance reaches 0.20", id="maps"),
        pytest.param({"jaccard_top50": 0.1}, "leading genes overlap by 0.10, chance reaches 0.25", id="genes"),
        pytest.param({"randomisation_highest": 0.7}, "its map outlives random weights (0.70)", id="random weights"),
        pytest.param({"deletion_low": -0.01}, "move it no more than genes of like expression", id="deletion"),
        pytest.param({"deletion_low": np.nan}, "move it no more than genes of like expression", id="unknown"),
    ],
)
def test_one_broken_rule_is_enough_and_is_named(broken, reason):
    verdicts = judge_units(pd.DataFrame([GOOD, {**GOOD, **broken}]), LIMITS)
    assert verdicts["verdict"].tolist() == [MAY_BE_NAMED, MAY_NOT_BE_NAMED]
    assert reason in verdicts["reason"][1]
    assert ";" not in verdicts["reason"][1]


def test_a_low_null_does_not_lower_the_least_correlation():
    verdicts = judge_units(pd.DataFrame([{**GOOD, "matched_correlation": 0.69}]), Limits(0.1, 0.2, 0.25))
    assert verdicts["reason"][0] == "refits agree by 0.69, needs 0.70"


def test_rules_state_the_limits():
    texts = " ".join(rule_texts(LIMITS))
    for number in ("0.7", "0.80", "0.20", "0.25", "97.5%"):
        assert number in texts


@pytest.fixture(scope="module")
def assessed():
    """Verdicts on a trained model and on one that never learned, with the cells and the models."""
    reference, query = strong_programs(0)
    settings = TrustSettings(n_refits=2, n_draws=5)
    models = {
        "trained": small_model(max_epochs=80, learning_rate=5e-3).fit(reference),
        "untrained": small_model(max_epochs=1, learning_rate=1e-12).fit(reference),
    }
    verdicts = {
        name: assess_units(
            model, query, reference=reference, groupby="cell_type", sets=program_sets(query), settings=settings, rng=0
        )
        for name, model in models.items()
    }
    return reference, query, models, verdicts


def test_a_trained_model_has_more_stable_units_than_an_untrained_one(assessed):
    tables = {name: trust.table for name, trust in assessed[3].items()}
    found = {name: (table["matched_correlation"] >= 0.7).sum() for name, table in tables.items()}
    assert found["trained"] > found["untrained"]
    assert tables["trained"]["map_correlation"].median() > tables["untrained"]["map_correlation"].median()
    may = {name: (table["verdict"] == MAY_BE_NAMED).sum() for name, table in tables.items()}
    assert may["trained"] > may["untrained"] == 0


def test_spread_is_that_of_the_activations(assessed):
    _, query, models, verdicts = assessed
    spread = models["trained"].embed(query).std(axis=0)
    assert verdicts["trained"].table["spread"].to_numpy() == pytest.approx(spread, rel=1e-4)


def test_significant_sets_are_those_of_the_models_own_enrichment(assessed):
    _, query, models, verdicts = assessed
    explanation = models["trained"].explain(query, groupby="cell_type", units="raw")
    counts = count_significant(enrich(explanation, program_sets(query), rng=0))
    assert verdicts["trained"].table["n_sets"].tolist() == (counts > 0).sum(axis=1).tolist()


def test_verdicts_survive_their_file(assessed, tmp_path):
    trust = replace(assessed[3]["trained"], warnings=("Only 2 refits.",))
    trust.save(tmp_path / "trust.tsv")
    read = read_trust(tmp_path / "trust.tsv")
    pd.testing.assert_frame_equal(read.table, trust.table)
    assert (read.settings, read.warnings) == (trust.settings, trust.warnings)
    assert json.loads((tmp_path / "trust.tsv.json").read_text()) == {**trust.settings, "warnings": ["Only 2 refits."]}


def test_verdicts_are_summed_up_where_they_are_printed(assessed):
    table = assessed[3]["trained"].table.assign(verdict=[MAY_BE_NAMED, *[MAY_NOT_BE_NAMED] * 3])
    trust = replace(assessed[3]["trained"], table=table, warnings=("Fewer than 3 < 4 refits.",))
    assert repr(trust) == "Trust(1 of 4 units may be named, after 2 refits)"
    page = trust._repr_html_()
    assert "Fewer than 3 &lt; 4 refits." in page
    assert page.count("<tr") == 4 + 1


def test_a_table_without_its_facts_is_refused(assessed, tmp_path):
    trust = assessed[3]["trained"]
    trust.save(tmp_path / "trust.tsv")
    (tmp_path / "trust.tsv.json").unlink()
    with pytest.raises(BundleError, match="lie without their record"):
        read_trust(tmp_path / "trust.tsv")
    with pytest.raises(InputError, match="it lacks 'verdict'"):
        replace(trust, table=trust.table.drop(columns="verdict")).save(tmp_path / "trust.tsv")


def test_another_reference_is_told(assessed):
    reference, query, _, _ = assessed
    model = small_model(max_epochs=1).fit(reference)
    settings = TrustSettings(n_refits=1, n_draws=1)
    with pytest.warns(PrismWarning, match="not the data that the model was trained on"):
        trust = assess_units(model, query, reference=reference[:300].copy(), settings=settings, rng=0)
    assert any("not the data that the model was trained on" in text for text in trust.warnings)


def test_an_adapted_model_is_told_from_its_refits(assessed):
    reference, query, _, _ = assessed
    adapted, _ = adapt(small_model(max_epochs=1).fit(reference), query, rng=0)
    with pytest.warns(PrismWarning, match="The model was adapted, and refits are not"):
        assess_units(adapted, query, reference=reference, settings=TrustSettings(n_refits=1, n_draws=1), rng=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(TrustSettings(n_refits=0), "`n_refits` must be at least 1, got 0", id="no refits"),
        pytest.param(TrustSettings(max_cells=10), "`max_cells` must be at least 50, got 10", id="few cells"),
        pytest.param(TrustSettings(method="expected_gradients"), "not assessed with", id="method"),
        pytest.param(TrustSettings(units="programs"), "has raw units alone", id="units"),
    ],
)
def test_settings_out_of_range_are_refused(assessed, settings, message):
    reference, query, models, _ = assessed
    with pytest.raises(InputError, match=message):
        assess_units(models["trained"], query, reference=reference, settings=settings)


def test_raw_units_need_the_reference(assessed):
    _, query, models, _ = assessed
    with pytest.raises(InputError, match="judged by training the network again: give `reference`"):
        assess_units(models["trained"], query)


def test_the_command_writes_what_the_function_returns(assessed, tmp_path, monkeypatch, capsys):
    reference, query, _, _ = assessed
    model = small_model(max_epochs=1).fit(reference)
    model.save(tmp_path / "model")
    reference.write_h5ad(tmp_path / "ref.h5ad")
    query.write_h5ad(tmp_path / "query.h5ad")
    options = ["--groupby", "cell_type", "--refits", "1", "--gene-sets", "none", "--rng", "4"]
    files = [tmp_path / "model", tmp_path / "query.h5ad", "--reference", tmp_path / "ref.h5ad"]
    command = ["scprism", "trust", *files, "--out", tmp_path / "trust.tsv", *options]
    monkeypatch.setattr(sys, "argv", [str(part) for part in command])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err
    assert stop.value.code == 0, said
    table = assess_units(
        model, query, reference=reference, groupby="cell_type", settings=TrustSettings(n_refits=1), rng=4
    ).table
    pd.testing.assert_frame_equal(read_trust(tmp_path / "trust.tsv").table, table)
    assert f"{(table['verdict'] == MAY_BE_NAMED).sum()} of 4 units may be named" in said
