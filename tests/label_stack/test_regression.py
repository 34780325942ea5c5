import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from label_stack.regression import balanced_weights, fit_in_fixed_order, fit_regression
from scprism.errors import InputError


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


def test_contributions_add_up_to_the_log_odds():
    values, codes = planted()
    model = fit_regression(values, codes, n_labels=4)
    log_p = model.log_probabilities(values)
    order = np.argsort(-log_p, axis=1)
    label, against = order[:, 0], order[:, 1]
    sums = np.asarray(model.contributions(values, label, against).sum(axis=1)).ravel()
    rows = np.arange(len(codes))
    odds = log_p[rows, label] - log_p[rows, against]
    assert sums + model.intercept[label] - model.intercept[against] == pytest.approx(odds, abs=1e-4)


def test_a_gene_that_marks_a_label_speaks_for_it():
    values = sparse.csr_matrix(np.array([[3.0, 0, 1], [2, 0, 1], [0, 3, 1], [0, 2, 1]], dtype=np.float32))
    model = fit_regression(values, np.array([0, 0, 1, 1]), n_labels=2)
    found = model.contributions(values[:1], np.array([0]), np.array([1])).toarray()[0]
    assert found[0] > 0
    assert found[1] == 0
    assert abs(found[2]) < 1e-4


def test_the_order_of_genes_and_cells_and_labels_changes_probabilities_by_rounding_alone():
    values, codes = planted()
    rng = np.random.default_rng(5)
    cells, genes, labels = rng.permutation(len(codes)), rng.permutation(50), rng.permutation(4)
    whole = np.exp(fit_regression(values, codes, n_labels=4).log_probabilities(values))
    moved = fit_regression(values[cells][:, genes].tocsr(), labels[codes[cells]], n_labels=4)
    found = np.exp(moved.log_probabilities(values[:, genes]))[:, labels]
    assert found == pytest.approx(whole, abs=2e-3)


def test_in_a_fixed_order_the_weights_are_the_same_to_the_last_bit():
    values, codes = planted()
    genes, keys = np.array([f"g{i}" for i in range(50)]), np.random.default_rng(7).permutation(240).astype(np.uint64)
    whole = fit_in_fixed_order(values, codes, n_labels=4, genes=genes, keys=keys)
    rng = np.random.default_rng(6)
    cells, order = rng.permutation(240), rng.permutation(50)
    moved = fit_in_fixed_order(
        values[cells][:, order].tocsr(), codes[cells], n_labels=4, genes=genes[order], keys=keys[cells]
    )
    assert (moved.weights == whole.weights[order]).all()
    assert (moved.intercept == whole.intercept).all()
    plain = fit_regression(values, codes, n_labels=4)
    assert np.exp(whole.log_probabilities(values)) == pytest.approx(np.exp(plain.log_probabilities(values)), abs=2e-3)


def test_energy_is_high_where_no_label_speaks_for_a_cell():
    values, codes = planted()
    model = fit_regression(values, codes, n_labels=4)
    nothing = sparse.csr_matrix((1, 50), dtype=np.float32)
    expected = -np.log(np.exp(model.log_odds(values)).sum(axis=1))
    assert model.energy(values) == pytest.approx(expected)
    assert model.energy(nothing)[0] > np.median(model.energy(values))


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
