"""Peers that live in interpreters of their own: scVI and CellTypist, on all genes that reference and query share."""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import scanpy
from anndata import AnnData
from scipy import sparse

from foreign.methods import METRICS, WHOLE, Reference, Task, both
from scprism.prepare.learn import map_by_name
from scprism.prepare.stream import prepared_chunks
from scprism.query.view import open_query

__all__ = ["PEERS", "peer_calls"]

PEERS = {"scvi": tuple(f"scVI zero-shot {m}" for m in METRICS), "celltypist": ("CellTypist",)}
N_GENES = 2000
"""Most variable genes of the reference that scVI is trained on, as its documentation advises."""


def peer_calls(task: Task, reference: Reference, *, peer: str, python: Path, seed: int) -> dict[str, np.ndarray]:
    """Return a peer's calls; its genes are those that both sides have, so that no gap needs filling."""
    x, y = shared_counts(task, reference)
    if peer == "scvi":
        chosen = variable_genes(x)
        x, y = x[:, chosen], y[:, chosen]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sparse.save_npz(folder / "reference.npz", x)
        sparse.save_npz(folder / "query.npz", y)
        np.save(folder / "codes.npy", task.codes)
        np.save(folder / "seed.npy", np.array(seed))
        script = Path(__file__).with_name(f"peer_{peer}.py")
        environment = {**os.environ, "PYTHONPATH": ""}
        done = subprocess.run(
            [str(python), str(script), str(folder)], capture_output=True, text=True, env=environment, check=False
        )
        if done.returncode:
            raise SystemExit(f"{peer} failed:\n{done.stderr[-3000:]}")
        if peer == "celltypist":
            return {"": np.load(folder / "calls.npy")[task.scored]}
        return both(task, np.load(folder / "latent.npy"), np.load(folder / "latent_query.npy"))


def shared_counts(task: Task, reference: Reference) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    recipe, _ = reference.whole
    query = open_query(task.query, recipe, WHOLE, min_coverage=0.0)
    present = query.alignment.gene_map.present
    own = prepared_chunks(reference.cells.X, map_by_name(list(reference.cells.var_names), recipe.genes), recipe)
    sides = (sparse.vstack([chunk.counts for chunk in chunks], format="csr") for chunks in (own, query.chunks()))
    x, y = (side[:, present] for side in sides)
    return x, y


def variable_genes(counts: sparse.csr_matrix) -> np.ndarray:
    cells = AnnData(counts.astype(np.float32))
    scanpy.pp.normalize_total(cells, target_sum=1e4)
    scanpy.pp.log1p(cells)
    table = scanpy.pp.highly_variable_genes(cells, n_top_genes=min(N_GENES, counts.shape[1]), inplace=False)
    return np.flatnonzero(table["highly_variable"].to_numpy())
