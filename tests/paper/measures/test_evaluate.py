import dataclasses

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import accuracy_score, f1_score
from sklearn.neighbors import KNeighborsClassifier

from scprism.errors import InputError
from scprism.model.forward import decode, encode
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.presets import PRESETS
from scprism.paper.measures.knn import knn_scores
from scprism.paper.measures.loss import foreign_loss
from scprism.prepare.stream import PreparedChunk


def test_knn_scores_are_scikit_learns_on_cells_of_shared_types(rng):
    centres = np.eye(3) * 6
    codes, foreign = rng.integers(0, 3, size=90), rng.integers(0, 3, size=60)
    names = np.array(["B", "NK", "T"])
    reference = centres[codes] + rng.normal(scale=2, size=(90, 3))
    query = centres[foreign] + rng.normal(scale=2, size=(60, 3))
    truth = names[foreign].astype(object)
    truth[:10] = "hepatocyte"
    table = knn_scores(reference, names[codes], query, truth, neighbours=[1, 5], metric="euclidean")
    for k, row in table.set_index("neighbours").iterrows():
        calls = KNeighborsClassifier(k).fit(reference, names[codes]).predict(query[10:])
        assert row["accuracy"] == pytest.approx(accuracy_score(truth[10:].astype(str), calls), abs=0.021)
        assert row["macro_f1"] == pytest.approx(f1_score(truth[10:].astype(str), calls, average="macro"), abs=0.021)
    commonest = names[np.bincount(codes).argmax()]
    assert table["majority"].tolist() == [(truth[10:] == commonest).mean()] * 2


def test_no_shared_type_is_refused(rng):
    with pytest.raises(InputError, match="No cell type of the query occurs in the reference"):
        knn_scores(np.ones((2, 1)), ["B", "T"], np.ones((1, 1)), ["X"], neighbours=[1], metric="euclidean")


def released_neighbours():
    return PRESETS["as_released"].knn_neighbours


def test_neighbour_numbers_of_the_paper_and_of_its_code():
    # row 10
    assert PRESETS["paper"].knn_neighbours[0] == 2
    assert PRESETS["paper"].knn_neighbours[-1] == 25
    assert released_neighbours() == (4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26)


@pytest.fixture
def unseen(rng):
    config = dataclasses.replace(PRESETS["paper"], hidden_size=6, bottleneck_size=3)
    weights = to_weights(build_autoencoder(config, n_genes=5, rng=rng))
    x = rng.gamma(1.0, size=(9, 5)).astype(np.float32)
    chunks = [
        PreparedChunk(slice(i, i + 3), sparse.csr_matrix(x[i : i + 3]), sparse.csr_matrix(x[i : i + 3]))
        for i in (0, 3, 6)
    ]
    y = decode(weights, encode(weights, x))
    losses = (y - x * np.log(y + 1e-8)).mean(axis=1)
    return config, weights, chunks, losses


def test_foreign_loss_is_over_all_cells(unseen):
    config, weights, chunks, losses = unseen
    assert foreign_loss(weights, chunks, fill=np.zeros(5, dtype=np.float32), config=config) == pytest.approx(
        losses.mean(), rel=1e-5
    )


def test_released_foreign_loss_is_that_of_one_cell(unseen):
    # row 12
    config, weights, chunks, losses = unseen
    released = dataclasses.replace(config, foreign_loss="one_cell")
    assert foreign_loss(weights, chunks, fill=np.zeros(5, dtype=np.float32), config=released) == pytest.approx(
        losses[0], rel=1e-5
    )
