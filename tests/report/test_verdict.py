"""Whether the labels can be trusted: the answer for each ground, alone and with others."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scprism.label.agreement import agreement
from scprism.report.verdict import verdict_section

UNLIKE = "The query is unlike the reference: genes without a count: median 94%. Read confidence and novel."


def labels(*, confidence=0.95, n_novel=3, n_low=2, n=100):
    values = np.full(n, (confidence * n - 0.4 * n_low) / (n - n_low))
    values[:n_low] = 0.4
    return pd.DataFrame({"label": "B cell", "confidence": values, "novel": np.arange(n) < n_novel})


def verdict(table, *, genes=1.0, expression=1.0, truth=None, messages=(), held_out=None):
    known = None if truth is None else agreement(table, ("B cell", "T cell"), pd.Series(truth))
    alignment = SimpleNamespace(share_of_genes=genes, share_of_expression=expression)
    return verdict_section(table, alignment=alignment, known=known, messages=messages, held_out=held_out)


def test_where_all_is_well_the_answer_is_yes_and_says_how_many_labels_are_right():
    found = verdict(labels())
    assert (found["level"], found["answer"]) == ("good", "Yes")
    assert found["reason"] == (
        "about 95% of the labels are expected to be right (the mean confidence), and 3.0% of the cells are novel, "
        "where up to 5% are expected of cells like the reference’s"
    )


@pytest.mark.parametrize(
    ("given", "level", "told"),
    [
        pytest.param({"table": labels(confidence=0.89)}, "caution", "about 89% of the labels are expected", id="some"),
        pytest.param({"table": labels(confidence=0.69)}, "bad", "about 69% of the labels are expected", id="few"),
        pytest.param({"table": labels(n_novel=21)}, "caution", "but 21.0% of the cells are novel", id="novel"),
        pytest.param({"table": labels(n_novel=51)}, "bad", "but 51.0% of the cells are novel", id="most novel"),
        pytest.param(
            {"held_out": 0.89}, "caution", "but 89.0% of the reference’s own cells are labelled", id="held out"
        ),
        pytest.param(
            {"held_out": 0.69}, "bad", "but 69.0% of the reference’s own cells are labelled", id="not learned"
        ),
        pytest.param({"genes": 0.79}, "caution", "but the query has 79.0% of the model’s genes", id="genes"),
        pytest.param({"expression": 0.49}, "bad", "with 49.0% of the reference’s expression", id="expression"),
        pytest.param(
            {"messages": (UNLIKE,)}, "caution", "unlike the reference (genes without a count: median 94%)", id="place"
        ),
    ],
)
def test_each_ground_alone_decides(given, level, told):
    found = verdict(**{"table": labels(), **given})
    assert found["level"] == level
    assert told in found["reason"]
    assert sum(ground["level"] != "good" for ground in found["grounds"]) == 1


def test_known_labels_count_and_not_what_confidence_expects():
    found = verdict(labels(confidence=0.6), truth=["B cell"] * 95 + ["T cell"] * 5)
    assert found["reason"] == (
        "95.0% of 100 cells of known type are labelled rightly, and 3.0% of the cells are novel, where up to 5% are "
        "expected of cells like the reference’s"
    )
    found = verdict(labels(), truth=["B cell"] * 60 + ["T cell"] * 30 + ["macrophage"] * 10)
    assert found["level"] == "bad"
    assert found["reason"] == (
        "66.7% of 90 cells of known type are labelled rightly; 10 further cells are of types that the reference lacks"
    )


def test_without_labels_there_is_no_verdict():
    assert verdict_section(None, alignment=SimpleNamespace(), known=None, messages=()) is None


def test_the_page_begins_with_the_answer(page, results, written):
    text = page.text["summary"]
    assert text.startswith("Can I trust these labels? ! With care: about 75% of the labels are expected to be right")
    results.labels = results.labels.assign(confidence=0.99, novel=False)
    results.model.coverage = results.model.coverage.assign(found="name")
    text = written(results).text["summary"]
    assert text.startswith("Can I trust these labels? ✓ Yes: about 99% of the labels are expected to be right")


def test_what_was_done_is_told_with_files_command_and_date_where_they_are_known(results, written):
    assert "Command" not in written(results).text["summary"]
    results.made_by = {"query": "<b>lung</b>.h5ad", "command": "scprism run …", "written": "2026-01-02", "room": "4"}
    text = written(results).text["summary"]
    for fact in ("Query <b>lung</b>.h5ad, 10 cells × 2 genes", "Command scprism run …", "Written 2026-01-02", "room 4"):
        assert fact in text
    assert "6 genes were chosen for the model" in text
