"""Labelled reference cells: where they lie, and what is learned from them."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from scprism.errors import InputError
from scprism.label import reference as reference_module
from scprism.label.centroids import centroid_shares
from scprism.label.classifier import shape_of
from scprism.label.neighbours import neighbour_shares
from scprism.label.query_shift import UsualRange
from scprism.label.reference import calibration_sample, classifier_of, label_cells, learn_reference
from scprism.model.config import Config

USUAL = UsualRange((1.0, 2.0, 3.0), (0.1, 0.2, 0.3))
EUCLIDEAN = Config(metric="euclidean", whiten_latent=False)


def learned(latent, labels, *, config=EUCLIDEAN):
    sample, keys = np.arange(len(latent)), np.array([hash(cell.tobytes()) % 2**48 for cell in latent], dtype=np.uint64)
    text = pd.Series(labels)
    return learn_reference(latent, text, keys=keys, sample=sample, simulated=[], usual=USUAL, config=config)


@pytest.fixture
def blobs(rng):
    centres = np.array([[0.0, 0, 9], [9, 0, 0], [0, 9, 0], [9, 9, 9]])
    codes = np.repeat(np.arange(4), 100)
    return (centres[codes] + rng.normal(size=(400, 3))).astype(np.float32), np.array(list("ABCD"))[codes]


@pytest.mark.parametrize(
    "config", [EUCLIDEAN, Config(metric="euclidean", standardise_latent=True), Config(), Config(votes="equal")]
)
def test_cells_get_the_label_of_their_blob(blobs, rng, config):
    latent, labels = blobs
    reference = learned(latent[::2], labels[::2], config=config)
    calls = label_cells(latent[1::2], reference, names=pd.RangeIndex(200), config=config)
    assert (calls["label"] == labels[1::2]).mean() > 0.97
    assert list(calls.columns) == ["label", "confidence", "distance", "novel"]
    assert calls.index.name == "cell"


def test_a_type_that_the_reference_lacks_is_novel_and_not_confident(blobs):
    latent, labels = blobs
    known = labels != "D"
    reference = learned(latent[known], labels[known])
    calls = label_cells(latent, reference, names=pd.RangeIndex(400), config=EUCLIDEAN)
    assert calls["novel"][~known].mean() > 0.99
    assert calls["novel"][known].mean() <= 0.06
    assert calls["confidence"][~known].max() < 0.5 < 0.9 < calls["confidence"][known].median()


def test_the_label_of_a_novel_cell_is_still_the_nearest(blobs):
    latent, labels = blobs
    reference = learned(latent, labels)
    far = label_cells(np.array([[60.0, 0, 0]]), reference, names=pd.Index(["x"]), config=EUCLIDEAN)
    assert (far.loc["x", "label"], bool(far.loc["x", "novel"])) == ("B", True)


def test_shape_whitens_deviations_within_types(rng):
    spread = np.diag([3.0, 0.5, 1.0])
    codes = np.repeat([0, 1], 20_000)
    points = rng.normal(size=(40_000, 3)) @ spread + 10 * codes[:, None]
    shape = shape_of(points, codes, np.ones(2))
    white = (points - shape.centroid[codes]) @ shape.whitening
    np.testing.assert_allclose(white.T @ white / 40_000, np.eye(3), atol=0.02)
    np.testing.assert_allclose(shape.centroid, [[0, 0, 0], [10, 10, 10]], atol=0.1)


def test_few_cells_of_many_units_are_taken_for_a_sphere(rng):
    points = rng.normal(size=(12, 50))
    shape = shape_of(points, np.zeros(12, dtype=int), np.ones(1))
    np.testing.assert_allclose(shape.whitening, np.eye(50) * shape.whitening[0, 0], atol=1e-9)


def test_unseen_cells_calibrate_where_there_are_enough():
    unseen, keys = np.zeros(100, dtype=bool), np.arange(100, dtype=np.uint64)
    unseen[[3, 7]] = True
    assert len(calibration_sample(unseen, keys)) == 100
    unseen[20:60:2] = True
    assert calibration_sample(unseen, keys).tolist() == [3, 7, *range(20, 60, 2)]


def test_large_references_are_sampled_by_cell(rng):
    keys, none = rng.permutation(50_000).astype(np.uint64), np.zeros(50_000, dtype=bool)
    cells = calibration_sample(none, keys)
    assert sorted(keys[cells]) == list(range(2000))
    assert (np.diff(cells) > 0).all()


def test_a_reference_of_a_few_cells_is_refused():
    with pytest.raises(InputError, match="at least 10 labelled cells to tell how often its labels are right, got 3"):
        learned(np.zeros((3, 2), dtype=np.float32), list("AAB"))


def test_equal_cells_are_no_trouble():
    latent = np.repeat(np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32), 20, axis=0)
    reference = learned(latent, ["A"] * 20 + ["B"] * 20, config=Config())
    calls = label_cells(latent, reference, names=pd.RangeIndex(40), config=Config())
    assert calls["label"].tolist() == ["A"] * 20 + ["B"] * 20
    assert calls["distance"].max() < 1e-6
    assert not calls["novel"].any()


def test_deviation_counts_more_across_a_long_type_than_along_it(rng):
    latent = (rng.normal(size=(400, 2)) * [8.0, 0.5]).astype(np.float32)
    classifier = classifier_of(learned(latent, ["A"] * 200 + ["B"] * 200), EUCLIDEAN)
    cells = np.array([[4.0, 0.0], [0.0, 4.0]])
    along, across = classifier.calls(cells).evidence.log_deviation
    # variances of 64 and 0.25 are shrunk by 4/400 towards their mean of 32, plus a thousandth of it: 63.7 and 0.60;
    # the rest is the error of the two centroids
    assert np.exp(across - along) == pytest.approx(np.sqrt(63.7 / 0.60), rel=0.25)


def test_neighbours_and_centroids_have_half_of_the_share_each(blobs):
    latent, labels = blobs
    config = Config()
    classifier = classifier_of(learned(latent, labels, config=config), config)
    cells = (latent[:50] + latent[100:150]) / 2  # between A and B
    calls, near = classifier.calls(cells), classifier.find(cells, 15)
    shares = neighbour_shares(classifier.codes[near.cell], weights=np.ones(4))  # labels are equally common
    shares = (shares + centroid_shares(classifier.space.points(cells), classifier.shape.centroid)) / 2
    np.testing.assert_array_equal(calls.label, shares.argmax(axis=1))
    np.testing.assert_allclose(calls.evidence.share, shares.max(axis=1))


def test_a_label_that_was_taken_away_is_never_given(blobs):
    latent, labels = blobs
    config = Config()
    reference = learned(latent, labels, config=config)
    d = reference.names.index("D")
    without = classifier_of(reference, config).without_label(reference.latent, d)
    calls = without.calls(reference.latent[reference.codes == d])
    assert (calls.label != d).all()
    assert calls.evidence.share.min() > 0.25


def without_signal(seed):
    """20 labels of 20 cells each, which no latent tells apart."""
    return np.random.default_rng(seed).normal(size=(400, 50)).astype(np.float32), np.repeat(
        list("ABCDEFGHIJKLMNOPQRST"), 20
    )


def judged_in_calibration(monkeypatch, latent, labels, config):
    """Return whether the labels of the cells that calibration judged were right, and its confidence in them."""
    seen = []
    learn = reference_module.learn_calibration
    monkeypatch.setattr(reference_module, "learn_calibration", lambda *a: seen.append(a[0]) or learn(*a))
    calibration = learned(latent, labels, config=config).calibration
    evidence, right = seen[0]
    return right, calibration.confidence(evidence)


@pytest.mark.parametrize("config", [Config(), Config(metric="euclidean"), Config(votes="equal", whiten_latent=False)])
def test_labels_without_any_signal_are_right_by_chance_and_known_to_be(monkeypatch, config):
    """Each cell must be judged by a reference without it: neighbours, centroids and whitening."""
    parts = [judged_in_calibration(monkeypatch, *without_signal(seed), config) for seed in range(5)]
    right, confidence = (np.concatenate(part) for part in zip(*parts, strict=True))
    assert right.mean() == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 2000))
    assert confidence.mean() == pytest.approx(right.mean(), abs=0.02)


def test_novel_keeps_its_promise_for_new_cells_of_few_cells_in_many_units(rng):
    """400 cells of 4 types in 50 units: new ones of the same kind are called novel once in twenty, not more."""
    centroids = rng.normal(size=(4, 50))
    alarms = []
    for seed in range(10):
        draw = np.random.default_rng(seed)
        codes = draw.integers(0, 4, 800)
        latent = (centroids[codes] + draw.normal(size=(800, 50))).astype(np.float32)
        reference = learned(latent[:400], np.array(list("ABCD"))[codes[:400]], config=Config())
        alarms.append(label_cells(latent[400:], reference, names=pd.RangeIndex(400), config=Config())["novel"].mean())
    assert 0.02 < np.mean(alarms) < 0.065


@pytest.mark.parametrize(
    "config", [Config(), Config(votes="equal"), Config(metric="euclidean", standardise_latent=True)]
)
def test_the_order_of_cells_and_the_names_of_labels_change_no_bit(rng, config):
    centroids = rng.normal(size=(5, 20))
    codes = rng.integers(0, 5, 333)
    latent = (centroids[codes] + 2 * rng.normal(size=(333, 20))).astype(np.float32)
    query, order = rng.normal(size=(101, 20)).astype(np.float32), rng.permutation(333)
    names = pd.RangeIndex(101)
    labels = np.array(list("ABCDE"))[codes]
    first = label_cells(query, learned(latent, labels, config=config), names=names, config=config)
    turned = label_cells(query, learned(latent[order], labels[order], config=config), names=names, config=config)
    pd.testing.assert_frame_equal(first, turned, check_exact=True)
    other = np.array(list("XQZAM"))[codes]
    renamed = label_cells(query, learned(latent, other, config=config), names=names, config=config)
    renamed["label"] = renamed["label"].map(dict(zip("XQZAM", "ABCDE", strict=True)))
    pd.testing.assert_frame_equal(first, renamed, check_exact=True)
    asked = rng.permutation(101)
    part = label_cells(query[asked], learned(latent, labels, config=config), names=names[asked], config=config)
    pd.testing.assert_frame_equal(first.iloc[asked], part, check_exact=True)


def test_usual_distance_is_to_other_cells_than_itself(blobs):
    latent, labels = blobs
    reference = learned(latent, labels)
    apart = np.sort(cdist(latent, latent), axis=1)[:, 1:16].mean(axis=1)
    expected = [np.median(apart[labels == name]) for name in reference.names]
    np.testing.assert_allclose(reference.shape.usual_distance, expected, rtol=1e-5)


def test_simulated_cells_are_judged_beside_the_cells_that_they_were_made_of(blobs, monkeypatch, rng):
    """Copies without any change have the evidence of their cells, whatever the order in which the sample comes."""
    latent, labels = blobs
    seen, learn = [], reference_module.learn_calibration
    monkeypatch.setattr(reference_module, "learn_calibration", lambda *a: seen.append(a) or learn(*a))
    sample, keys = np.sort(rng.permutation(400)[:150]), rng.permutation(400).astype(np.uint64)
    learn_reference(
        latent, pd.Series(labels), keys=keys, sample=sample, simulated=[latent[sample]], usual=USUAL, config=Config()
    )
    (own, right), [(copy, copy_right)], _ = seen[0]
    np.testing.assert_array_equal(copy.log_distance, own.log_distance)
    np.testing.assert_array_equal(copy_right, right)
    assert right.mean() > 0.97
