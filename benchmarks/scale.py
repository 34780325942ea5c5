"""Peak memory and time of each command on many cells, beside merely reading the file: one line a command.

    nice python benchmarks/scale.py --cells 100000 --folder DIR

The cells are written in blocks to DIR: 20,000 genes, Poisson counts of 20 types, some 1,500 genes a cell, compressed as
h5ad usually are (gzip). The model has the Hallmark genes and is trained for one epoch. Each command is a process of its
own; its peak is the largest resident set, Python and all libraries included. Labelled cells are 10,000 others. What was
measured is kept in DIR, by the number of cells: a command is run again where it is named by --only.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import write_elem
from scipy import sparse

from scprism.prepare.selection import hallmark_genes

N_GENES, N_TYPES, GENES_A_CELL, BLOCK = 20_000, 20, 1_500, 5_000
READING = """
import h5py, sys
with h5py.File(sys.argv[1]) as file:
    for name in ("data", "indices"):
        values = file["X"][name]
        step = values.chunks[0] * 64
        for start in range(0, values.shape[0], step):
            values[start : start + step]
"""
COMMANDS = {
    "read": ["-c", READING, "{cells}"],
    "fit": ["-m", "scprism.cli", "fit", "{cells}", "--out", "{folder}/model", "--config", "{folder}/one_epoch.toml",
            "--force"],
    "embed": ["-m", "scprism.cli", "embed", "{folder}/model", "{cells}", "--out", "{folder}/embedding.csv"],
    "annotate": ["-m", "scprism.cli", "embed", "{folder}/model", "{cells}", "--out", "{folder}/embedding.h5ad",
                 "--no-umap"],
    "label": ["-m", "scprism.cli", "label", "{folder}/model", "{cells}", "--reference", "{reference}", "--labels",
              "cell_type", "--out", "{folder}/labels.csv"],
    "explain": ["-m", "scprism.cli", "explain", "{folder}/model", "{cells}", "--groupby", "cell_type", "--out",
                "{folder}/explanation.h5ad"],
    "compare": ["-m", "scprism.cli", "compare", "{folder}/model", "{cells}", "--groupby", "condition", "--against",
                "control", "--replicate", "donor", "--out", "{folder}/comparison.tsv"],
    "denoise": ["-m", "scprism.cli", "denoise", "{folder}/model", "{cells}", "--out", "{folder}/denoised.h5ad"],
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True, help="for the cells, the model and the results")
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), help="commands to run (again)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "one_epoch.toml").write_text("max_epochs = 1\nmax_batches = 1000000\n", encoding="utf-8")
    paths = {
        "folder": str(options.folder),
        "cells": str(written(options.folder, options.cells)),
        "reference": str(written(options.folder, 10_000)),
    }
    kept = options.folder / f"scale-{options.cells}.json"
    rows = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in options.only or [name for name in COMMANDS if name not in rows]:
        rows[name] = measured([part.format(**paths) if "{" in part else part for part in COMMANDS[name]])
        kept.write_text(json.dumps(rows), encoding="utf-8")
    print_table(options.cells, Path(paths["cells"]), {name: rows[name] for name in COMMANDS if name in rows})


def print_table(n_cells: int, path: Path, rows: dict[str, dict[str, float]]) -> None:
    with h5py.File(path) as file:
        n_values = file["X/data"].shape[0]
    print(
        f"{n_cells:,} cells × {N_GENES:,} genes, {n_values:,} values: {path.stat().st_size / 1e9:.2f} GB on disk, ",
        end="",
    )
    print(f"{8 * n_values / 1e9:.2f} GB in memory; {os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads")
    print(f"{'':10}{'peak GB':>10}{'seconds':>10}{'× reading':>11}")
    for name, row in rows.items():
        ratio = row["seconds"] / rows["read"]["seconds"] if "read" in rows else float("nan")
        print(f"{name:10}{row['peak'] / 1e9:>10.2f}{row['seconds']:>10.1f}{ratio:>11.1f}")


def measured(command: list[str]) -> dict[str, float]:
    """Return the seconds and the peak resident set, in bytes, of a process of its own (Linux).

    What the system tells at its end would be at least the resident set of this process, which it was split from.
    """
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen([sys.executable, *command])
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
            peak = max(peak, 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1]))
        time.sleep(0.02)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return {"seconds": time.perf_counter() - start, "peak": float(peak)}


def written(folder: Path, n_cells: int) -> Path:
    """Return a file of so many cells, written in blocks unless it is there."""
    path = folder / f"cells-{n_cells}.h5ad"
    if path.exists():
        return path
    rng = np.random.default_rng(n_cells)
    symbols = hallmark_genes("human")
    genes = [*symbols, *(f"GENE{number}" for number in range(N_GENES - len(symbols)))]
    base = np.random.default_rng(0).lognormal(-3.2, 1.9, (1, N_GENES))
    changed = np.random.default_rng(1).lognormal(0, 0.7, (N_TYPES, N_GENES))
    means = base * changed
    types = rng.integers(N_TYPES, size=n_cells)
    donors = rng.integers(8, size=n_cells)
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical([f"type {n}" for n in types]),
            "donor": pd.Categorical([f"donor {n}" for n in donors]),
            "condition": pd.Categorical(np.where(donors < 4, "control", "treated")),
        },
        index=[f"cell{n}" for n in range(n_cells)],
    )
    scratch = path.with_suffix(".writing")
    with h5py.File(scratch, "w") as file:
        empty = AnnData(obs=obs, var=pd.DataFrame(index=genes))
        for name in ("obs", "var"):
            write_elem(file, name, getattr(empty, name))
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_counts(file, means, types, rng)
    scratch.rename(path)
    return path


def write_counts(file: h5py.File, means: np.ndarray, types: np.ndarray, rng: np.random.Generator) -> None:
    group = file.create_group("X")
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [len(types), N_GENES]})
    data, indices = (
        group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(2**16,), compression="gzip")
        for name, kind in (("data", "float32"), ("indices", "int32"))
    )
    lengths = []
    for start in range(0, len(types), BLOCK):
        block = sparse.vstack([drawn(means[kind], rng) for kind in types[start : start + BLOCK]], format="csr")
        for array, values in ((data, block.data), (indices, block.indices)):
            array.resize(array.shape[0] + len(values), axis=0)
            array[-len(values) :] = values
        lengths.append(np.diff(block.indptr))
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
    group.create_dataset("indptr", data=indptr)
    for name in ("data", "indices", "indptr"):
        group[name].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def drawn(mean: np.ndarray, rng: np.random.Generator) -> sparse.csr_matrix:
    """Return the counts of one cell: its molecules are dealt to the genes by their means."""
    n_molecules = rng.poisson(2.6 * GENES_A_CELL * rng.lognormal(0, 0.4))
    genes = np.searchsorted(np.cumsum(mean) / mean.sum(), rng.random(n_molecules))
    places, counts = np.unique(np.minimum(genes, len(mean) - 1), return_counts=True)
    return sparse.csr_matrix(
        (counts.astype(np.float32), places.astype(np.int32), np.array([0, len(places)])), shape=(1, len(mean))
    )


if __name__ == "__main__":
    main()
