"""Composition: labels by sample beside the reference's, counted by pandas, and columns that hold no samples."""

import numpy as np
import pandas as pd
import pytest

from scprism.errors import InputError

NASTY = "T <CD4> & 'naïve'"


@pytest.fixture
def sampled(results):
    results.cells.obs["donor"] = ["<i>one"] * 4 + ["two"] * 4 + [np.nan] * 2
    results.sample = "donor"
    return results


def test_shares_are_those_of_a_cross_table_beside_the_reference(sampled, written):
    page = written(sampled)
    counts = pd.crosstab(sampled.labels["label"].to_numpy(), sampled.cells.obs["donor"].to_numpy(), normalize="columns")
    head, *rows = page.tables["composition-donor"]
    assert head == ["Label", "reference (3)", "<i>one (4)", "two (4)"]
    shares = {row[0]: row[2:] for row in rows}
    assert shares["B cell"] == ["100%", f"{counts.loc['B cell', 'two']:.1%}"] == ["100%", "50.0%"]
    assert shares[NASTY] == ["0%", "50.0%"]
    assert {row[0]: row[1] for row in rows} == {"B cell": "66.7%", NASTY: "33.3%"}
    assert "varies most: from 50.0% in two to 100% in <i>one" in page.text["labels"]
    bars = page.data["data-composition-0"]["data"]
    assert [bar["x"] for bar in bars] == [[0.6667, 1.0, 0.5], [0.3333, 0.0, 0.5]]
    assert bars[0]["y"][1] == "&lt;i&gt;one (4)"


def test_without_samples_there_is_no_composition(page):
    assert "Composition" not in page.text["labels"]


@pytest.mark.parametrize(
    ("column", "told"),
    [
        pytest.param(
            "doner", "`sample` must be a column of the query's `.obs`, got 'doner'. Closest: 'donor'", id="name"
        ),
        pytest.param("barcode", "got 'barcode' with 10", id="too many"),
        pytest.param("nothing", "got 'nothing' with 0", id="empty"),
    ],
)
def test_columns_that_hold_no_samples_are_refused(sampled, written, monkeypatch, column, told):
    monkeypatch.setattr("scprism.report.composition.MOST_GROUPS", 9)
    sampled.cells.obs["barcode"], sampled.cells.obs["nothing"] = sampled.cells.obs_names, np.nan
    sampled.sample = column
    with pytest.raises(InputError) as error:
        written(sampled)
    assert told in str(error.value)
