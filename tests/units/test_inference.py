"""Activities against scipy's non-negative least squares, and attributions against differences."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import nnls

from scprism.errors import InputError
from scprism.units import inference
from scprism.units.inference import activity, per_ten_thousand, why


def reference(units, row, present):
    weights = units.gene_weights.astype(float) * present
    return nnls((units.programs * weights).T.astype(float), row * weights)[0]


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_activities_are_those_of_scipy(planted, units, share):
    values = planted[0][:40]
    present = np.random.default_rng(0).random(values.shape[1]) < share
    expected = [reference(units, row, present) for row in values.toarray().astype(float)]
    found = activity(units, values, present)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert (found == 0).any()


def test_what_stands_at_missing_genes_plays_no_part(planted, units):
    values = planted[0][:20]
    present = np.arange(values.shape[1]) % 3 > 0
    filled = values.toarray()
    filled[:, ~present] = 9.0
    np.testing.assert_array_equal(activity(units, sparse.csr_matrix(filled), present), activity(units, values, present))


def test_a_cell_is_read_alike_alone_and_among_others(planted, units, monkeypatch):
    monkeypatch.setattr(inference, "ROWS_A_CHUNK", 7)
    values = planted[0][:30]
    together = activity(units, values, threads=3)
    alone = np.vstack([activity(units, values[row]) for row in range(30)])
    np.testing.assert_array_equal(together, alone)


def test_genes_parts_sum_to_the_activity(planted, units):
    for row in planted[0][:25]:
        np.testing.assert_allclose(why(units, row).sum(axis=1), activity(units, row)[0], atol=1e-5)


def test_a_genes_part_is_its_expression_times_the_slope(planted, units):
    row = planted[0][3].toarray().astype(float)
    parts = why(units, row)
    present = np.ones(row.size)
    for gene in np.flatnonzero(row[0])[:30]:
        ahead, back = row[0].copy(), row[0].copy()
        ahead[gene] += 1e-4
        back[gene] -= 1e-4
        slope = (reference(units, ahead, present) - reference(units, back, present)) / 2e-4
        np.testing.assert_allclose(parts[:, gene], slope * row[0, gene], atol=1e-4)


def test_missing_genes_have_no_part(planted, units):
    present = np.arange(planted[0].shape[1]) % 2 == 0
    parts = why(units, planted[0][0], present)
    assert (parts[:, ~present] == 0).all()
    np.testing.assert_allclose(parts.sum(axis=1), activity(units, planted[0][0], present)[0], atol=1e-5)


def test_a_cell_without_counts_has_no_activity(units):
    nothing = sparse.csr_matrix((2, units.programs.shape[1]), dtype=np.float32)
    assert (activity(units, nothing) == 0).all()
    assert (why(units, nothing[0]) == 0).all()


def test_counts_per_million_become_counts_per_ten_thousand():
    counts = np.array([[0.0, 3.0, 97.0]])
    cpm = sparse.csr_matrix(np.log1p(counts * 1e4))
    expected = np.log1p(counts * 1e2)
    np.testing.assert_allclose(per_ten_thousand(cpm, target_sum=1e6).toarray(), expected, rtol=1e-6)


def test_other_genes_are_refused(planted, units):
    with pytest.raises(InputError, match=r"200 genes of the units in their order, got 199"):
        activity(units, planted[0][:, 1:])


def test_a_mask_of_the_wrong_kind_is_refused(planted, units):
    with pytest.raises(InputError, match="`present` must be bool"):
        activity(units, planted[0], np.ones(200))


def test_a_unit_without_a_present_gene_is_named(planted, units):
    only = units.programs[1] == 0
    with pytest.raises(InputError, match="U02"):
        activity(units, planted[0], only)


def test_attribution_takes_one_cell(planted, units):
    with pytest.raises(InputError, match="one cell"):
        why(units, planted[0][:2])


def test_programs_must_not_be_negative(units):
    with pytest.raises(InputError, match="negative"):
        replace(units, programs=-units.programs - 1)
