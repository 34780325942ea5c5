import numpy as np
import pytest
import scanpy
from anndata import AnnData
from scipy import sparse

from scprism.errors import InputError
from scprism.prepare.learn import learn_recipe, map_by_name
from scprism.prepare.normalise import is_spike_in, to_log_cpm
from scprism.prepare.recipe import Recipe
from scprism.prepare.stream import column_totals, fill_row, prepared_chunks

NAMES = ["a", "b", "c", "d"]
COUNTS = np.array([[4, 0, 1, 5], [0, 3, 0, 7], [9, 9, 2, 0]])


def draft(genes=("a", "b", "c"), **changes):
    unknown = np.zeros(len(genes))
    settings = {"normalise": "per_cell", "target_sum": 1e6, "library": "all", "negative_values": "refuse"}
    moments = {"mean": unknown, "spread": unknown, "share": unknown, "n_cells": 0}
    return Recipe(**{"genes": tuple(genes), "organism": None, **settings, **moments, **changes})


def learned(counts=COUNTS, names=NAMES, min_max_count=2.0, **changes):
    return learn_recipe(sparse.csr_matrix(counts), names, draft=draft(**changes), min_max_count=min_max_count)


def normalised(counts, names, recipe, size=2):
    chunks = prepared_chunks(sparse.csr_matrix(counts), map_by_name(names, recipe.genes), recipe, size=size)
    return sparse.vstack([c.inputs for c in chunks]).toarray()


@pytest.mark.parametrize("target_sum", [1e4, 1e6])
def test_per_cell_is_what_scanpy_computes_on_all_genes(target_sum):
    recipe = learned(target_sum=target_sum)
    cells = AnnData(COUNTS.astype(np.float64))
    scanpy.pp.normalize_total(cells, target_sum=target_sum)
    scanpy.pp.log1p(cells)
    np.testing.assert_allclose(normalised(COUNTS, NAMES, recipe), cells.X[:, :2], rtol=1e-6)


def test_per_gene_divides_by_the_genes_total_after_the_subset():
    # row 7: ln(1 + 1e6 x_ig / sum_i x_ig)
    recipe = learned(normalise="per_gene")
    expected = np.log1p(1e6 * COUNTS[:, :2] / COUNTS[:, :2].sum(axis=0))
    np.testing.assert_allclose(normalised(COUNTS, NAMES, recipe), expected, rtol=1e-6)


def test_per_gene_uses_the_querys_own_totals():
    # method.md section 7: a foreign data set is normalised on its own
    recipe = learned(normalise="per_gene")
    query = COUNTS * np.array([[1], [10], [2]])
    expected = np.log1p(1e6 * query[:, :2] / query[:, :2].sum(axis=0))
    np.testing.assert_allclose(normalised(query, NAMES, recipe), expected, rtol=1e-6)


def test_library_of_the_recipes_genes_ignores_all_others():
    recipe = learned(library="recipe")
    other = COUNTS.copy()
    other[:, 3] = [1000, 0, 3]
    np.testing.assert_array_equal(normalised(other, NAMES, recipe), normalised(COUNTS, NAMES, recipe))


def test_library_of_the_recipes_genes_is_on_the_scale_of_the_whole_library():
    # share: mean over cells of a gene's part of the cell's counts
    recipe = learned(library="recipe")
    share = (COUNTS[:, :2] / COUNTS.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(recipe.share, share)
    library = COUNTS[:, :2].sum(axis=1) / share.sum()
    np.testing.assert_allclose(
        normalised(COUNTS, NAMES, recipe), np.log1p(1e6 * COUNTS[:, :2] / library[:, None]), rtol=1e-6
    )


def test_gene_filter_keeps_genes_with_more_than_two_counts_in_a_cell():
    # method.md 3.4: c has 2 at most
    assert learned().genes == ("a", "b")
    assert learned(min_max_count=1).genes == ("a", "b", "c")


def test_no_gene_through_the_filter_is_an_error():
    with pytest.raises(InputError, match=r"No gene has more than 50 counts in any cell \(the highest is 9\)"):
        learned(min_max_count=50)


def test_moments_are_those_of_the_normalised_reference():
    recipe = learned()
    values = normalised(COUNTS, NAMES, recipe).astype(np.float64)
    np.testing.assert_allclose(recipe.mean, values.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(recipe.spread, values.std(axis=0), rtol=1e-6)


def test_spike_ins_are_no_part_of_the_library():
    names = ["a", "b", "c", "ERCC-00130"]
    recipe = learned(names=names)
    library = COUNTS[:, :3].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(normalised(COUNTS, names, recipe), np.log1p(1e6 * COUNTS[:, :2] / library), rtol=1e-6)


def test_spike_in_names():
    assert is_spike_in(["ERCC-00002", "ERCC1", "ERCC6L2", "ercc-00171", "Gapdh"]).tolist() == [
        True,
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_chunks_do_not_change_the_values(size):
    recipe = learned()
    np.testing.assert_array_equal(
        normalised(COUNTS, NAMES, recipe, size=size), normalised(COUNTS, NAMES, recipe, size=3)
    )


def test_a_cell_without_counts_becomes_zeros():
    recipe = learned()
    np.testing.assert_array_equal(normalised(np.zeros((1, 4)), NAMES, recipe), [[0, 0]])


def test_storage_does_not_change_the_values(storage, small_cells):
    names = list(small_cells.var_names)
    stored = storage(small_cells)
    recipe = learn_recipe(small_cells.X, names, draft=draft(genes=names[:50]), min_max_count=2.0)
    again = learn_recipe(stored.X, list(stored.var_names), draft=draft(genes=names[:50]), min_max_count=2.0)
    assert again.to_json() == recipe.to_json()
    first, second = (
        sparse.vstack([c.inputs for c in prepared_chunks(x, map_by_name(names, recipe.genes), recipe)]).toarray()
        for x in (small_cells.X, stored.X)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("rule", "expected"), [("keep", [-1.5, 0.5]), ("clip", [0.0, 0.5])])
def test_negative_corrected_values_are_kept_or_clipped_as_told(rule, expected):
    # row 16: Seurat-integrated values can be negative; the released code feeds them as they are
    recipe = draft(genes=("a", "b"), normalise="none", negative_values=rule)
    np.testing.assert_allclose(normalised(np.array([[-1.5, 0.5]]), ["a", "b"], recipe), [expected])


def test_negative_corrected_values_are_refused_by_default():
    recipe = draft(genes=("a", "b"), normalise="none")
    with pytest.raises(InputError, match=r"Corrected expression must not be negative here, got -1.5"):
        normalised(np.array([[-1.5, 0.5]]), ["a", "b"], recipe)


def test_totals_by_hand():
    totals = column_totals(sparse.csr_matrix(COUNTS), map_by_name(NAMES, ["b", "a"]))
    assert totals.counts.tolist() == [12, 13]
    assert totals.maximum.tolist() == [9, 9]


def test_missing_genes_get_the_references_mean():
    recipe = learned()
    gene_map = map_by_name(["x", "a"], ["a"])
    partial = sparse.csr_matrix((np.ones(1), ([1], [0])), shape=(2, 2))
    from scprism.prepare.stream import GeneMap

    np.testing.assert_allclose(fill_row(recipe, GeneMap(partial, gene_map.in_library)), [0, recipe.mean[1]], rtol=1e-6)


def test_recipe_survives_json_to_the_bit():
    import json

    recipe = learned()
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again.to_json() == recipe.to_json()
    np.testing.assert_array_equal(again.mean, recipe.mean)


@pytest.mark.parametrize("target_sum", [1e4, 1e6])
def test_log_cpm_from_another_target(target_sum):
    fractions = np.array([[0.0, 1e-5, 0.3]])
    values = np.log1p(fractions * target_sum).astype(np.float32)
    np.testing.assert_allclose(to_log_cpm(values, target_sum=target_sum), np.log1p(fractions * 1e6), rtol=1e-5)
