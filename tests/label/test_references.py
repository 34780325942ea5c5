"""Choosing among references of one query."""

import numpy as np
import pandas as pd
import pytest

from scprism.errors import InputError
from scprism.label.references import compare_references
from scprism.label.result import Labels


def labels(given, confidence, novel=None, cells=None):
    index = pd.Index(cells or [f"c{i}" for i in range(len(given))], name="cell")
    table = {"label": given, "confidence": confidence, "novel": novel or [False] * len(given)}
    return Labels(pd.DataFrame(table, index=index), {})


@pytest.fixture
def blood():
    return labels(["T", "B", "T", "T"], [0.9, 0.8, 0.2, 0.1], [False, False, False, True])


@pytest.fixture
def lung():
    return labels(["T", "T", "AT2", "AT1"], [0.7, 0.3, 0.9, 0.9])


def test_each_cell_gets_the_label_that_is_most_confident(blood, lung):
    found = compare_references({"blood": blood, "lung": lung})
    assert found.table["label"].tolist() == ["T", "B", "AT2", "AT1"]
    assert found.table["reference"].tolist() == ["blood", "blood", "lung", "lung"]
    assert found.table["confidence"].tolist() == [0.9, 0.8, 0.9, 0.9]
    assert found.table["novel"].tolist() == [False] * 4
    assert found.table["label by blood"].tolist() == ["T", "B", "T", "T"]


def test_the_reference_of_the_highest_mean_confidence_is_the_best(blood, lung):
    found = compare_references({"blood": blood, "lung": lung})
    assert found.best == "lung"
    assert found.references.index.tolist() == ["lung", "blood"]
    assert found.references["mean_confidence"].tolist() == pytest.approx([0.7, 0.5])
    assert found.references["novel"].tolist() == [0, 0.25]
    assert found.references["chosen"].tolist() == [0.5, 0.5]
    assert found.references["n_labels"].tolist() == [3, 2]


def test_agreement_is_the_share_of_cells_with_the_same_label(blood, lung):
    found = compare_references({"blood": blood, "lung": lung}).agreement
    np.testing.assert_allclose(found.to_numpy(), [[1, 0.25], [0.25, 1]])


def test_what_cannot_be_compared_is_refused(blood):
    with pytest.raises(InputError, match="At least two references are needed to compare them, got 'blood'"):
        compare_references({"blood": blood})
    turned = Labels(blood.table.iloc[::-1], {})
    with pytest.raises(InputError, match="labels by 'lung' are not of the same cells in the same order as those by"):
        compare_references({"blood": blood, "lung": turned})
    empty = Labels(blood.table.iloc[:0], {})
    with pytest.raises(InputError, match="no cells to compare"):
        compare_references({"blood": empty, "lung": empty})
