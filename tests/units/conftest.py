"""Cells with planted programs and the units found in them."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import average_precision_score

from scprism.units.fitting import fit_units
from scprism.units.record import UnitSettings

SETTINGS = UnitSettings(runs=8, ranks=(4, 6), max_iterations=60)


def planted_cells(*, n_cells=600, n_programs=4, program_size=25, depth=1500.0, rng=0):
    """Return log1p counts per 10,000 (cells, genes), each program's share of a cell and its genes (programs, genes).

    Beside the programs all cells express all genes at a base level, which is a program of its own.
    """
    generator = np.random.default_rng(rng)
    n_genes = 2 * n_programs * program_size
    members = np.zeros((n_programs, n_genes), dtype=bool)
    for k in range(n_programs):
        members[k, k * program_size : (k + 1) * program_size] = True
    amounts = generator.gamma(0.4, 1.0, (n_cells, n_programs))
    base = generator.lognormal(0.0, 1.0, n_genes) * 0.3
    mean = base + amounts @ (members * generator.lognormal(0.0, 0.5, n_genes) * 3.0)
    counts = generator.poisson(depth * mean / mean.sum(axis=1, keepdims=True))
    values = np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    return sparse.csr_matrix(values, dtype=np.float32), amounts / mean.sum(axis=1, keepdims=True), members


@pytest.fixture(scope="session")
def planted():
    return planted_cells()


@pytest.fixture(scope="session")
def units(planted):
    return fit_units(planted[0], settings=SETTINGS, rng=0)


@pytest.fixture(scope="session")
def matched(planted, units):
    """The unit of each planted program, by the average precision of its genes."""
    areas = np.array([[average_precision_score(genes, program) for genes in planted[2]] for program in units.programs])
    rows, columns = linear_sum_assignment(-areas)
    return rows[np.argsort(columns)], areas[rows, columns].min()


@pytest.fixture(scope="session")
def settings():
    return SETTINGS


@pytest.fixture(scope="session")
def shuffled(planted):
    """Each gene dealt out anew among the cells: every gene keeps its values, none its company."""
    dense = planted[0].toarray()
    generator = np.random.default_rng(0)
    for gene in range(dense.shape[1]):
        dense[:, gene] = generator.permutation(dense[:, gene])
    return sparse.csr_matrix(dense)
