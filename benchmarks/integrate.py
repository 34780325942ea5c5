"""Batch correction on sc_mixology: two platforms, five cell lines known by genotype, three of them on both platforms.

    python benchmarks/integrate.py                          the table; --only combat seurat for some rows, --seeds 1
    python benchmarks/integrate.py --data DIR               where sc_mixology.h5ad is

Each method's corrected expression is scored as it is (50 principal components) and as the latent of models trained on
it, once with negative values raised to zero and once with them kept. Scores are those of scib-metrics (pip install
scib-metrics): `batch` is the mean of BRAS, iLISI, kBET, graph connectivity and PCR comparison, `biology` of isolated
labels, KMeans NMI and ARI, label silhouette and cLISI; all lie in 0 … 1, more is better. Models: mean over seeds, and
the range. `seurat` needs R and Seurat, `scanorama` the package of that name. Genes: 2,000 variable ones, Seurat's own
choice for Seurat and scanpy's, within batches, for the others.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scanpy
from anndata import AnnData

import scprism
from scprism.integration.joined import corrected_cells, join_data_sets, log_values
from scprism.model.config import Config

N_GENES = 2000
ON_CORRECTED = replace(Config(), genes="all", normalise="none", likelihood="poisson", min_max_count=0.0)
METHODS = ("uncorrected", "combat", "scanorama", "seurat")


def scores(cells: AnnData, embeddings: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return scib-metrics' aggregate and single scores, an embedding a row."""
    from scib_metrics.benchmark import BatchCorrection, Benchmarker, BioConservation

    scored = AnnData(cells.X, obs=cells.obs[["platform", "cell_line"]].copy())
    scored.obsm.update(embeddings)
    benchmark = Benchmarker(
        scored, "platform", "cell_line", list(embeddings), bio_conservation_metrics=BioConservation(),
        batch_correction_metrics=BatchCorrection(), n_jobs=1, progress_bar=False,
        pre_integrated_embedding_obsm_key="before",
    )  # fmt: skip
    scored.obsm["before"] = pca(log_normalised(cells))
    benchmark.benchmark()
    table = benchmark.get_results(min_max_scale=False)
    return table.drop(index="Metric Type").astype(float).rename(columns=str)


def pca(values: np.ndarray) -> np.ndarray:
    return np.asarray(scanpy.pp.pca(np.asarray(values, dtype=np.float32), n_comps=50, random_state=0))


def log_normalised(cells: AnnData) -> np.ndarray:
    return uncorrected(cells).X


def uncorrected(cells: AnnData) -> AnnData:
    joined = join_data_sets([cells], batch="platform")
    values = log_values(joined, target_sum=1e4)
    return variable(corrected_cells(joined, values.toarray(), genes=joined.genes, method="none"), cells)


def variable(corrected: AnnData, cells: AnnData) -> AnnData:
    """Return the genes that vary within batches before correction."""
    normal = AnnData(cells.X.astype(np.float32).copy(), obs=cells.obs, var=cells.var)
    scanpy.pp.normalize_total(normal, target_sum=1e4)
    scanpy.pp.log1p(normal)
    table = scanpy.pp.highly_variable_genes(normal, n_top_genes=N_GENES, batch_key="platform", inplace=False)
    return corrected[:, normal.var_names[table["highly_variable"].to_numpy()]].copy()


def corrected(cells: AnnData, method: str) -> AnnData:
    if method == "uncorrected":
        return uncorrected(cells)
    result = scprism.integrate([cells], batch="platform", method=method)
    return result if method == "seurat" else variable(result, cells)


def model_latents(name: str, fit: Callable[[int], np.ndarray], *, seeds: int) -> dict[str, np.ndarray]:
    return {f"{name} #{seed}": fit(seed) for seed in range(seeds)}


def method_latents(values: AnnData, method: str, *, seeds: int) -> dict[str, np.ndarray]:
    latents = {f"{method}, PCA": pca(values.X)}
    for negative in ("clip", "keep"):
        if negative == "keep" and not (values.X < 0).any():
            continue
        config = replace(ON_CORRECTED, negative_values=negative)
        fit = lambda seed, config=config: scprism.Prism(config, rng=seed).fit(values).embed(values)  # noqa: E731
        latents |= model_latents(f"{method}, model, {negative}", fit, seeds=seeds)
    return latents


def summarised(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean and range over seeds."""
    names = {"Batch correction": "batch", "Bio conservation": "biology", "Total": "total"}
    groups = table.groupby([str(i).split(" #")[0] for i in table.index], sort=False)
    rows = {}
    for name, rows_of in groups:
        rows[name] = {}
        for column, short in names.items():
            low, high = rows_of[column].min(), rows_of[column].max()
            spread = f" ({low:.2f}–{high:.2f})" if len(rows_of) > 1 else ""
            rows[name][short] = f"{rows_of[column].mean():.3f}{spread}"
        rows[name] |= {column: f"{rows_of[column].mean():.2f}" for column in table if column not in names}
    return pd.DataFrame(rows).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--only", nargs="+", default=[*METHODS, "counts"])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    cells = anndata.read_h5ad(arguments.data / "sc_mixology.h5ad")
    latents = {}
    for method in arguments.only:
        start = time.monotonic()
        if method == "counts":
            fit = lambda seed: scprism.Prism(genes=f"variable:{N_GENES}", rng=seed).fit(cells).embed(cells)  # noqa: E731
            latents |= model_latents("counts, default model", fit, seeds=arguments.seeds)
            continue
        values = corrected(cells, method)
        seconds = time.monotonic() - start
        below = (values.X < 0).mean()
        print(
            f"{method}: {seconds:.0f} s, {values.n_vars:,} genes, {below:.1%} of values below 0, lowest "
            f"{values.X.min():.2f}"
        )
        latents |= method_latents(values, method, seeds=arguments.seeds)
    table = scores(cells, latents)
    with pd.option_context("display.width", 250, "display.max_columns", None):
        print(summarised(table).to_string())


if __name__ == "__main__":
    main()
