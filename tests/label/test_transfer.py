"""Label transfer from AnnData to AnnData."""

import numpy as np
import pytest

from scprism.errors import PrismWarning
from scprism.estimator.prism import Prism
from scprism.label.simulated_platforms import foreign_versions
from scprism.prepare.cell_hashes import cell_marks
from scprism.query.view import open_query
from scprism.read.synthetic import make_cells


@pytest.fixture(scope="module")
def cells():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def model(cells):
    return Prism(genes="all", organism="human", max_epochs=40, device="cpu", rng=0).fit(cells)


@pytest.fixture
def query(cells, model):
    return open_query(cells, model.recipe, model.config)


def test_foreign_versions_have_fewer_molecules_or_genes(query):
    places = np.arange(0, 300, 2)
    total = query.matrix[places].sum()
    versions = list(foreign_versions(query, places))
    shares = [version.matrix.sum() / total for version in versions]
    np.testing.assert_allclose(shares[:4], [0.5, 0.1, 1.0, 1.0], atol=0.01)
    assert 0.9 > shares[4] > shares[5] > shares[6] > shares[7] > 0.02
    present = [version.alignment.share_of_genes for version in versions]
    assert present == [1.0] * 8  # the coverage table is that of the file, and no warning comes of the copies
    left = [version.alignment.gene_map.present.mean() for version in versions]
    np.testing.assert_allclose(left, [1, 1, 0.8, 0.5, 1, 1, 1, 1], atol=0.1)


def test_foreign_versions_fill_the_genes_they_leave_out(query):
    version = list(foreign_versions(query, np.arange(10)))[3]
    missing = ~version.alignment.gene_map.present
    np.testing.assert_allclose(version.fill[missing], query.recipe.mean[missing], rtol=1e-6)


def test_a_model_knows_the_cells_again_that_it_was_not_trained_on(cells, model, query):
    marks = [mark for chunk in query.chunks() for mark in cell_marks(chunk.inputs)]
    unseen = model.summary["unseen_cells"]
    assert len(unseen) == model.summary["n_validation"] + model.summary["n_test"] == 30
    assert set(unseen) <= set(marks)
    assert len(set(marks)) == cells.n_obs


def test_marks_ignore_the_genes_order_in_the_file(cells, model, query):
    turned = open_query(cells[:, ::-1].copy(), model.recipe, model.config)
    marks = [[mark for chunk in q.chunks() for mark in cell_marks(chunk.inputs)] for q in (query, turned)]
    assert marks[0] == marks[1]


def test_confidence_is_learned_on_unseen_cells_of_the_training_data(cells, model, monkeypatch):
    from scprism.transfer import labelling

    samples = []
    learn = labelling.learn_reference
    monkeypatch.setattr(labelling, "learn_reference", lambda *a, **k: samples.append(k["sample"]) or learn(*a, **k))
    model.label(cells, reference=cells, labels="cell_type")
    other = cells.copy()  # the same cells measured again: none of them is one that training left out
    other.X = np.random.default_rng(0).binomial(cells.X.toarray().astype(int), 0.9).astype(np.float32)
    model.label(cells, reference=other, labels="cell_type")
    assert [len(s) for s in samples] == [30, 300]


def test_a_query_like_the_reference_is_labelled_without_a_warning(cells, model):
    calls = model.label(cells[::3].copy(), reference=cells, labels="cell_type")
    assert calls["novel"].mean() < 0.15


def test_a_shallow_query_is_warned_of_with_what_differs(cells, model):
    shallow = cells[:100].copy()
    shallow.X = np.random.default_rng(0).binomial(shallow.X.toarray().astype(int), 0.02).astype(np.float32)
    with pytest.warns(PrismWarning, match=r"unlike the reference: .*counts per cell in the model's genes: median"):
        model.label(shallow, reference=cells, labels="cell_type")
