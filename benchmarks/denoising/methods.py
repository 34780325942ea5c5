"""The methods that denoise: counts (cells, genes) in, proportions of the same shape out."""

import os
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors

from denoising.task import Task
from scprism.denoise.adjust import gene_factors, scaled_by_gene, shrunk_to_counts
from scprism.paper.measures.denoise import deviance, mixed, thin_counts

__all__ = ["Predict", "background", "chosen", "improved", "knn", "magic", "ours", "pca", "rows_to_one", "scvi"]

Predict = Callable[[sparse.csr_matrix], np.ndarray]
"""Proportions (cells, genes) from counts of the same shape; rows add up to 1."""

SHARES = (0.0, 0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7)
STRENGTHS = (30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5)


def rows_to_one(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(values.sum(axis=1, keepdims=True), 1e-12)


def background(counts: sparse.csr_matrix) -> np.ndarray:
    total = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() + 0.5
    return total / total.sum()


def chosen(candidates: dict[str, Predict], counts: sparse.csr_matrix, *, seed: int) -> Predict:
    """Return the best candidate, with the best share of the mean profile mixed in, by thinning `counts` again."""
    first, second = thin_counts(counts, rng=seed + 1000)
    scores = {}
    for name, predict in candidates.items():
        proportions = predict(first)
        for share in SHARES:
            scores[name, share] = np.nanmean(deviance(second, mixed(proportions, background(first), share=share)))
    name, share = min(scores, key=scores.get)
    print(f"    chosen: {name}, {share:g} of the mean profile", flush=True)
    return lambda given: mixed(candidates[name](given), background(given), share=share)


def transformed(counts: sparse.csr_matrix, scale: str) -> np.ndarray:
    proportions = rows_to_one(counts.toarray())
    return np.sqrt(proportions) if scale == "sqrt" else np.log1p(1e4 * proportions)


def pca(rank: int, scale: str, learned_on: sparse.csr_matrix | None) -> Predict:
    """Return the projection on `rank` components; None learns them on the very cells that are projected."""

    def learn(counts: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        values = transformed(counts, scale)
        mean = values.mean(axis=0)
        return mean, TruncatedSVD(rank, random_state=0).fit(values - mean).components_

    fixed = None if learned_on is None else learn(learned_on)

    def predict(counts: sparse.csr_matrix) -> np.ndarray:
        mean, components = fixed or learn(counts)
        values = mean + (transformed(counts, scale) - mean) @ components.T @ components
        positive = np.maximum(values, 0)
        return rows_to_one(positive**2 if scale == "sqrt" else np.expm1(positive))

    return predict


def knn(n_neighbours: int, pool: sparse.csr_matrix | None) -> Predict:
    """Return the pooled counts of the nearest cells by 30 components; None looks among the cells themselves."""

    def predict(counts: sparse.csr_matrix) -> np.ndarray:
        cells = counts if pool is None else pool
        known = transformed(cells, "log")
        mean = known.mean(axis=0)
        components = TruncatedSVD(30, random_state=0).fit(known - mean).components_
        search = NearestNeighbors(n_neighbors=n_neighbours, metric="cosine").fit((known - mean) @ components.T)
        near = search.kneighbors((transformed(counts, "log") - mean) @ components.T, return_distance=False)
        weights = sparse.csr_matrix(
            (np.ones(near.size), near.ravel(), np.arange(0, near.size + 1, n_neighbours)), shape=(len(near), len(known))
        )
        return rows_to_one((weights @ cells).toarray())

    return predict


def magic(counts: sparse.csr_matrix) -> np.ndarray:
    import magic as package

    smooth = package.MAGIC(random_state=0, n_jobs=1, verbose=0).fit_transform(transformed(counts, "sqrt"))
    return rows_to_one(np.maximum(np.asarray(smooth), 0) ** 2)


def ours(task: Task, *, adjust: bool) -> Predict:
    """Return what `Model.denoise` says, of the genes that the cells have."""

    def predict(counts: sparse.csr_matrix) -> np.ndarray:
        cells = AnnData(counts.astype(np.float32), var=pd.DataFrame(index=list(task.genes)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = task.model.denoise(cells, adjust=adjust, min_coverage=0.0, organism=task.model.recipe.organism)
        place = {gene: i for i, gene in enumerate(task.model.recipe.genes)}
        return rows_to_one(np.expm1(values[:, [place[g] for g in task.genes]].astype(np.float64)))

    return predict


def scvi(task: Task, python: Path) -> Predict:
    """Return what scVI says, trained once by another interpreter, of the two matrices that it will be asked about."""
    asked = [task.seen, thinned_again(task)[0]]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sparse.save_npz(folder / "reference.npz", task.reference)
        for i, counts in enumerate(asked):
            sparse.save_npz(folder / f"query_{i}.npz", counts)
        np.save(folder / "seed.npy", np.array(task.seed))
        script = Path(__file__).with_name("peer_scvi.py")
        environment = {**os.environ, "PYTHONPATH": ""}
        done = subprocess.run(
            [str(python), str(script), str(folder)], capture_output=True, text=True, env=environment, check=False
        )
        if done.returncode:
            raise SystemExit(f"scVI failed:\n{done.stderr[-3000:]}")
        said = [rows_to_one(np.load(folder / f"expression_{i}.npy").astype(np.float64)) for i in range(len(asked))]
    return lambda counts: next(p for known, p in zip(asked, said, strict=True) if (known != counts).nnz == 0)


def improved(name: str, predict: Predict, task: Task) -> dict[str, Predict]:
    """Return a method as it is, with gene totals matched, shrunk to each cell's own counts, and with both."""

    def matched(counts: sparse.csr_matrix) -> np.ndarray:
        proportions = predict(counts)
        return scaled_by_gene(proportions, gene_factors(counts.sum(axis=0).A1, counts.sum(axis=1).A1 @ proportions))

    return {
        name: predict,
        f"{name} + totals": matched,
        f"{name} + own counts": shrunk(predict, task),
        f"{name} + totals + own counts": shrunk(matched, task),
    }


def shrunk(predict: Predict, task: Task) -> Predict:
    first, second = thinned_again(task)
    proportions = predict(first)
    losses = {s: np.nanmean(deviance(second, shrunk_to_counts(proportions, first, strength=s))) for s in STRENGTHS}
    strength = min(losses, key=losses.get)
    print(f"    chosen: strength {strength:g}", flush=True)
    return lambda counts: shrunk_to_counts(predict(counts), counts, strength=strength)


def thinned_again(task: Task) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    return thin_counts(task.seen, rng=task.seed + 2000)
