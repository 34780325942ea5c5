"""Label transfer from AnnData to AnnData."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, concat
from scipy import sparse
from scipy.special import ndtri

from scprism.errors import PrismWarning
from scprism.estimator.prism import Prism
from scprism.label import transfer
from scprism.label.simulated_platforms import simulated_platforms
from scprism.prepare.cell_hashes import cell_marks
from scprism.prepare.draws import cell_keys, gene_draws, thin_by_cell
from scprism.query.view import open_query
from scprism.read.synthetic import make_cells


@pytest.fixture(scope="module")
def cells():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def model(cells):
    return Prism(units="raw", genes="all", organism="human", max_epochs=40, device="cpu", rng=0).fit(cells)


@pytest.fixture
def query(cells, model):
    return open_query(cells, model.recipe, model.config)


def versions(query, rows):
    return list(simulated_platforms(query, rows, keys=cell_keys(query.chunks())[rows]))


def in_model_genes(query):
    return sparse.vstack([chunk.counts for chunk in query.chunks()]).toarray()


def test_simulated_platforms_have_fewer_molecules_or_genes(query):
    rows = np.arange(0, 300, 2)
    total = query.matrix[rows].sum()
    simulated = versions(query, rows)
    shares = [version.matrix.sum() / total for version in simulated]
    np.testing.assert_allclose(shares[:4], [0.5, 0.1, 1.0, 1.0], atol=0.01)
    assert 0.9 > shares[4] > shares[5] > shares[6] > shares[7] > 0.02
    present = [version.alignment.share_of_genes for version in simulated]
    assert present == [1.0] * 8  # the coverage table is that of the file, and no warning comes of the copies
    left = [version.alignment.gene_map.present.mean() for version in simulated]
    np.testing.assert_allclose(left, [1, 1, 0.8, 0.5, 1, 1, 1, 1], atol=0.1)


def test_simulated_platforms_fill_the_genes_they_leave_out(query):
    version = versions(query, np.arange(10))[3]
    missing = ~version.alignment.gene_map.present
    np.testing.assert_allclose(version.fill[missing], query.recipe.mean[missing], rtol=1e-6)


def test_efficiencies_are_log_normal_and_thinning_is_binomial(query):
    """The same gene loses the same share in all cells; the logarithms have the spread that they are told to have."""
    genes = [f"gene_{i}" for i in range(20_000)]
    np.testing.assert_allclose(ndtri(gene_draws(genes, "platform 1.0")).std(), 1, atol=0.02)
    assert abs(np.corrcoef(gene_draws(genes, "a"), gene_draws(genes, "b"))[0, 1]) < 0.03
    counts = sparse.csr_matrix(np.full((400, 50), 20.0, dtype=np.float32))
    chance = np.linspace(0.02, 1, 50)
    thinned = thin_by_cell(counts, chance, np.arange(400, dtype=np.uint64)).toarray()
    np.testing.assert_allclose(thinned.mean(axis=0), 20 * chance, atol=4 * np.sqrt(5 / 400))
    np.testing.assert_allclose(thinned.var(axis=0), 20 * chance * (1 - chance), atol=1.5)


def test_what_is_simulated_depends_on_the_cell_and_the_genes_names_alone(cells, model, query):
    """Not on the order of genes and cells, nor on genes that the model does not read."""
    order, genes = np.random.default_rng(1).permutation(cells.n_obs), np.random.default_rng(2).permutation(cells.n_vars)
    turned = cells[order][:, genes].copy()
    empty = AnnData(
        sparse.csr_matrix((cells.n_obs, 5), dtype=np.float32), var=pd.DataFrame(index=[f"XX{i}" for i in range(5)])
    )
    empty.obs_names = cells.obs_names
    more = concat([empty, cells], axis=1)
    whole = [in_model_genes(version) for version in versions(query, np.arange(cells.n_obs))]
    for other, rows in ((turned, order), (more, np.arange(cells.n_obs))):
        opened = open_query(other, model.recipe, model.config)
        for version, first in zip(versions(opened, np.arange(cells.n_obs)), whole, strict=True):
            np.testing.assert_array_equal(in_model_genes(version), first[rows])


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_no_order_changes_a_bit_of_the_labels(cells, preset):
    """Genes, cells of the reference and of the query, categories, and empty genes of unknown names."""
    model = Prism(preset, units="raw", genes="all", organism="human", max_epochs=3, device="cpu", rng=0).fit(cells)
    query, rng = cells[::3].copy(), np.random.default_rng(3)
    first = model.label(query, reference=cells, labels="cell_type")
    recoded = cells.copy()
    recoded.obs["cell_type"] = recoded.obs["cell_type"].astype("category")
    names = recoded.obs["cell_type"].cat.categories
    recoded.obs["cell_type"] = recoded.obs["cell_type"].cat.reorder_categories(names[::-1])
    empty = AnnData(
        sparse.csr_matrix((cells.n_obs, 5), dtype=np.float32), var=pd.DataFrame(index=[f"XX{i}" for i in range(5)])
    )
    empty.obs_names = cells.obs_names
    more = concat([empty, cells], axis=1)
    more.obs = cells.obs
    for other in (
        cells[:, rng.permutation(cells.n_vars)].copy(),
        cells[rng.permutation(cells.n_obs)].copy(),
        recoded,
        more,
    ):
        again = model.label(query, reference=other, labels="cell_type")
        pd.testing.assert_frame_equal(again.table, first.table, check_exact=True)
    order = rng.permutation(query.n_obs)
    turned = model.label(query[order][:, rng.permutation(query.n_vars)].copy(), reference=cells, labels="cell_type")
    pd.testing.assert_frame_equal(turned.table, first.table.iloc[order], check_exact=True)


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
    samples = []
    learn = transfer.learn_reference
    monkeypatch.setattr(transfer, "learn_reference", lambda *a, **k: samples.append(k["sample"]) or learn(*a, **k))
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
