"""The section on which units may be named."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scprism.errors import InputError
from scprism.trust.result import TRUST_COLUMNS, Trust
from scprism.trust.verdict import MAY_BE_NAMED, MAY_NOT_BE_NAMED


@pytest.fixture
def trust():
    """Verdicts on three units, every number another one."""
    values = {name: np.arange(3) / 10 + i / 100 for i, name in enumerate(TRUST_COLUMNS)}
    words = {
        "unit": ["unit_0", "unit_1", "unit_2"],
        "verdict": [MAY_NOT_BE_NAMED, MAY_BE_NAMED, MAY_NOT_BE_NAMED],
        "reason": ["refits agree by 0.10, needs 0.70", "keeps all rules", "<b>why</b> & how"],
    }
    table = pd.DataFrame({**values, **words})
    table["deletion_low"] = [-0.25, 0.125, np.nan]
    settings = {
        "fingerprint": "f00d",
        "n_refits": 1,
        "n_draws": 20,
        "n_cells": 1234,
        "rules": ["Rule <one>.", "Rule two."],
        "median_matched_correlation": 0.61,
        "median_pca_correlation": 0.32,
        "median_nmf_correlation": None,
        "map_cosine": 0.14,
        "sets_per_unit": 3.25,
        "units_per_set": 7.5,
    }
    return Trust(table, settings, ("Said of <trust>.",))


def test_verdicts_stand_in_a_table_of_their_own(results, written, trust):
    results.trust = trust
    page = written(results)
    assert page.rows["trust"][1:] == [
        ["0", "no", "0.02", "0.04", "0.05", "0.08", "0.11 (−0.25 to 0.13)", "refits agree by 0.10, needs 0.70"],
        ["1", "yes", "0.12", "0.14", "0.15", "0.18", "0.21 (0.12 to 0.23)", "keeps all rules"],
        ["2", "no", "0.22", "0.24", "0.25", "0.28", "0.31 (– to 0.33)", "<b>why</b> & how"],
    ]


def test_rules_and_yardsticks_are_stated(results, written, trust):
    results.trust = trust
    text = written(results).text["trust"]
    assert "1 of 3 units may be named" in text
    assert "Rule <one>. Rule two." in text
    assert "trained 1 more time on the same cells with other seeds" in text
    assert "compared on 1,234 cells of the query" in text
    assert "median matched correlation is 0.61; that of as many components of PCA refitted on half" in text
    assert "is 0.32, of NMF with other seeds –" in text
    assert "spreads over 3.25 of them on average and a set over 7.50 units" in text


def test_tables_are_numbered_through(results, written, trust):
    results.trust = trust
    page = written(results)
    for number, section in enumerate(("odd", "labels", "units", "trust", "coverage"), start=1):
        assert f"Table {number}." in page.text[section]


def test_a_page_without_verdicts_has_no_such_section(page):
    assert "trust" not in page.text
    assert "Table 4." in page.text["coverage"]


def test_verdicts_on_another_model_are_refused(results, written, trust):
    results.trust = replace(trust, settings={**trust.settings, "fingerprint": "cafe"})
    with pytest.raises(InputError, match="`trust` must be of this model"):
        written(results)


def test_another_table_is_refused(results, written, trust):
    results.trust = replace(trust, table=trust.table.drop(columns="verdict"), settings={})
    with pytest.raises(InputError, match="it lacks 'verdict', 'settings'"):
        written(results)
    results.trust = trust.table
    with pytest.raises(InputError, match=r"result of scprism.assess_units or scprism.read_trust, got DataFrame"):
        written(results)


def test_warnings_of_the_verdicts_are_shown(results, written, trust):
    results.trust = trust
    assert "Said of <trust>." in written(results).text["summary"]
