"""Genes that a query lacks because they were filtered."""

import numpy as np
import pytest
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from scprism.errors import InputError, PrismWarning
from scprism.model.config import Config
from scprism.prepare.learn import learn_recipe
from scprism.prepare.recipe import Recipe
from scprism.query.filtered import detected_share, looks_filtered
from scprism.query.view import open_query, with_gaps_of

N_GENES = 300
GENES = [f"gene_{i}" for i in range(N_GENES)]


@pytest.fixture
def means(rng):
    """Expected counts of the genes, from 0.002 to 5 a cell."""
    return rng.permutation(np.geomspace(0.002, 5, N_GENES))


@pytest.fixture
def recipe(rng, means):
    counts = sparse.csr_matrix(rng.poisson(means, size=(4000, N_GENES)))
    unknown = np.zeros(N_GENES)
    draft = Recipe(tuple(GENES), None, "per_cell", 1e4, "recipe", "refuse", unknown, unknown, unknown, 0)
    return learn_recipe(counts, GENES, draft=draft, min_max_count=0)


@pytest.fixture
def cells(rng, means):
    found = AnnData(sparse.csr_matrix(rng.poisson(means, size=(60, N_GENES)).astype(np.float32)))
    found.var_names, found.obs_names = GENES, [f"cell_{i}" for i in range(60)]
    return found


def dense(query):
    return sparse.vstack([c.inputs for c in query.chunks()]).toarray() + query.fill


def test_a_filtered_query_is_seen_as_the_whole_one(recipe, cells):
    """scanpy's own filter of genes without a count: hardly another input to the network than before it."""
    filtered = cells.copy()
    sc.pp.filter_genes(filtered, min_cells=1)
    lost = N_GENES - filtered.n_vars
    assert lost > 50
    with pytest.warns(PrismWarning, match=r"filtered \(as by scanpy.pp.filter_genes\).* of the model's 300 genes"):
        query = open_query(filtered, recipe, Config())
    whole, known = open_query(cells, recipe, Config()), query.alignment.gene_map.present
    assert 0.8 * lost <= known.sum() - filtered.n_vars <= lost  # the others may never have been measured
    np.testing.assert_allclose(dense(query)[:, known], dense(whole)[:, known], rtol=0.01)
    np.testing.assert_array_equal(with_gaps_of(whole, query).alignment.gene_map.present, known)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_genes_that_another_platform_does_not_measure_stay_unknown(recipe, rng, share):
    """A share of the genes, common and rare ones alike."""
    for _ in range(20):
        zero = looks_filtered(detected_share(recipe), rng.random(N_GENES) < share)
        assert zero.mean() < 0.05


def test_common_genes_stay_unknown_in_a_filtered_query(recipe, cells):
    common = np.argsort(recipe.mean)[-30:][:6]  # a fifth of the commonest tenth is not measured
    lacking = cells[:, np.setdiff1d(np.arange(N_GENES), common)].copy()
    sc.pp.filter_genes(lacking, min_cells=1)
    with pytest.warns(PrismWarning, match="seems to have been filtered"):
        query = open_query(lacking, recipe, Config())
    np.testing.assert_allclose(query.fill[common], recipe.mean[common], rtol=1e-6)
    assert (query.alignment.coverage["found"].to_numpy()[common] == "missing").all()


def test_a_query_with_empty_genes_was_not_filtered(recipe, cells):
    rare = np.asarray(cells.X.sum(axis=0)).ravel() == 0
    kept = cells[:, ~rare | (np.cumsum(rare) == 1)].copy()  # one empty gene is left
    with pytest.warns(PrismWarning, match="Low gene coverage"):
        query = open_query(kept, recipe, Config(), min_coverage=0.1)
    assert set(query.alignment.coverage["found"]) == {"name", "missing"}


def test_filtered_genes_count_as_covered(recipe, cells):
    few = cells[:5].copy()
    sc.pp.filter_genes(few, min_cells=3)
    assert few.n_vars < 0.5 * N_GENES
    with pytest.warns(PrismWarning, match="seems to have been filtered"):
        assert open_query(few, recipe, Config(min_coverage=0.5)).alignment.share_of_genes > 0.9
    with pytest.raises(InputError, match=f"The query has {few.n_vars} of the model's 300 genes"):
        open_query(few, recipe, Config(missing_genes="random", min_coverage=0.5))


def test_the_share_of_cells_that_show_a_gene_is_told_by_mean_and_spread(rng):
    """A gene that is 2 in a fifth of the cells and 0 in the others."""
    values = np.where(rng.random(100_000) < 0.2, 2.0, 0.0)
    moments = {"mean": np.array([values.mean(), 0.0]), "spread": np.array([values.std(), 0.0])}
    recipe = Recipe(("a", "b"), None, "per_cell", 1e4, "recipe", "refuse", **moments, share=np.ones(2), n_cells=1)
    np.testing.assert_allclose(detected_share(recipe), [0.2, 0.0], atol=0.005)
