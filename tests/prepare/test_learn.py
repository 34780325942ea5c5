"""The recipe that is learned from a reference, by hand."""

import numpy as np
import pytest
from scipy import sparse

from scprism.errors import InputError
from scprism.prepare.learn import learn_recipe, map_by_name
from scprism.prepare.recipe import Recipe

NAMES = ["a", "b", "c", "ERCC-00002"]
COUNTS = np.array([[3, 1, 0, 90], [0, 2, 6, 0], [5, 2, 1, 7], [0, 0, 0, 4]], dtype=np.float32)


def draft(genes, **changes):
    unknown = np.zeros(len(genes))
    settings = {"normalise": "per_cell", "target_sum": 10.0, "library": "all", "negative_values": "refuse", **changes}
    return Recipe(genes=tuple(genes), organism=None, mean=unknown, spread=unknown, share=unknown, n_cells=0, **settings)


def learned(genes, *, limit, **changes):
    return learn_recipe(sparse.csr_matrix(COUNTS), NAMES, draft=draft(genes, **changes), min_max_count=limit)


@pytest.mark.parametrize(("limit", "genes"), [(1, "abc"), (2, "ac"), (4.5, "ac"), (5, "c")])
def test_a_gene_stays_if_any_cell_has_more_counts_than_the_limit(limit, genes):
    assert learned("abc", limit=limit).genes == tuple(genes)


def test_without_a_gene_above_the_limit_the_highest_count_is_told():
    with pytest.raises(InputError, match=r"No gene has more than 6 counts in any cell \(the highest is 6\)"):
        learned("abc", limit=6)


def test_moments_are_of_normalised_expression_over_all_cells():
    """Spike-ins are no part of a library; a cell without counts counts as zeros in the moments."""
    recipe = learned("cb", limit=1)
    library = np.array([[4.0], [8.0], [8.0], [1.0]])
    x = np.log1p(10 * COUNTS[:, [2, 1]] / library)
    np.testing.assert_allclose(recipe.mean, x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(recipe.spread, x.std(axis=0), rtol=1e-6)
    assert (recipe.genes, recipe.n_cells) == (("c", "b"), 4)


def test_share_is_the_mean_over_cells_that_have_counts():
    recipe = learned("ab", limit=0)
    shares = (COUNTS[:3, :2] / np.array([[4.0], [8.0], [8.0]])).mean(axis=0)
    np.testing.assert_allclose(recipe.share, shares, rtol=1e-6)


def test_corrected_expression_has_equal_shares():
    values = sparse.csr_matrix(np.array([[0.5, 1.5], [2.5, 0.25]], dtype=np.float32))
    recipe = learn_recipe(values, ["a", "b"], draft=draft("ab", normalise="none"), min_max_count=0)
    np.testing.assert_allclose(recipe.share, [0.5, 0.5])
    np.testing.assert_allclose(recipe.mean, [1.5, 0.875])


def test_a_map_by_name_picks_genes_in_the_order_asked():
    picked = map_by_name(NAMES, ["c", "a"]).pick(sparse.csr_matrix(COUNTS))
    np.testing.assert_array_equal(picked.toarray(), COUNTS[:, [2, 0]])
