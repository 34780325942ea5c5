"""What belongs together on a page, and how its cells are drawn."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from scprism.errors import InputError
from scprism.label.result import Labels
from scprism.report.page import write_report
from scprism.report.subject import drawn_cells, reference_values

WRONG = {
    "embedding of other cells": (
        {"embedding": np.zeros((9, 3), dtype=np.float32)},
        "one row a cell and one column a unit: 10 by 3, got 9 by 3. Give the result of model.embed(cells).",
    ),
    "embedding of another model": ({"embedding": np.zeros((10, 4), dtype=np.float32)}, "10 by 3, got 10 by 4"),
    "unknown reference labels": (
        {"reference_labels": "typ"},
        "`reference_labels` must be a column of `reference.obs`, got 'typ'. Closest: 'type'.",
    ),
    "reference labels alone": ({"reference": None}, "got 'type' without a `reference`. Give both."),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_results_that_do_not_belong_together_are_refused(results, tmp_path, changes, message):
    (tmp_path / "report.html").write_text("an older page")
    with pytest.raises(InputError, match=re.escape(message)):
        write_report(tmp_path / "report.html", **{**vars(results), **changes})
    assert [p.read_text() for p in tmp_path.iterdir()] == ["an older page"]


def test_an_explanation_of_another_model_is_refused(results, written):
    results.explanation = replace(results.explanation, fingerprint="cafe")
    with pytest.raises(InputError, match=r"must be of this model \(fingerprint f00d\), got one of the model cafe"):
        written(results)


def test_a_difference_of_groups_is_refused(results, written):
    results.explanation = results.explanation.difference("rest")
    with pytest.raises(InputError, match="must have the group 'all', got 'B cell'"):
        written(results)


def test_labels_of_other_cells_are_refused(results, written):
    results.labels = results.labels[::-1]
    with pytest.raises(InputError, match=r"its index differs from their `.obs_names`"):
        written(results)


def test_a_column_of_labels_is_refused(results, written):
    results.labels = results.labels["label"]
    with pytest.raises(InputError, match=r"`labels` must have the columns .* missing, got a Series"):
        written(results)


def test_labels_and_their_table_make_the_same_page_but_for_the_warnings(results, written):
    table = results.labels
    alone = written(results).text
    results.labels = Labels(table, {}, ("The query is unlike <it>.",))
    page = written(results).text
    assert "The query is unlike <it>." in page["summary"]
    assert {k: v for k, v in page.items() if k != "summary"} == {k: v for k, v in alone.items() if k != "summary"}


def test_a_table_that_is_no_enrichment_is_refused(results, written):
    results.enrichment = results.enrichment.drop(columns=["nes", "q_value"])
    with pytest.raises(InputError, match=r"`enrichment` must have the columns .*; 'nes', 'q_value' missing"):
        written(results)


@pytest.mark.parametrize(("projection", "name"), [("umap", "UMAP"), ("tsne", "t-SNE")])
def test_projection_is_that_of_the_settings(results, projection, name):
    # row 14 of the table in method.md: the paper shows UMAP, its released code draws t-SNE
    cells = AnnData(np.zeros((20, 1), dtype=np.float32))
    subject = SimpleNamespace(
        model=SimpleNamespace(config=replace(results.model.config, projection=projection)),
        embedding=np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32),
        cells=cells,
        labels=None,
        reference=None,
    )
    assert drawn_cells(subject, None, values=subject.embedding).projection.method == name


def test_an_enrichment_of_other_units_is_refused(results, written):
    results.enrichment = results.enrichment.assign(unit="U01")
    with pytest.raises(InputError, match=r"`enrichment` must be of the units of `explanation`, .*; got 'U01'"):
        written(results)


def test_activities_of_a_reference_are_taken_only_from_an_embedding_by_this_model():
    reference = AnnData(np.zeros((2, 0), dtype=np.float32), obsm={"X_prism_units": np.ones((2, 1), dtype=np.float32)})
    named = SimpleNamespace(units=SimpleNamespace(names=("U01",)))
    own = pd.DataFrame({"U01": [5.0, 6.0]})
    model = SimpleNamespace(fingerprint="f00d", named_units=named, activity=lambda _: own)
    explanation = SimpleNamespace(units=("U01",))
    subject = SimpleNamespace(model=model, explanation=explanation, reference=reference, reference_view=None)
    latent = np.zeros((2, 3), dtype=np.float32)

    reference.uns["scprism"] = {"fingerprint": "cafe", "units": np.array(["U01"])}
    assert reference_values(subject, latent)[:, 0].tolist() == [5, 6]
    reference.uns["scprism"] = {"fingerprint": "f00d", "units": np.array(["U01"])}
    assert reference_values(subject, latent)[:, 0].tolist() == [1, 1]
    del reference.obsm["X_prism_units"]
    with pytest.raises(InputError, match="an embedding without the activities of this model's units"):
        reference_values(subject, latent)
