"""A folder of small data sets with Hallmark genes, as `scprism reproduce` finds them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scprism.enrichment.gene_sets import gene_sets
from scprism.paper.data_sets import Source, bundled_sources, file_sources
from scprism.paper.plan import Plan
from scprism.paper.scale import SCALES
from scprism.read.synthetic import Simulation, simulate_cells

TYPES = {"first": ("T cells", "B cell", "NK cells"), "second": ("t cell", "B cells", "monocytes")}


@pytest.fixture(scope="session")
def genes():
    sets = gene_sets("hallmark", organism="human")
    return tuple(sorted({gene for name in sorted(sets)[:12] for gene in sets[name]}))[:400]


@pytest.fixture(scope="session")
def data_folder(genes, tmp_path_factory):
    """Two data sets of 400 Hallmark genes: one of two platforms, types T, B and NK; one of types T, B and monocyte."""
    folder = tmp_path_factory.mktemp("data")
    planted = Simulation(n_cells=200, genes=genes, n_programs=6, n_types=3, n_platforms=2)
    cells = simulate_cells(planted, rng=0)
    cells.obs["cell_type"] = pd.Categorical(np.array(TYPES["first"])[cells.obs["cell_type"].cat.codes])
    cells.write_h5ad(folder / "first.h5ad")
    other = simulate_cells(Simulation(n_cells=90, genes=genes, n_programs=6, n_types=3), rng=0)
    other.obs["Major_cell_type"] = pd.Categorical(np.array(TYPES["second"])[other.obs["cell_type"].cat.codes])
    del other.obs["cell_type"]
    other.write_h5ad(folder / "second.h5ad")
    unlabelled = other.copy()
    del unlabelled.obs["Major_cell_type"]
    unlabelled.write_h5ad(folder / "third.h5ad")
    return folder


@pytest.fixture(scope="session")
def sources(data_folder):
    with pytest.warns(match="third.h5ad"):
        return file_sources(data_folder)


@pytest.fixture
def tiny():
    return SCALES["tiny"]


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
