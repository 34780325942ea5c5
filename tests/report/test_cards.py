"""The cards of units and the section on conditions, of a real model on simulated cells."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scprism import Prism, assess_units, compare, enrich
from scprism.errors import InputError
from scprism.genes.sets import set_name
from scprism.read.synthetic import Simulation, simulate_cells
from scprism.report.conditions import condition_section, volcano_figure
from scprism.trust.verdict import MAY_BE_NAMED, MAY_NOT_BE_NAMED

SCRIPT = "<script>alert('x')</script> & <b>"


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(Simulation(n_cells=400, n_programs=3), rng=0)


@pytest.fixture(scope="module")
def model(cells):
    trainer = Prism(genes="all", organism="human", max_epochs=1, hidden_size=8, runs=6, device="cpu", rng=0)
    return trainer.fit(cells)


@pytest.fixture(scope="module")
def query(cells):
    query = cells[:160].copy()
    types = query.obs["cell_type"].astype(str)
    query.obs["kind"] = types.replace({types.unique()[0]: SCRIPT}).to_numpy()
    query.obs["condition"] = np.where(query.obs["kind"] == SCRIPT, SCRIPT, "control")
    query.obs["donor"] = np.resize(list("abcd"), query.n_obs)
    query.obs_names = [f"{name} {SCRIPT}" for name in query.obs_names]
    return query


@pytest.fixture(scope="module")
def made(model, query):
    """The arguments of `write_report`."""
    view = model.view(query)
    labels = pd.DataFrame({"label": query.obs["kind"], "confidence": 1.0, "novel": False}, index=query.obs_names)
    explanation = view.explain(groupby="kind")
    planted = {f"<i>{name}": list(query.var_names[query.var[name]]) for name in query.var}
    return SimpleNamespace(
        model=model,
        explanation=explanation,
        enrichment=enrich(explanation, planted, rng=0),
        embedding=view.embed(),
        cells=view,
        labels=labels,
        comparison=compare(model, view, groupby="condition", reference="control", replicate="donor", within="kind"),
    )


@pytest.fixture
def arguments(made):
    return SimpleNamespace(**vars(made))


def test_each_unit_has_a_card_with_its_verdict_and_no_section_of_verdicts_stands_apart(arguments, written):
    trust = assess_units(arguments.model, arguments.cells, rng=0)
    verdicts = [MAY_BE_NAMED, MAY_NOT_BE_NAMED, *trust.table["verdict"][2:]]
    arguments.trust = dataclasses.replace(
        trust, table=trust.table.assign(verdict=verdicts, reason=f"Because {SCRIPT}.")
    )
    page = written(arguments)
    assert "trust" not in page.text
    ids = [value for tag, name, value in page.attributes if (tag, name) == ("article", "id")]
    assert ids == [f"unit-{name}" for name in arguments.model.units.index]
    text = page.text["units"]
    proposed = arguments.model.units["proposed_name"]
    assert f"U01 {proposed['U01']} may be named" in text
    assert f"U02 not named may not be named: Because {SCRIPT}." in text
    assert f"U02 {proposed['U02']}" not in text


def test_without_verdicts_programs_are_judged_by_their_runs_and_these_cells(arguments, written):
    text = written(arguments).text["units"]
    trust = assess_units(arguments.model, arguments.cells, rng=0)
    n_may = (trust.table["verdict"] == MAY_BE_NAMED).sum()
    assert f"{n_may} of these {len(trust.table)} units may be named here" in text
    row = trust.table.iloc[0]
    assert f"move together by {row['coherence']:.2f} in cells that a run did not see and by " in text
    assert f"{row['query_coherence']:.2f} in this query" in text
    for rule in trust.settings["rules"]:
        assert rule in text


def test_a_card_has_genes_with_their_range_labels_and_what_made_the_leading_cell(arguments, written):
    page = written(arguments)
    record = arguments.cells.unit("U01", labels="kind")
    genes = record.genes.head(10)
    assert [row[:2] for row in page.tables["genes of U01"]] == [
        [gene, f"{weight:.2f}"] for gene, weight in zip(genes["gene"], genes["weight"], strict=True)
    ]
    titles = [value for _, name, value in page.attributes if name == "title" and value.endswith("over the runs")][:10]
    assert titles == [
        f"{low:.2f} to {high:.2f} over the runs" for low, high in zip(genes["low"], genes["high"], strict=True)
    ]
    text = page.text["units"]
    label = record.labels.iloc[0]
    assert f"{label['label']} AUROC {label['auroc']:.2f}, mean {label['mean']:.2f}" in text
    cell = record.cells.iloc[0]
    assert f"{cell['cell']} ({cell['activity']:.2f})" in text
    parts = arguments.cells.why(cell["cell"]).loc["U01"].sort_values(ascending=False)
    assert f"{cell['activity']:.2f} is made by {parts.index[0]} {parts.iloc[0]:.2f}, {parts.index[1]}" in text


def test_sets_of_a_unit_can_be_opened_to_their_leading_edge(arguments, written):
    from scprism.units.named import FoundSet

    sets = (
        FoundSet("HALLMARK_UP<U>", "up", 2.0, 0.01, 1.0, ("A<1>", "B2")),
        FoundSet("HALLMARK_AWAY", "down", -2.0, 0.001, 0.83, ("C3",)),
    )
    named = arguments.model.named_units
    others = ((),) * (len(named.sets) - 1)
    model = dataclasses.replace(arguments.model, named_units=dataclasses.replace(named, sets=(sets, *others)))
    arguments.model, arguments.cells = model, arguments.cells.of_model(model)
    page = written(arguments)
    text = page.text["units"]
    assert f"▲{set_name('HALLMARK_UP<U>')} q 0.01, all runs" in text
    assert "A<1>, B2" in text
    assert "▼Away q 0.001, 83% of runs" in text


def test_pictures_of_cards_are_drawn_from_the_activities(arguments, written):
    page = written(arguments)
    drawn = [value for tag, name, value in page.attributes if (tag, name) == ("canvas", "data-unit")]
    proposed = arguments.model.units["proposed_name"]
    assert drawn == list(proposed.index)
    assert page.columns["unit:U01"]["title"] == f"unit U01 {proposed['U01']}"
    activity = arguments.cells.activity()["U01"].to_numpy()
    np.testing.assert_allclose(page.values("unit:U01"), activity, atol=activity.max() / 65_534)


def test_names_with_markup_stay_text(arguments, written):
    page = written(arguments)
    assert len(page.scripts) == 1
    for section in ("units", "conditions"):
        assert SCRIPT in page.text[section]
    assert "alert" not in "".join(page.scripts)
    assert not [one for one in page.attributes if "alert" in one[1]]


def test_conditions_stand_in_a_table_smallest_q_first(arguments, written):
    page = written(arguments)
    table = arguments.comparison.table
    whole = table[table["within"] == "all"].sort_values(["q_value", "p_value"], kind="stable")
    rows = page.rows["conditions"][1:]
    assert [row[0].split()[0] for row in rows[: len(whole)]] == whole["unit"].tolist()
    first = whole.iloc[0]
    assert rows[0][1] == SCRIPT
    assert rows[0][2] == f"{first['difference']:+.3f}".replace("-", "−")
    assert rows[0][5:] == [f"{first['auroc']:.3f}", "4 / 4", f"{first['p_value']:.2g}", f"{first['q_value']:.2g}"]
    n_found = (table["q_value"] < 0.05).sum()
    assert f"{n_found} of {table['q_value'].notna().sum()} tests have q < 0.05" in page.text["conditions"]
    assert "Replicates are the samples of “donor”" in page.text["conditions"]
    found = whole[whole["q_value"] < 0.05]
    assert len(found)
    direction = "higher" if found.iloc[0]["difference"] > 0 else "lower"
    answer = f"{len(found)} of {len(whole)} units differ between “{SCRIPT}” and “control”: {found.iloc[0]['unit']}"
    assert answer in page.text["conditions"]
    assert f"is {direction} ({rows[0][2]}, q {rows[0][-1]})" in page.text["conditions"]


def test_the_volcano_has_a_point_a_unit_at_its_difference_and_q(made):
    titles = {name: f"{name} <name>" for name in made.model.units.index}
    figure = volcano_figure(made.comparison, titles)
    table = made.comparison.table
    whole = table[table["within"] == "all"]
    points = figure.data[-1]
    np.testing.assert_allclose(points.x, whole["difference"])
    np.testing.assert_allclose(points.y, -np.log10(whole["q_value"]), atol=1e-4)
    assert points.hovertext[0].startswith("<b>U01 &lt;name&gt;</b><br>&lt;script&gt;")


def test_a_comparison_without_tests_has_a_table_and_no_figure(made):
    table = made.comparison.table.assign(q_value=np.nan, p_value=np.nan, low=np.nan, high=np.nan, effect_size=np.nan)
    untested = dataclasses.replace(made.comparison, table=table)
    assert volcano_figure(untested, {}) is None
    section = condition_section(untested, {name: name for name in made.model.units.index})
    assert section["rows"][0]["q"] == "–"
    assert section["rows"][0]["interval"] == "– to –"


def test_cells_as_replicates_are_told_on_the_page(arguments, written):
    with pytest.warns(UserWarning, match="Cells were taken as replicates"):
        arguments.comparison = compare(arguments.model, arguments.cells, groupby="condition", reference="control")
    page = written(arguments)
    assert "Cells were taken as replicates, which makes p- and q-values far too small" in page.text["conditions"]
    assert "units seem to differ, with cells taken as replicates," in page.text["conditions"]
    assert "Cells were taken as replicates" in page.text["summary"]


def test_a_comparison_of_another_model_is_refused(arguments, written):
    settings = {**arguments.comparison.settings, "fingerprint": "cafe"}
    arguments.comparison = dataclasses.replace(arguments.comparison, settings=settings)
    with pytest.raises(InputError, match="`comparison` must be of this model"):
        written(arguments)
    arguments.comparison = arguments.comparison.table
    with pytest.raises(InputError, match="`comparison` must be the result of scprism.compare or read_comparison"):
        written(arguments)


def test_verdicts_on_raw_units_do_not_fit_a_page_of_programs(arguments, written):
    from scprism.trust.result import TRUST_COLUMNS, Trust

    raw = pd.DataFrame([["x"] * len(TRUST_COLUMNS)], columns=list(TRUST_COLUMNS))
    arguments.trust = Trust(raw, {"fingerprint": arguments.model.fingerprint})
    with pytest.raises(InputError, match="`trust` must be of the units that `explanation` is about, programs"):
        written(arguments)


def test_verdicts_on_programs_do_not_fit_a_page_of_raw_units(arguments, written):
    arguments.trust = assess_units(arguments.model, arguments.cells, rng=0)
    arguments.explanation = arguments.cells.explain(units="raw")
    arguments.enrichment = enrich(arguments.explanation, {"some": list(arguments.model.genes[:20])}, rng=0)
    arguments.comparison = None
    with pytest.raises(InputError, match="raw units; got verdicts on programs"):
        written(arguments)


def test_tables_are_numbered_through(arguments, written):
    page = written(arguments)
    for number, section in enumerate(("labels", "units", "conditions", "coverage"), start=1):
        assert f"Table {number}." in page.text[section]
