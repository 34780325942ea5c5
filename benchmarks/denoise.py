"""Denoising scored by molecules that no method has seen, against PCA, kNN smoothing, MAGIC and scVI.

    python benchmarks/denoise.py baron_human1                          within: trained on the cells' first part
    python benchmarks/denoise.py tm_droplet_immune:mouse_lung_immune   foreign: trained on the first data set
    … --share 0.9        a tenth of the molecules held out, instead of half
    … --seeds 3          thinnings, each with a model of its own; mean and standard deviation are printed
    … --only own PCA     rows whose names begin so

A method gets one part of each cell's molecules and is scored on the others, in the genes of our model that the cells
have: multinomial deviance a molecule, and mean squared error of log1p counts per million. `own counts` does not
denoise, `mean profile` gives every cell the same. `by reference` is learned on other cells and applied unchanged, `on
itself` is learned on the very cells that are denoised. What a method leaves open (rank, scale and share of the mean
profile of PCA, neighbours, strength of the shrinkage) is chosen by molecular cross-validation inside the first part.
MAGIC and scVI are rows where their packages (magic-impute, scvi-tools) are installed.
"""

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors

import scprism
from scprism.evaluate.denoise import deviance, log_error, matched_to_totals, mixed, shrunk_to_counts, thin_counts
from scprism.transfer.query import open_query

Predict = Callable[[sparse.csr_matrix], np.ndarray]
"""Proportions (cells, genes) from counts of the same shape; rows add up to 1."""

SHARES = (0.0, 0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7)
RANKS = (2, 5, 10, 20, 30, 50)
NEIGHBOURS = (5, 15, 40, 100)
STRENGTHS = (30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5)


@dataclass(frozen=True)
class Task:
    """The model, what was kept of each cell and what was held out, and the reference, in the genes that both have."""

    model: scprism.Prism
    genes: tuple[str, ...]
    seen: sparse.csr_matrix
    held_out: sparse.csr_matrix
    reference: sparse.csr_matrix
    foreign: bool
    seed: int


def rows_to_one(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(values.sum(axis=1, keepdims=True), 1e-12)


def background(counts: sparse.csr_matrix) -> np.ndarray:
    total = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() + 0.5
    return total / total.sum()


def prepare(reference: AnnData, query: AnnData | None, *, share: float, seed: int) -> Task:
    """Return the task within one data set (no query), or with a model of the reference and another's cells."""
    rng = np.random.default_rng(seed)
    cells = reference if query is None else query
    first, second = (
        AnnData(part, obs=cells.obs.copy(), var=pd.DataFrame(index=cells.var_names))
        for part in thin_counts(sparse.csr_matrix(cells.X), share=share, rng=rng)
    )
    known = first if query is None else reference
    model = scprism.Prism(rng=seed).fit(known)
    recipe, config = model.recipe_, model.config_

    def aligned(data: AnnData) -> sparse.csr_matrix:
        opened = open_query(data, recipe, config, min_coverage=0.0)
        return sparse.vstack([chunk.counts for chunk in opened.chunks()], format="csr")

    present = open_query(first, recipe, config, min_coverage=0.0).alignment.gene_map.present
    seen, held_out, of_reference = (aligned(data)[:, present] for data in (first, second, known))
    filled = (np.asarray(seen.sum(axis=1)).ravel() > 0) & (np.asarray(held_out.sum(axis=1)).ravel() > 0)
    genes = tuple(np.asarray(recipe.genes)[present])
    return Task(model, genes, seen[filled], held_out[filled], of_reference, query is not None, seed)


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


def ours(task: Task) -> Predict:
    def predict(counts: sparse.csr_matrix) -> np.ndarray:
        cells = AnnData(counts.astype(np.float32), var=pd.DataFrame(index=list(task.genes)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = task.model.denoise(cells, min_coverage=0.0, organism=task.model.recipe_.organism)
        place = {gene: i for i, gene in enumerate(task.model.recipe_.genes)}
        return rows_to_one(np.expm1(values[:, [place[g] for g in task.genes]].astype(np.float64)))

    return predict


def scvi(task: Task) -> Predict:
    import scvi as package

    package.settings.seed = task.seed
    known = AnnData(task.reference.astype(np.float32), var=pd.DataFrame(index=list(task.genes)))
    package.model.SCVI.setup_anndata(known)
    model = package.model.SCVI(known)
    model.train(
        max_epochs=int(min(400, 20000 / known.n_obs * 400)), early_stopping=True, accelerator="cpu",
        enable_progress_bar=False, logger=False,
    )  # fmt: skip

    def predict(counts: sparse.csr_matrix) -> np.ndarray:
        cells = AnnData(counts.astype(np.float32), var=pd.DataFrame(index=list(task.genes)))
        return rows_to_one(np.asarray(model.get_normalized_expression(cells, return_numpy=True), dtype=np.float64))

    return predict


def improved(name: str, predict: Predict, task: Task) -> dict[str, Predict]:
    """Return a method as it is, with gene totals matched, shrunk to each cell's own counts, and with both."""
    matched: Predict = lambda counts: matched_to_totals(predict(counts), counts)  # noqa: E731
    return {
        name: predict,
        f"{name} + totals": matched,
        f"{name} + own counts": shrunk(predict, task),
        f"{name} + totals + own counts": shrunk(matched, task),
    }


def shrunk(predict: Predict, task: Task) -> Predict:
    first, second = thin_counts(task.seen, rng=task.seed + 2000)
    proportions = predict(first)
    losses = {s: np.nanmean(deviance(second, shrunk_to_counts(proportions, first, strength=s))) for s in STRENGTHS}
    strength = min(losses, key=losses.get)
    print(f"    chosen: strength {strength:g}", flush=True)
    return lambda counts: shrunk_to_counts(predict(counts), counts, strength=strength)


def methods(task: Task) -> dict[str, Callable[[], dict[str, Predict]]]:
    """Return what makes the rows, by the beginning of their names; nothing is computed yet."""
    seen, seed, there = task.seen, task.seed, importlib.util.find_spec
    grid = [(rank, scale) for rank in RANKS for scale in ("sqrt", "log")]

    def by_pca(learned_on: sparse.csr_matrix | None, name: str) -> dict[str, Predict]:
        candidates = {f"rank {r}, {s}": pca(r, s, learned_on) for r, s in grid}
        return improved(name, chosen(candidates, seen if learned_on is None else learned_on, seed=seed), task)

    def by_knn(pool: sparse.csr_matrix | None, name: str) -> dict[str, Predict]:
        return {name: chosen({f"{k} neighbours": knn(k, pool) for k in NEIGHBOURS}, seen, seed=seed)}

    rows: dict[str, Callable[[], dict[str, Predict]]] = {
        "own": lambda: {"own counts": chosen({"own": lambda c: rows_to_one(c.toarray())}, seen, seed=seed)},
        "mean": lambda: {"mean profile": lambda c: np.tile(background(c), (c.shape[0], 1))},
        "kNN": lambda: by_knn(None, "kNN smoothing, on itself"),
        "PCA": lambda: by_pca(None, "PCA, on itself"),
        "scprism": lambda: improved("scprism" + (", by reference" if task.foreign else ""), ours(task), task),
    }
    if task.foreign:
        rows["kNN, by"] = lambda: by_knn(task.reference, "kNN smoothing, by reference")
        rows["PCA, by"] = lambda: by_pca(task.reference, "PCA, by reference")
    if there("magic") is not None:
        rows["MAGIC"] = lambda: {"MAGIC, on itself": chosen({"MAGIC": magic}, seen, seed=seed)}
    if there("scvi") is not None:
        rows["scVI"] = lambda: improved("scVI" + (", by reference" if task.foreign else ""), scvi(task), task)
    return rows


def scored(task: Task, only: list[str] | None) -> pd.DataFrame:
    rows = {}
    for start, make in methods(task).items():
        if only and not any(start.startswith(name) for name in only):
            continue
        for name, predict in make().items():
            begin = time.monotonic()
            proportions = predict(task.seen)
            seconds = time.monotonic() - begin
            losses = deviance(task.held_out, proportions), log_error(task.held_out, proportions)
            rows[name] = {"deviance": losses[0].mean(), "log error": losses[1].mean(), "seconds": seconds}
            print(f"  {name}: {losses[0].mean():.4f} {losses[1].mean():.4f}", flush=True)
    return pd.DataFrame(rows).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", help="DATA, or REFERENCE:QUERY")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    data = [anndata.read_h5ad(arguments.data / f"{name}.h5ad") for name in arguments.pair.split(":")]
    counts = sparse.csr_matrix(data[-1].X)
    print(
        f"{arguments.pair.split(':')[-1]}: median {np.median(counts.sum(axis=1).A1):,.0f} molecules a cell, "
        f"{(counts.data > 1).sum() / (counts.data > 0).sum():.0%} of the counts that are not 0 are above 1"
    )
    tables = []
    for seed in range(arguments.seeds):
        task = prepare(data[0], data[1] if len(data) > 1 else None, share=arguments.share, seed=seed)
        print(
            f"{arguments.pair}, seed {seed}: {task.seen.shape[0]:,} cells × {len(task.genes):,} genes, median "
            f"{np.median(task.seen.sum(axis=1).A1):,.0f} molecules seen a cell",
            flush=True,
        )
        tables.append(scored(task, arguments.only))
    joined = pd.concat(tables)
    table = joined.groupby(level=0, sort=False).agg(["mean", "std"]) if len(tables) > 1 else tables[0]
    print(f"\n{arguments.pair}, {arguments.share:g} of the molecules seen, {arguments.seeds} thinnings")
    print(table.to_string(float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    main()
