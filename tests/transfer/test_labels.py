import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from sklearn.neighbors import KNeighborsClassifier

from scprism.errors import InputError
from scprism.model.presets import PRESETS
from scprism.transfer.labels import known_labels, label_query, labels_as_text, neighbour_labels, scaling_of


@pytest.fixture
def blobs(rng):
    centres = np.array([[0.0, 0, 5], [5, 0, 0], [0, 5, 0]])
    codes = rng.integers(0, 3, size=150)
    points = centres[codes] + rng.normal(scale=2.0, size=(150, 3))
    return points.astype(np.float32), codes


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 5, 15])
def test_labels_and_confidence_are_scikit_learns(blobs, metric, k):
    points, codes = blobs
    calls = neighbour_labels(points[:100], codes[:100], points[100:], n_neighbours=k, metric=metric)
    peer = KNeighborsClassifier(k, metric=metric).fit(points[:100], codes[:100])
    shares = peer.predict_proba(points[100:])
    clear = (shares == shares.max(axis=1, keepdims=True)).sum(axis=1) == 1  # scikit-learn takes the first of equals
    np.testing.assert_array_equal(calls.label[clear], peer.predict(points[100:])[clear])
    np.testing.assert_allclose(calls.confidence, shares.max(axis=1))


def test_of_equals_the_nearer_label_wins():
    reference = np.array([[0.0], [1.0], [3.0], [4.0]])
    calls = neighbour_labels(
        reference, np.array([0, 1, 1, 0]), np.array([[0.0], [1.1]]), n_neighbours=2, metric="euclidean"
    )
    assert calls.label.tolist() == [0, 1]
    assert calls.confidence.tolist() == [0.5, 0.5]


def test_a_cell_far_from_all_is_novel(blobs):
    points, codes = blobs
    query = np.array([[0.0, 0, 5], [60, 60, 60]], dtype=np.float32)
    calls = neighbour_labels(points, codes, query, n_neighbours=5, metric="euclidean")
    assert calls.novel.tolist() == [False, True]


def test_few_of_the_references_own_kind_are_novel(rng):
    reference, query = rng.normal(size=(2, 1000, 5))
    calls = neighbour_labels(reference, np.zeros(1000, dtype=int), query, n_neighbours=10, metric="euclidean")
    # 1 % by construction; the standard error of 1,000 draws is 0.3 %
    assert calls.novel.mean() == pytest.approx(0.01, abs=0.01)


def test_more_neighbours_than_cells_are_all_cells():
    calls = neighbour_labels(
        np.array([[0.0], [1.0], [2.0]]), np.array([1, 0, 0]), np.array([[0.0]]), n_neighbours=15, metric="euclidean"
    )
    assert (calls.label.tolist(), calls.confidence.tolist()) == ([0], [pytest.approx(2 / 3)])


def test_scaling_has_the_references_moments_and_keeps_constants(rng):
    latent = rng.normal(3, 2, size=(50, 2))
    latent[:, 1] = 7
    scaled = scaling_of(latent).apply(latent)
    np.testing.assert_allclose([scaled[:, 0].mean(), scaled[:, 0].std()], [0, 1], atol=1e-6)
    assert (scaled[:, 1] == 0).all()


def reference_with(labels):
    return AnnData(
        np.zeros((len(labels), 1)), obs=pd.DataFrame({"type": labels}, index=[f"c{i}" for i in range(len(labels))])
    )


@pytest.mark.filterwarnings("ignore:.*different labels:scprism.errors.PrismWarning")
def test_cells_without_a_label_do_not_vote(rng):
    latent = np.array([[0.0], [0.1], [5.0]], dtype=np.float32)
    known = known_labels(reference_with(["NA", None, "B"]), "type")
    table = label_query(latent, latent, known, names=pd.Index(["x", "y", "z"]), config=PRESETS["paper"])
    assert table["label"].tolist() == ["B", "B", "B"]
    assert list(table.columns) == ["label", "confidence", "distance", "novel"]
    assert table.index.name == "cell"


@pytest.mark.filterwarnings("ignore:.*different labels:scprism.errors.PrismWarning")
def test_numbers_and_categories_are_labels():
    known = known_labels(reference_with(pd.Categorical([3, 1, 3])), "type")
    assert known.tolist() == ["3", "1", "3"]


def test_an_unknown_column_is_named_with_the_closest():
    with pytest.raises(
        InputError, match=r"`labels` must be a column of the reference's `.obs`, got 'typ'. Closest: 'type'"
    ):
        known_labels(reference_with(["B"]), "typ")


def test_a_column_without_labels_is_refused():
    with pytest.raises(InputError, match="No reference cell has a label in 'type'"):
        known_labels(reference_with(["NA", "nan"]), "type")


def test_names_that_stand_for_no_label_become_missing():
    values = pd.Series(["B cell", "NA", " nan ", "", None, np.nan, 3], dtype=object)
    assert labels_as_text(values).fillna("-").tolist() == ["B cell", "-", "-", "-", "-", "-", "3"]
