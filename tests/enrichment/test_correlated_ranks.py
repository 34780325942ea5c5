"""The rank test for correlated genes, against SciPy and simulated null scores."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import mannwhitneyu

from scprism.enrichment.kernels import SetMembers

_SPEC = importlib.util.spec_from_file_location(
    "correlated_ranks", Path(__file__).parents[2] / "benchmarks" / "correlated_ranks.py"
)
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
correlated_rank_test, inter_gene_correlation = _MODULE.correlated_rank_test, _MODULE.inter_gene_correlation

N_GENES = 200
SIZE = 25


def members(*sets):
    genes = [np.asarray(s, dtype=np.int32) for s in sets]
    return SetMembers(np.concatenate(genes), np.concatenate([[0], np.cumsum([g.size for g in genes])]))


def correlated_cells(rng, *, n_cells=3000, correlation=0.3):
    """Return cells × genes of unit variance in which the first SIZE genes share a factor."""
    cells = rng.standard_normal((n_cells, N_GENES))
    factor = rng.standard_normal((n_cells, 1))
    cells[:, :SIZE] = np.sqrt(correlation) * factor + np.sqrt(1 - correlation) * cells[:, :SIZE]
    return cells


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_inter_gene_correlation_is_the_mean_of_the_matrix_numpy_gives(storage):
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(rng.standard_normal((2500, 1)) + np.linspace(-2, 1, 12)))
    sets = members([0, 3, 5, 7], [1, 2], [9])
    matrix = np.corrcoef(counts.T)
    expected = [matrix[np.ix_(s, s)][np.triu_indices(len(s), 1)].mean() for s in ([0, 3, 5, 7], [1, 2])]
    np.testing.assert_allclose(inter_gene_correlation(storage(counts), sets), [*expected, 0.0], atol=1e-12)


def test_gene_that_does_not_vary_counts_as_uncorrelated():
    cells = np.array([[0.0, 1.0, 5.0], [1.0, 2.0, 5.0], [2.0, 3.0, 5.0]])
    # Genes 0 and 1 correlate perfectly, gene 2 with neither: one pair of three.
    np.testing.assert_allclose(inter_gene_correlation(cells, members([0, 1, 2])), [1 / 3], atol=1e-12)


@pytest.mark.parametrize("decimals", [pytest.param(8, id="no_ties"), pytest.param(0, id="many_ties")])
def test_without_correlation_it_is_the_rank_sum_test(decimals):
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((5, N_GENES)).round(decimals)
    _, p_values = correlated_rank_test(scores, members(range(SIZE)), np.zeros(1))
    expected = [mannwhitneyu(row[:SIZE], row[SIZE:], method="asymptotic").pvalue for row in scores]
    np.testing.assert_allclose(p_values[:, 0], expected, rtol=1e-9)


def test_variance_is_that_of_rank_sums_of_correlated_scores():
    rng = np.random.default_rng(2)
    scores = correlated_cells(rng, n_cells=6000, correlation=0.3)
    z, _ = correlated_rank_test(scores, members(range(SIZE)), np.array([0.3]))
    # The standard deviation of 6,000 draws is known to 1 %; the continuity correction takes less than that.
    assert z.std() == pytest.approx(1.0, abs=0.04)


def test_false_positives_are_nominal_for_scores_linear_in_correlated_expression():
    rng = np.random.default_rng(3)
    cells = correlated_cells(rng)
    scores = rng.standard_normal((1000, len(cells))) @ cells
    sets = members(range(SIZE))
    _, aware = correlated_rank_test(scores, sets, inter_gene_correlation(cells, sets))
    _, naive = correlated_rank_test(scores, sets, np.zeros(1))
    spread = np.sqrt(0.05 * 0.95 / 1000)
    assert (aware < 0.05).mean() == pytest.approx(0.05, abs=3 * spread)
    assert (naive < 0.05).mean() > 0.3


def test_higher_members_have_a_positive_z():
    scores = np.arange(20.0)[None, :]
    z, p_values = correlated_rank_test(scores, members(range(15, 20), range(5)), np.zeros(2))
    assert z[0, 0] == pytest.approx(-z[0, 1])
    assert z[0, 0] > 3
    assert p_values[0, 0] < 0.01
