"""The ways to find units that `units.py` compares: each takes cells and a seed and returns a `Fitted`."""

import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA, FastICA

from scprism.units.fitting import fit_units
from scprism.units.inference import activity, activity_through
from units_data import Cells

N_UNITS = 15


@dataclass(frozen=True)
class Fitted:
    """Units of one fit: gene maps (units, genes), and a function that reads cells through the genes that are there."""

    genes: np.ndarray
    maps: np.ndarray
    reader: Callable[[sparse.csr_matrix, np.ndarray], np.ndarray]

    def read(self, cells: Cells) -> np.ndarray:
        """Return activities (cells, units); genes that the cells lack are left out."""
        position = pd.Index(cells.genes).get_indexer(self.genes)
        present = position >= 0
        values = sparse.csc_matrix(cells.log_values)[:, position[present]]
        to_own = sparse.csr_matrix(
            (np.ones(present.sum(), np.float32), (np.arange(present.sum()), np.flatnonzero(present))),
            shape=(int(present.sum()), len(self.genes)),
        )
        return self.reader(sparse.csr_matrix(values @ to_own), present)


def scprism_units(cells: Cells, seed: int) -> Fitted:
    units = fit_units(cells.log_values, rng=seed)
    maps = units.programs * units.gene_weights
    return Fitted(cells.genes, maps, lambda values, present: activity(units, values, present))


def through_programs(genes: np.ndarray, programs: np.ndarray, weights: np.ndarray | None = None) -> Fitted:
    """Return units read by non-negative least squares through programs (units, genes)."""
    weights = np.ones(programs.shape[1]) if weights is None else weights

    def reader(values: sparse.csr_matrix, present: np.ndarray) -> np.ndarray:
        part = programs.astype(np.float64) * present
        loadings = np.ascontiguousarray((part * weights**2).T)
        return activity_through(loadings, part @ loadings, values)

    return Fitted(genes, programs * weights, reader)


def nmf(n_units: int) -> Callable[[Cells, int], Fitted]:
    def fit(cells: Cells, seed: int) -> Fitted:
        model = NMF(n_units, init="random", random_state=seed, max_iter=400).fit(cells.log_values)
        return through_programs(cells.genes, model.components_)

    return fit


def linear(rotate: Callable[[np.ndarray, int], np.ndarray]) -> Callable[[Cells, int], Fitted]:
    """Return a method that rotates whitened principal components."""

    def fit(cells: Cells, seed: int) -> Fitted:
        pca = PCA(N_UNITS, svd_solver="arpack", random_state=seed)
        scores = pca.fit_transform(cells.log_values)
        spread = scores.std(axis=0)
        loadings = (pca.components_ / spread[:, None]).T @ rotate(scores / spread, seed)  # (genes, units)
        return Fitted(
            cells.genes, loadings.T, lambda values, present: values @ loadings - pca.mean_[present] @ loadings[present]
        )

    return fit


def varimax(scores: np.ndarray, _seed: int) -> np.ndarray:
    """Return the rotation of Kaiser (1958) for the scores, as in Rohe and Zeng (2023)."""
    rotation, last = np.eye(scores.shape[1]), 0.0
    for _ in range(200):
        turned = scores @ rotation
        left, size, right = np.linalg.svd(scores.T @ (turned**3 - turned * (turned**2).mean(axis=0)))
        rotation = left @ right
        if size.sum() < last * (1 + 1e-7):
            break
        last = size.sum()
    return rotation


def independent(scores: np.ndarray, seed: int) -> np.ndarray:
    ica = FastICA(scores.shape[1], whiten=False, random_state=seed, max_iter=500).fit(scores)
    return np.asarray(ica.components_).T


def cnmf_package(cells: Cells, seed: int) -> Fitted:
    """Return units of the package cnmf (Kotliar et al. 2019): 10 runs, density filter at 0.5, median spectra."""
    import anndata
    from cnmf import cNMF

    expressed = np.asarray((cells.counts > 0).sum(axis=0)).ravel() > 0
    nonempty = np.flatnonzero(np.asarray(cells.counts.sum(axis=1)).ravel() > 0)
    genes = [f"g{number}" for number in np.flatnonzero(expressed)]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "counts.h5ad"
        counts = sparse.csr_matrix(cells.counts[nonempty][:, expressed])
        names = pd.DataFrame(index=[str(number) for number in nonempty])
        anndata.AnnData(counts, obs=names, var=pd.DataFrame(index=genes)).write_h5ad(path)
        (Path(folder) / "genes.txt").write_text("\n".join(genes))
        job = cNMF(output_dir=folder, name="job")
        job.prepare(str(path), components=[N_UNITS], n_iter=10, seed=seed, genes_file=str(Path(folder) / "genes.txt"))
        job.factorize(worker_i=0, total_workers=1)
        job.combine()
        job.consensus(N_UNITS, density_threshold=0.5, show_clustering=False, close_clustergram_fig=True)
        _, _, spectra, _ = job.load_results(K=N_UNITS, density_threshold=0.5)
    table = spectra.T if spectra.shape[0] == len(genes) else spectra
    programs = np.zeros((len(table), len(cells.genes)))
    programs[:, expressed] = np.log1p(table.to_numpy() * 1e4 / table.to_numpy().sum(axis=1, keepdims=True))
    return through_programs(cells.genes, programs)


def cnmf_recipe(cells: Cells, seed: int) -> Fitted:
    """Return units of the recipe of cNMF on log values.

    Ten runs; programs far from their nearest neighbours are left out; k-means on programs of length 1; medians.
    """
    runs = [NMF(N_UNITS, init="random", random_state=100 * seed + run, max_iter=100, tol=0.0) for run in range(10)]
    programs = np.vstack([run.fit(cells.log_values).components_ for run in runs])
    programs = programs[programs.any(axis=1)]
    programs = programs / np.linalg.norm(programs, axis=1, keepdims=True)
    distances = np.sqrt(np.maximum(2 - 2 * programs @ programs.T, 0))
    density = np.sort(distances, axis=1)[:, 1:4].mean(axis=1)  # 0.3 of the ten runs
    kept = programs[density < 0.5]
    codes = KMeans(N_UNITS, n_init=10, random_state=seed).fit_predict(kept)
    medians = np.stack([np.median(kept[codes == code], axis=0) for code in range(N_UNITS)])
    return through_programs(cells.genes, medians[medians.any(axis=1)])


METHODS: dict[str, Callable[[Cells, int], Fitted]] = {
    "scprism units": scprism_units,
    "NMF 15": nmf(N_UNITS),
    "NMF 10": nmf(10),
    "PCA + varimax": linear(varimax),
    "ICA": linear(independent),
    "cNMF recipe": cnmf_recipe,
}
if find_spec("cnmf"):
    METHODS["cNMF package"] = cnmf_package
