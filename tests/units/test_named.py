"""A proposed name says what the leading genes of a unit show."""

from dataclasses import replace

import numpy as np
import pytest

from scprism.units.named import FoundSet, NamedUnits


def named_by(units, *edges):
    """Return units, each of whose rules holds, the first of them with sets of these leading edges."""
    n_units = len(units.names)
    good = {"replication": 0.9, "coherence": 0.9, "overlap": 0.9, "shuffled_overlap": 0.1}
    units = replace(units, **{name: np.full(n_units, value) for name, value in good.items()})
    counted = units.programs[0] * units.gene_weights
    genes = np.empty(len(counted), dtype=object)
    genes[np.argsort(-counted, kind="stable")] = [f"G{rank}" for rank in range(1, len(counted) + 1)]
    sets = tuple(FoundSet(f"HALLMARK_SET_{number}", "up", 2.0, 0.01, 1.0, edge) for number, edge in enumerate(edges))
    return NamedUnits(units, tuple(genes), (sets, *((),) * (n_units - 1)))


@pytest.mark.parametrize(
    ("edges", "name"),
    [
        pytest.param([("G2", "G4", "G6", "G8", "G50")], "Set 0", id="half of the leading eight"),
        pytest.param([("G1", "G2", "G3", "G9", "G50")], "G1, G2, G3", id="fewer"),
        pytest.param([("G9", "G50"), ("G1", "G3", "G5", "G7")], "Set 1", id="only in the second set"),
        pytest.param([], "G1, G2, G3", id="no set"),
    ],
)
def test_a_set_names_a_unit_if_its_leading_genes_show_it(units, edges, name):
    assert named_by(units, *edges).proposed_names[0] == name
    assert named_by(units, *edges).table()["sets"].iloc[0].count("HALLMARK") == len(edges)
