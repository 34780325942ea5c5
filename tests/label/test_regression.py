"""Labels by a regression on expression."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from scprism.errors import InputError
from scprism.label.regression import balanced_weights, fit_regression


def planted(*, n_cells=240, n_genes=50, n_labels=4, rng=0):
    draw = np.random.default_rng(rng)
    codes = draw.choice(n_labels, n_cells, p=np.array([0.5, 0.3, 0.15, 0.05]))
    rates = draw.gamma(0.5, 1.5, (n_labels, n_genes))
    values = np.log1p(draw.poisson(rates[codes])).astype(np.float32)
    return sparse.csr_matrix(values), codes


def test_probabilities_are_those_of_scikit_learn():
    values, codes = planted()
    own = fit_regression(values, codes, n_labels=4)
    known = LogisticRegression(C=0.1, class_weight="balanced", max_iter=5000, tol=1e-8).fit(values.toarray(), codes)
    expected = known.predict_proba(values.toarray())
    assert np.exp(own.log_probabilities(values)) == pytest.approx(expected, abs=2e-3)


def test_weights_of_cells_are_those_of_scikit_learn():
    values, codes = planted()
    weights = np.random.default_rng(1).gamma(1.0, 1.0, len(codes))
    own = fit_regression(values, codes, n_labels=4, weights=weights, strength=0.5)
    known = LogisticRegression(C=0.5, max_iter=5000, tol=1e-8).fit(values.toarray(), codes, sample_weight=weights)
    assert np.exp(own.log_probabilities(values)) == pytest.approx(known.predict_proba(values.toarray()), abs=2e-3)


def test_every_label_weighs_the_same():
    _, codes = planted()
    weights = balanced_weights(codes, n_labels=4)
    assert weights.sum() == pytest.approx(len(codes))
    assert np.bincount(codes, weights=weights) == pytest.approx(np.full(4, len(codes) / 4))


def test_the_order_of_genes_and_cells_and_labels_changes_probabilities_by_rounding_alone():
    values, codes = planted()
    rng = np.random.default_rng(5)
    cells, genes, labels = rng.permutation(len(codes)), rng.permutation(50), rng.permutation(4)
    whole = np.exp(fit_regression(values, codes, n_labels=4).log_probabilities(values))
    moved = fit_regression(values[cells][:, genes].tocsr(), labels[codes[cells]], n_labels=4)
    found = np.exp(moved.log_probabilities(values[:, genes]))[:, labels]
    assert found == pytest.approx(whole, abs=2e-3)


def test_a_label_without_a_cell_is_never_given():
    values, codes = planted()
    model = fit_regression(values, codes, n_labels=5)
    assert (model.log_probabilities(values).argmax(axis=1) != 4).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    values, codes = planted()
    values.data[0] = bad
    with pytest.raises(InputError, match="infinite or NaN"):
        fit_regression(values, codes, n_labels=4)


def test_no_cells_are_refused():
    with pytest.raises(InputError, match="got 0 cells"):
        fit_regression(sparse.csr_matrix((0, 5), dtype=np.float32), np.zeros(0, dtype=int), n_labels=2)
