"""The evidence of a card."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from scprism.errors import InputError
from scprism.units.card import label_aurocs, top_cells, top_genes
from scprism.units.inference import activity


def test_aurocs_are_those_of_scikit_learn(planted, units):
    activities = activity(units, planted[0])
    labels = np.array(["T", "B", None], dtype=object)[np.random.default_rng(0).integers(0, 3, len(activities))]
    found = label_aurocs(activities, labels, units.names)
    assert list(found.columns) == ["B", "T"]
    known = np.array([label is not None for label in labels])
    for unit, name in enumerate(units.names):
        expected = roc_auc_score(labels[known] == "T", activities[known, unit])
        assert found.loc[name, "T"] == pytest.approx(expected, abs=1e-9)


def test_top_genes_are_the_planted_ones_with_their_range(planted, units, matched):
    genes = [f"gene_{number}" for number in range(planted[2].shape[1])]
    table = top_genes(units, genes, n_genes=8)
    for number, members in zip(matched[0], planted[2], strict=True):
        rows = table[table["unit"] == units.names[number]]
        assert set(rows["gene"]) <= {genes[gene] for gene in np.flatnonzero(members)}
        assert (rows["low"] <= rows["weight"]).all()
        assert (rows["weight"] <= rows["high"]).all()
        assert list(rows["rank"]) == list(range(1, 9))


def test_genes_of_another_model_are_refused(units):
    with pytest.raises(InputError, match="200 genes of the units, got 1"):
        top_genes(units, ["Cd3e"])


def test_top_cells_are_those_with_most(planted, units):
    activities = activity(units, planted[0])
    cells = top_cells(activities, n_cells=5)
    assert cells.shape == (len(units.names), 5)
    for unit, chosen in enumerate(cells):
        np.testing.assert_array_equal(activities[chosen, unit], np.sort(activities[:, unit])[::-1][:5])
