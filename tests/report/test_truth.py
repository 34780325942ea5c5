"""Labels beside known ones on the page: the numbers of scikit-learn, and what cannot be compared."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from scprism.errors import InputError
from scprism.report.tables import wilson_interval

NASTY = "T <CD4> & 'naïve'"
TYPES = ["B cell"] * 5 + [NASTY] * 4 + ["<script>"]


@pytest.fixture
def known(results):
    results.cells.obs["type"] = TYPES
    results.truth = "type"
    return results


def test_agreement_is_that_of_scikit_learn(known, written):
    page = written(known)
    given = known.labels["label"].tolist()[:9]
    accuracy, f1 = accuracy_score(TYPES[:9], given), f1_score(TYPES[:9], given, average="macro")
    assert f"{accuracy:.1%} of 9 cells agree (accuracy)" in page.text["verdict"]
    assert f"(macro-F1) is {f1:.3f}" in page.text["verdict"]
    assert (
        "1 cell is of types that the reference lacks and cannot be labelled rightly; 100% of them is"
        in page.text["verdict"]
    )
    heatmap = page.data["data-confusion"]["data"][0]
    counts = confusion_matrix(TYPES, known.labels["label"], labels=["B cell", NASTY, "NK cell", "<script>"])
    # rows: the commonest type first, what the reference lacks last; columns: those types, then other labels
    rows = counts[[0, 1, 3]][:, [0, 1, 2]]
    np.testing.assert_allclose(heatmap["z"], rows / rows.sum(axis=1)[:, None], atol=1e-4)
    assert page.data["data-confusion"]["layout"]["yaxis"]["ticktext"][2] == "&lt;script&gt; (1)"
    assert page.tables["known-types"][1][:2] == ["B cell", "5"]
    assert page.tables["known-types"][2][-1] == "B cell (25.0%)"


def test_calibration_is_the_share_of_right_labels_in_each_tenth(known, written):
    points = written(known).data["data-calibration"]["data"][1]
    table = known.labels.iloc[:9].assign(right=known.labels["label"].iloc[:9] == TYPES[:9])
    tenth = np.minimum((table["confidence"] * 10).astype(int), 9)
    np.testing.assert_allclose(points["x"], table.groupby(tenth)["confidence"].mean(), atol=1e-4)
    np.testing.assert_allclose(points["y"], table.groupby(tenth)["right"].mean(), atol=1e-4)


def test_intervals_are_those_of_scipy():
    for right, n in ((0, 5), (3, 7), (9, 10), (200, 200)):
        expected = binomtest(right, n).proportion_ci(method="wilson")
        np.testing.assert_allclose(wilson_interval(right / n, n), expected, atol=1e-7)


def test_without_known_labels_the_page_says_how_to_give_them(page):
    assert "name their column (on the command line --truth, in Python truth=)" in page.text["verdict"]
    assert "data-confusion" not in page.data


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"truth": "typ"}, "`truth` must be a column of the query's `.obs`, got 'typ'", id="column"),
        pytest.param({"labels": None}, "got 'type' without `labels`", id="no labels"),
        pytest.param({"reference_labels": None}, "`truth` needs the labels that could have been given", id="names"),
    ],
)
def test_what_cannot_be_compared_is_refused(known, written, tmp_path, change, told):
    for name, value in change.items():
        setattr(known, name, value)
    with pytest.raises(InputError) as error:
        written(known)
    assert told in str(error.value)
    assert not list(tmp_path.iterdir())


def test_labels_in_other_names_than_the_references_are_refused(known, written):
    known.cells.obs["type"] = pd.Series("kind of " + pd.Series(TYPES).to_numpy(), index=known.cells.obs_names)
    with pytest.raises(InputError, match="None of the known labels"):
        written(known)
