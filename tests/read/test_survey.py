import numpy as np
import pytest
from scipy import sparse

from scprism.read.survey import survey_values

VALUES = np.array([[0, 2.5, np.nan], [-1, 0, np.inf], [0, 0, 0], [4, 1, 0]])


def in_two_parts(values):
    """The same values, each stored as two halves, and a stored zero."""
    half = sparse.coo_matrix(values / 2)
    rows, columns = np.tile(half.row, 2), np.tile(half.col, 2)
    stored = sparse.csr_matrix(values.shape)
    stored.data, stored.indices = np.append(np.tile(half.data, 2), 0.0), np.append(columns, 0)
    order = np.argsort(np.append(rows, 2), kind="stable")
    stored.data, stored.indices = stored.data[order], stored.indices[order].astype(np.int32)
    stored.indptr = np.searchsorted(np.append(rows, 2)[order], np.arange(len(values) + 1)).astype(np.int32)
    return stored


@pytest.mark.parametrize(
    "storage",
    [np.asarray, sparse.csr_matrix, sparse.csc_matrix, lambda v: sparse.csr_matrix(v.astype(np.float32)), in_two_parts],
)
def test_the_survey_counts_what_there_is(storage):
    survey = survey_values(storage(VALUES))
    assert (survey.n_missing, survey.n_infinite, survey.n_negative, survey.n_fractional) == (1, 1, 1, 1)
    assert (survey.largest, survey.n_empty_cells) == (4, 1)
    assert (survey.smallest_total, survey.largest_total) == (-1, 5)


def test_integers_are_surveyed_as_they_are():
    survey = survey_values(sparse.csr_matrix(np.array([[1, 0], [7, 2]], dtype=np.uint16)))
    assert (survey.largest, survey.smallest_total, survey.largest_total) == (7, 1, 9)
