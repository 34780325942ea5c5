"""Labelled reference cells: where they lie, and what is learned from them."""

import numpy as np
import pandas as pd
import pytest

from scprism.errors import InputError
from scprism.label.evidence import say_of_centres, vote_shares
from scprism.label.labels import label_cells
from scprism.label.neighbours import Neighbours
from scprism.label.query_shift import Usual
from scprism.label.reference import calibration_sample, learn_reference, shape_of, voters_of
from scprism.model.config import Config

USUAL = Usual((1.0, 2.0, 3.0), (0.1, 0.2, 0.3))
EUCLIDEAN = Config(metric="euclidean", whiten_latent=False)


def learned(latent, labels, *, config=EUCLIDEAN):
    sample = np.arange(len(latent))
    return learn_reference(latent, pd.Series(labels), sample=sample, copies=[], usual=USUAL, config=config)


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
    shape = shape_of(points, codes, np.ones(40_000), n_labels=2)
    white = (points - shape.centre[codes]) @ shape.whitening
    np.testing.assert_allclose(white.T @ white / 40_000, np.eye(3), atol=0.02)
    np.testing.assert_allclose(shape.centre, [[0, 0, 0], [10, 10, 10]], atol=0.1)


def test_few_cells_of_many_units_are_taken_for_a_sphere(rng):
    points = rng.normal(size=(12, 50))
    shape = shape_of(points, np.zeros(12, dtype=int), np.ones(12), n_labels=1)
    np.testing.assert_allclose(shape.whitening, np.eye(50) * shape.whitening[0, 0], atol=1e-9)


def test_unseen_cells_calibrate_where_there_are_enough():
    unseen = np.zeros(100, dtype=bool)
    unseen[[3, 7]] = True
    assert len(calibration_sample(unseen)) == 100
    unseen[20:60:2] = True
    assert calibration_sample(unseen).tolist() == [3, 7, *range(20, 60, 2)]


def test_large_references_are_sampled_always_alike():
    cells = calibration_sample(np.zeros(50_000, dtype=bool))
    assert len(cells) == len(set(cells)) == 2000
    assert (np.diff(cells) > 0).all()
    np.testing.assert_array_equal(cells, calibration_sample(np.zeros(50_000, dtype=bool)))


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
    voters = voters_of(learned(latent, ["A"] * 200 + ["B"] * 200), EUCLIDEAN)
    cells = np.array([[4.0, 0.0], [0.0, 4.0]])
    along, across = voters.calls(cells, voters.find(cells, 15)).evidence.log_deviation
    # variances of 64 and 0.25 are shrunk by 4/400 towards their mean of 32, plus a thousandth of it: 63.7 and 0.60;
    # the rest is the error of the two centres
    assert np.exp(across - along) == pytest.approx(np.sqrt(63.7 / 0.60), rel=0.25)


def test_neighbours_and_centres_have_half_of_the_say_each(blobs):
    latent, labels = blobs
    config = Config()
    voters = voters_of(learned(latent, labels, config=config), config)
    cells = (latent[:50] + latent[100:150]) / 2  # between A and B
    near = voters.find(cells, 15)
    calls = voters.calls(cells, near)
    shares = vote_shares(voters.codes[near.cell], worth=np.ones(4))  # labels are equally common
    say = (shares + say_of_centres(voters.space.place(cells), voters.shape.centre)) / 2
    np.testing.assert_array_equal(calls.label, say.argmax(axis=1))
    np.testing.assert_allclose(calls.evidence.votes, say.max(axis=1))


def test_cells_whose_type_was_taken_away_hear_nothing_of_its_centre(blobs):
    latent, labels = blobs
    config = Config()
    voters = voters_of(learned(latent, labels, config=config), config)
    others = np.flatnonzero(voters.codes != 3)
    near = voters.space.finder(latent[others])(latent[300:], 15)  # cells of D
    calls = voters.calls(latent[300:], Neighbours(near.distance, others[near.cell]), barred=3)
    assert (calls.label != 3).all()
    assert calls.evidence.votes.min() > 0.25
