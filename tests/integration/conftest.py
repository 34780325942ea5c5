import shutil
import subprocess
from functools import cache

import pytest
from anndata import AnnData

from scprism.read.synthetic import Simulation, simulate_cells


@pytest.fixture(scope="session")
def two_batches() -> AnnData:
    return simulate_cells(Simulation(n_cells=200, n_batches=2, batch_shift=1.0), rng=0)


@cache
def why_no_seurat() -> str:
    """Return why Seurat cannot run here, or an empty text."""
    if shutil.which("Rscript") is None:
        return "there is no R on the PATH"
    found = subprocess.run(["Rscript", "-e", "packageVersion('Seurat')"], capture_output=True, check=False)
    return "" if found.returncode == 0 else "R has no package Seurat"


@pytest.fixture(scope="session")
def needs_seurat() -> None:
    reason = why_no_seurat()
    if reason:
        pytest.skip(reason)
