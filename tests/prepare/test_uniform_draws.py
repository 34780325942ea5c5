"""Keys of cells and genes, and what is drawn by them."""

import numpy as np
import pytest
from scipy import sparse, stats

from scprism.prepare.draws import count_keys, gene_keys, normal_of_genes, uniform_draws

GENES = [f"gene{i}" for i in range(40)]


@pytest.fixture
def counts():
    return sparse.csr_matrix(np.random.default_rng(0).poisson(0.7, (30, 40)).astype(np.float32))


def test_a_cells_key_ignores_the_order_of_genes_and_cells(counts):
    genes, cells = np.random.default_rng(1).permutation(40), np.random.default_rng(2).permutation(30)
    moved = counts[cells][:, genes]
    keys = count_keys(moved, gene_keys([GENES[i] for i in genes]))
    assert (keys == count_keys(counts, gene_keys(GENES))[cells]).all()


def test_cells_that_differ_by_one_molecule_have_other_keys(counts):
    more = counts.toarray()
    more[3, 5] += 1
    differs = count_keys(sparse.csr_matrix(more), gene_keys(GENES)) != count_keys(counts, gene_keys(GENES))
    assert np.flatnonzero(differs).tolist() == [3]


def test_cells_without_counts_are_alike_and_have_a_key():
    empty = sparse.csr_matrix((3, 40), dtype=np.float32)
    assert len(np.unique(count_keys(empty, gene_keys(GENES)))) == 1


def test_draws_are_uniform_and_of_two_keys_independent():
    rows, columns = gene_keys([f"cell{i}" for i in range(200)]), gene_keys([f"gene{i}" for i in range(100)])
    drawn = uniform_draws(np.repeat(rows, 100), np.tile(columns, 200))
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    table = drawn.reshape(200, 100)
    assert abs(np.corrcoef(table)[np.triu_indices(200, 1)]).mean() == pytest.approx(np.sqrt(2 / np.pi / 100), rel=0.1)


def test_efficiencies_are_normal_and_belong_to_the_genes_name():
    genes = [f"g{i}" for i in range(5000)]
    drawn = normal_of_genes(genes, draw="a")
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert (normal_of_genes(genes[::-1], draw="a")[::-1] == drawn).all()
    assert abs(np.corrcoef(drawn, normal_of_genes(genes, draw="b"))[0, 1]) < 0.05
