"""Cells embedded a second, from sparse counts in memory; scVI on the same cells in the same run if it is installed."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism.estimator.model import Model
from scprism.model.asked import Asked
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.prepare.recipe import Recipe
from scprism.query.embed import embed_cells

__all__ = ["throughput_table"]

N_CELLS, N_GENES, DENSITY, REPEATS = 50_000, 4_000, 0.1, 3
HEADER, RULE = "| what | seconds | cells a second | cells a second of one core |", "| --- | --- | --- | --- |"
MAX_LOAD = 1.5
"""Timings on a busier machine say little: they are printed with a warning."""


def throughput_table(scvi_python: Path | None) -> str:
    """Return cells a second of `Model.embed`, whole and without its checks, and of scVI, as Markdown."""
    load = os.getloadavg()[0]
    counts = simulated_counts()
    model = untrained_model()
    cells = AnnData(counts)
    cells.var_names = list(model.recipe.genes)
    query = model._open(cells, layer=None, organism=None, min_coverage=None)
    rows = [("scprism, Model.embed with all checks", seconds(lambda: model.embed(cells)))]
    rows.append(
        ("scprism, network alone", seconds(lambda: embed_cells(model.weights, query.chunks(), fill=query.fill)))
    )
    if scvi_python is not None:
        rows.append(("scVI 1.4.2, sparse counts", scvi_seconds(scvi_python, counts)))
    lines = [
        f"| {name} | {clock:.2f} | {N_CELLS / clock:,.0f} | {N_CELLS / processor:,.0f} |"
        for name, (clock, processor) in rows
    ]
    if scvi_python is None:
        lines.append("| scVI | not installed | | |")
    threads = numba.config.NUMBA_NUM_THREADS
    warning = f"\nThe machine was busy (load {load:.1f}): time it again.\n" if load > MAX_LOAD else ""
    title = f"{N_CELLS:,} cells × {N_GENES:,} genes, density {DENSITY:g}, {threads} threads, best of {REPEATS}"
    return "\n".join([title, "", HEADER, RULE, *lines, warning])


def simulated_counts() -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    per_cell = int(N_GENES * DENSITY)
    starts = rng.integers(0, N_GENES, N_CELLS)
    columns = np.sort((rng.permutation(N_GENES)[:per_cell] + starts[:, None]) % N_GENES, axis=1)
    data = rng.poisson(1.0, columns.size).astype(np.float32) + 1
    indptr = np.arange(0, columns.size + 1, per_cell)
    return sparse.csr_matrix((data, columns.ravel().astype(np.int32), indptr), shape=(N_CELLS, N_GENES))


def untrained_model() -> Model:
    config = Config()
    genes = tuple(f"gene_{i}" for i in range(N_GENES))
    ones, share = np.ones(N_GENES), np.full(N_GENES, 1 / N_GENES)
    recipe = Recipe(genes, None, config.normalise, config.target_sum, config.library, "refuse", ones, ones, share, 1)
    weights = to_weights(build_autoencoder(config, n_genes=N_GENES, rng=np.random.default_rng(0)))
    return Model(config, recipe, weights, pd.DataFrame(), {"n_cells": 0}, Asked())


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Return the least seconds of the clock and of the processor."""
    run()  # compiles
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    clock, processor = np.min(times, axis=0)
    return float(clock), float(processor)


def scvi_seconds(python: Path, counts: sparse.csr_matrix) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        sparse.save_npz(Path(folder) / "reference.npz", counts, compressed=False)
        script = Path(__file__).with_name("peer_scvi_speed.py")
        call = [str(python), str(script), folder, str(REPEATS), str(numba.config.NUMBA_NUM_THREADS)]
        done = subprocess.run(call, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""})
    clock, processor = (float(value) for value in done.stdout.split()[-2:])
    return clock, processor
