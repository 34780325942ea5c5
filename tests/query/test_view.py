import dataclasses

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from scprism.errors import InputError, PrismWarning
from scprism.model.config import Config
from scprism.prepare.learn import learn_recipe
from scprism.prepare.recipe import Recipe
from scprism.query.view import open_query, with_gaps_of

GENES = [f"gene_{i}" for i in range(8)]


@pytest.fixture
def recipe(rng):
    counts = sparse.csr_matrix(rng.poisson(5, size=(30, 8)))
    unknown = np.zeros(8)
    draft = Recipe(tuple(GENES), None, "per_cell", 1e4, "recipe", "refuse", unknown, unknown, unknown, 0)
    return learn_recipe(counts, GENES, draft=draft, min_max_count=2)


def query_of(genes, rng, n_cells=20):
    cells = AnnData(sparse.csr_matrix(rng.poisson(5, size=(n_cells, len(genes))).astype(np.float32)))
    cells.var_names = list(genes)
    cells.obs_names = [f"cell_{i}" for i in range(n_cells)]
    return cells


def dense(query, size=7):
    return sparse.vstack([c.inputs for c in query.chunks(size=size)]).toarray() + query.fill


def test_missing_genes_get_the_references_mean_in_every_cell(recipe, rng):
    with pytest.warns(PrismWarning, match="Low gene coverage: 6 of 8 genes found by name"):
        query = open_query(query_of(GENES[:6], rng), recipe, Config())
    np.testing.assert_allclose(dense(query)[:, 6:], np.tile(recipe.mean[6:], (20, 1)), rtol=1e-6)


def test_library_is_scaled_by_the_share_of_the_genes_that_are_there(recipe, rng):
    cells = query_of(GENES[:7], rng)
    query = open_query(cells, recipe, Config())
    library = np.asarray(cells.X.sum(axis=1)).ravel() / recipe.share[:7].sum()
    np.testing.assert_allclose(dense(query)[:, :7], np.log1p(1e4 * cells.X.toarray() / library[:, None]), rtol=1e-5)


def test_random_filling_is_the_released_codes(recipe, rng):
    # method.md section 7: the mean of the genes' minima, and in about 63 % of the cells the lowest mean of a gene
    config = dataclasses.replace(Config(), missing_genes="random")
    cells = query_of(GENES[:7], rng, n_cells=8000)
    values = dense(open_query(cells, recipe, config))
    low, high = values[:, :7].min(axis=0).mean(), values[:, :7].mean(axis=0, dtype=np.float64).min()
    assert set(np.unique(values[:, 7])) == {np.float32(low), np.float32(high)}
    assert (values[:, 7] == np.float32(high)).mean() == pytest.approx(1 - np.exp(-1), abs=0.022)  # 4 standard errors


def test_random_filling_does_not_depend_on_the_chunks(recipe, rng):
    config = dataclasses.replace(Config(), missing_genes="random")
    query = open_query(query_of(GENES[:7], rng), recipe, config)
    np.testing.assert_array_equal(dense(query, size=3), dense(query, size=20))


def test_random_filling_goes_with_the_cell_whatever_the_order(recipe, rng):
    config = dataclasses.replace(Config(), missing_genes="random")
    cells, order = query_of(GENES[:7], rng), rng.permutation(20)
    turned = cells[order].copy()[:, ::-1].copy()
    expected = dense(open_query(cells, recipe, config))[order]
    assert len(set(expected[:, 7])) == 2
    np.testing.assert_allclose(dense(open_query(turned, recipe, config)), expected, rtol=1e-6)


def test_low_coverage_is_refused_unless_told(recipe, rng):
    cells = query_of([*GENES[:2], "x"], rng)
    with pytest.raises(InputError, match="The query has 2 of the model's 8 genes"):
        open_query(cells, recipe, Config())
    with pytest.warns(PrismWarning, match="Low gene coverage"):
        open_query(cells, recipe, Config(), min_coverage=0.2)


def test_normalised_queries_are_refused(recipe, rng):
    cells = query_of(GENES, rng)
    cells.X = cells.X.log1p()
    with pytest.raises(InputError, match="Raw counts are whole numbers"):
        open_query(cells, recipe, Config())


@pytest.mark.filterwarnings("ignore:Low gene coverage")
def test_a_reference_with_the_gaps_of_a_query_is_what_its_file_without_these_genes_is(recipe, rng):
    cells = query_of(GENES, rng)
    query = open_query(query_of(GENES[:5], rng), recipe, Config())
    seen = with_gaps_of(open_query(cells, recipe, Config()), query)
    np.testing.assert_allclose(seen.fill, [*[0.0] * 5, *recipe.mean[5:]], rtol=1e-6)
    lacking = open_query(cells[:, GENES[:5]].copy(), recipe, Config())
    np.testing.assert_allclose(dense(seen), dense(lacking), rtol=1e-6)
    assert seen.alignment.share_of_genes == 1.0  # what the reference's own file has
