import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from sklearn.neighbors import KNeighborsClassifier

from scprism.errors import InputError, PrismWarning
from scprism.label.labels import known_labels, labels_as_text
from scprism.label.neighbours import equal_shares, majority_label, neighbour_labels


@pytest.fixture
def blobs(rng):
    centres = np.array([[0.0, 0, 5], [5, 0, 0], [0, 5, 0]])
    codes = rng.integers(0, 3, size=150)
    points = centres[codes] + rng.normal(scale=2.0, size=(150, 3))
    return points.astype(np.float32), codes


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 5, 15])
def test_labels_are_scikit_learns(blobs, metric, k):
    points, codes = blobs
    calls = neighbour_labels(points[:100], codes[:100], points[100:], n_neighbours=k, metric=metric)
    peer = KNeighborsClassifier(k, metric=metric).fit(points[:100], codes[:100])
    shares = peer.predict_proba(points[100:])
    clear = (shares == shares.max(axis=1, keepdims=True)).sum(axis=1) == 1  # scikit-learn takes the first of equals
    np.testing.assert_array_equal(calls[clear], peer.predict(points[100:])[clear])


def test_of_equals_the_nearer_label_wins():
    labels = np.array([[0, 1], [1, 0], [1, 1]])
    label, share = majority_label(labels), equal_shares(labels, n_labels=2).max(axis=1)
    assert label.tolist() == [0, 1, 1]
    assert share == pytest.approx([0.5, 0.5, 1.0], abs=1e-4)


def test_nearness_never_outweighs_a_majority():
    labels = np.array([[0, 0, 1, 1, 1]])
    label, share = majority_label(labels), equal_shares(labels, n_labels=2).max(axis=1)
    assert label.tolist() == [1]
    assert share == pytest.approx([0.6], abs=1e-4)


def reference_with(labels):
    return AnnData(
        np.zeros((len(labels), 1)), obs=pd.DataFrame({"type": labels}, index=[f"c{i}" for i in range(len(labels))])
    )


@pytest.mark.filterwarnings("ignore:.*different labels:scprism.errors.PrismWarning")
def test_numbers_and_categories_are_labels():
    known = known_labels(reference_with(pd.Categorical([3, 1, 3])), "type")
    assert known.tolist() == ["3", "1", "3"]


def test_an_unknown_column_is_named_with_the_closest():
    with pytest.raises(
        InputError, match=r"`labels` must be a column of the reference's `.obs`, got 'typ'. Closest: 'type'"
    ):
        known_labels(reference_with(["B"]), "typ")


def test_whole_numbers_have_one_name_whether_cells_are_missing_or_not():
    assert labels_as_text(pd.Series([1.0, np.nan, 2.5])).fillna("-").tolist() == ["1", "-", "2.5"]
    assert labels_as_text(pd.Series([1, 2])).tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["B cell", "b cell", "T", "T"] * 3, "'B cell' and 'b cell'"),
        (["B cell", "B cell ", "T", "T"] * 3, "'B cell' and 'B cell '"),
        (["B_cell", "B  cell", "T", "T"] * 3, "'B  cell' and 'B_cell'"),
        (["1", "1.0", "2", "2"] * 3, "'1' and '1.0'"),
    ],
)
def test_labels_that_hardly_differ_are_noticed_and_kept_apart(labels, words):
    with pytest.warns(PrismWarning, match="differ in blanks, capitals or '.0' only, and are kept apart: " + words):
        known = known_labels(reference_with(labels), "type")
    assert known.nunique() == 3


def test_cells_whose_label_says_nan_count_as_unlabelled_and_are_noticed():
    with pytest.warns(PrismWarning, match="4 cells whose label in 'type' is 'None', 'nan' count as cells without"):
        known = known_labels(reference_with(["B", "nan", "T", "None", "B", "T"] * 2), "type")
    assert known.isna().sum() == 4


def test_labels_that_differ_truly_are_not_remarked_on():
    assert known_labels(reference_with(["CD4 T", "CD8 T", "NA", "", "1", "10"] * 4), "type").nunique() == 4


def test_a_column_without_labels_is_refused():
    with pytest.raises(InputError, match="No reference cell has a label in 'type'"):
        known_labels(reference_with(["NA", "nan"]), "type")


def test_names_that_stand_for_no_label_become_missing():
    values = pd.Series(["B cell", "NA", " nan ", "", None, np.nan, 3], dtype=object)
    assert labels_as_text(values).fillna("-").tolist() == ["B cell", "-", "-", "-", "-", "-", "3"]
