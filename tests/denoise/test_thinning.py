import numpy as np
import pytest
from scipy import sparse, stats

from scprism.denoise.thinning import deviance, thin_counts
from scprism.errors import InputError


@pytest.fixture
def truth(rng):
    """Proportions of 40 genes in 300 cells, and counts drawn from them, 50 to 500 molecules a cell."""
    proportions = rng.dirichlet(np.full(40, 0.5), size=300)
    counts = np.stack([rng.multinomial(n, p) for n, p in zip(rng.integers(50, 500, 300), proportions, strict=True)])
    return proportions, sparse.csr_matrix(counts.astype(np.float32))


def test_thinned_parts_add_up_to_the_counts(truth):
    first, second = thin_counts(truth[1], share=0.3, rng=0)
    assert (first + second != truth[1]).nnz == 0
    assert first.data.min() > 0
    again, _ = thin_counts(truth[1], share=0.3, rng=0)
    assert (first != again).nnz == 0


def test_thinning_is_binomial():
    """5,000 genes of 7 molecules: how many have 0 … 7 in the first half, against the distribution itself."""
    first, _ = thin_counts(sparse.csr_matrix(np.full((1, 5000), 7.0)), share=0.3, rng=1)
    seen = np.bincount(first.toarray().astype(int).ravel(), minlength=8)
    expected = 5000 * stats.binom.pmf(np.arange(8), 7, 0.3)
    few = expected < 5
    pooled = np.append(seen[~few], seen[few].sum()), np.append(expected[~few], expected[few].sum())
    assert stats.chisquare(*pooled).pvalue > 0.001


def test_halves_of_poisson_counts_are_independent(rng):
    counts = sparse.csr_matrix(rng.poisson(3.0, (200, 500)).astype(np.float32))
    first, second = (half.toarray().ravel() for half in thin_counts(counts, rng=0))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(first.size)


@pytest.mark.parametrize(
    ("share", "value", "message"),
    [(1.0, 3, "`share` must lie between 0 and 1, got 1.0"), (0.5, 1.5, "Only raw counts can be thinned")],
)
def test_what_cannot_be_thinned_is_refused(share, value, message):
    with pytest.raises(InputError, match=message):
        thin_counts(sparse.csr_matrix([[value, 0.0]]), share=share)


def test_deviance_by_hand_and_against_the_poisson_one():
    counts = sparse.csr_matrix([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    proportions = np.array([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]])
    by_hand = 2 * (3 * np.log(3 / 2) + 1 * np.log(1 / 1)) / 4
    mean, y = 4 * proportions[0], np.array([3.0, 1.0, 0.0])
    poisson = 2 * ((stats.poisson.logpmf(y, y) - stats.poisson.logpmf(y, mean)).sum()) / 4
    np.testing.assert_allclose(deviance(counts, proportions), [by_hand, np.nan])
    assert by_hand == pytest.approx(poisson)


def test_a_molecule_that_was_ruled_out_costs_infinitely_much():
    assert deviance(sparse.csr_matrix([[1.0, 1.0]]), np.array([[1.0, 0.0]])) == np.inf


def test_deviance_is_least_for_the_truth(truth):
    """On the second half; the first half's own proportions and the mean profile are both further off."""
    proportions, counts = truth
    first, second = thin_counts(counts, rng=0)
    mean = proportions.mean(axis=0)
    own = 0.95 * first.toarray() / first.sum(axis=1).A1[:, None] + 0.05 * mean
    best = deviance(second, proportions).mean()
    assert best < deviance(second, own).mean()
    assert best < deviance(second, np.broadcast_to(mean, proportions.shape)).mean()
    for share in (0.1, 0.3):
        assert best < deviance(second, (1 - share) * proportions + share * mean).mean()
