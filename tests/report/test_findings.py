"""Warnings that the page computes from its results."""

import re
from dataclasses import replace


def test_low_coverage_is_warned_of_once(results, written):
    results.model.coverage["found"] = ["name", "missing", "missing", "missing", "missing", "missing"]
    first = written(results).text["summary"]
    assert "Low gene coverage: 1 of 6 genes found by name, 0 by ortholog, 5 missing" in first
    message = re.search(r"Low gene coverage: .*?expression\.", first).group()
    results.messages = (message,)
    assert written(results).text["summary"].count("Low gene coverage") == 1


def test_dead_units_unfinished_training_and_inexact_attributions_are_warned_of(results, written):
    results.embedding[:, 1] = 2.0
    results.model.reference[:, 1] = 2.0
    results.model.config = replace(results.model.config, max_epochs=3)
    results.model.summary["best_epoch"] = 3
    results.explanation = replace(results.explanation, completeness_error=0.25)
    page = written(results)
    text = page.text["summary"]
    assert "1 of 3 units hardly vary" in text
    assert "Training still improved in its last epoch (3)" in text
    assert "by up to 25.0%" in text
    assert page.rows["units"][2][1] == "hardly varies"


def test_nothing_significant_is_said_plainly(results, written):
    results.enrichment = results.enrichment.assign(q_value=0.4)
    page = written(results)
    assert "data-pathways" not in page.data
    assert "none has q < 0.05, so there is no map to draw" in page.text["pathways"]
    assert "No gene set is significant (q < 0.05) for any unit" in page.text["summary"]
