from dataclasses import replace

import pytest

from scprism.evaluate.experiments.plan import Plan
from scprism.evaluate.experiments.scale import SCALES
from scprism.evaluate.experiments.sources import Source, bundled_sources


def make_source(name, types, *, organism="mouse", tissue=""):
    counts = tuple((kind, n) for kind, n in types.items())
    return Source(name, organism, "cell_type", counts, f"{name}-print", f"/{name}.h5ad", tissue=tissue)


@pytest.fixture
def source():
    """A function that returns a source of types with their numbers of cells, without a file."""
    return make_source


@pytest.fixture
def small_plan():
    """Two bundled data sets of immune cells of mice, 90 cells of each, everything as short as it can be."""
    scale = replace(SCALES["tiny"], max_epochs=1, penalty_seeds=1, untrained_seeds=1, max_cells=90)
    return Plan(bundled_sources(), ("default", "paper", "as_released"), scale)
