"""The latent space in two dimensions."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from scprism._random import random_generator
from scprism._torch import torch
from scprism.label.neighbours import neighbour_finder, scaling_of
from scprism.model.config import Config
from scprism.types import FloatArray, RNGLike

__all__ = ["Projection", "principal_components", "project", "project_latent"]

PROJECTION_SEED = 0
MIN_CELLS = 15
"""Neighbours that UMAP looks at for each cell; with fewer cells it says nothing that principal components do not."""


@dataclass(frozen=True)
class Projection:
    """Cells in two dimensions.

    Attributes
    ----------
    coordinates
        float32 (cells, 2).
    method
        What drew them: ``"UMAP"``, ``"t-SNE"`` or ``"PCA"``.
    note
        Why another method than the one asked for, as a sentence; empty if it is that one.
    """

    coordinates: FloatArray
    method: Literal["UMAP", "t-SNE", "PCA"]
    note: str = ""


def project(
    latent: FloatArray,
    *,
    method: Literal["umap", "tsne"] = "umap",
    metric: Literal["cosine", "euclidean"] = "euclidean",
    rng: RNGLike = None,
) -> Projection:
    """Return cells in two dimensions, near where their neighbours in the latent space are.

    Principal components start UMAP (McInnes et al. 2018) and t-SNE (van der Maaten & Hinton 2008), which keeps more of
    the large-scale arrangement than a random start (Kobak & Linderman 2021). With fewer than 15 cells, or where fewer
    than three directions vary, the principal components themselves are returned.

    Parameters
    ----------
    latent
        Latent values on the scale in which distances count, (cells, units).
    metric
        Distance between cells.
    rng
        Same seed, same data, same machine: same coordinates.
    """
    seed = int(random_generator(rng).integers(2**31))
    components, n_directions = principal_components(latent)
    name: Literal["UMAP", "t-SNE"] = "UMAP" if method == "umap" else "t-SNE"
    if len(latent) < MIN_CELLS:
        note = (
            f"{name} needs at least {MIN_CELLS} cells and there are {len(latent)}, so principal components are shown."
        )
        return _flat(components, n_directions, note=note, seed=seed)
    if n_directions < 3:
        note = f"Fewer than three directions of the latent space vary, so they are shown as they are, without {name}."
        return _flat(components, n_directions, note=note, seed=seed)
    start = (components[:, :2] / components[:, 0].std()).astype(np.float32)
    draw = _umap if method == "umap" else _tsne
    return Projection(draw(latent, start, metric, seed).astype(np.float32), name)


def project_latent(latent: FloatArray, config: Config) -> Projection:
    """Return cells by UMAP of a model's latent, (cells, latent values), on the scale on which labels are found.

    Same values, same machine: same coordinates.
    """
    scaled = scaling_of(latent).apply(latent) if config.standardise_latent else latent
    return project(scaled, method="umap", metric=config.metric, rng=PROJECTION_SEED)


def principal_components(latent: FloatArray) -> tuple[FloatArray, int]:
    """Return the first two principal components, float64 (cells, 2), and how many directions vary at all.

    Each component points to where its largest loading is positive.
    """
    values = latent.astype(np.float64)
    values -= values.mean(axis=0)
    variance, directions = np.linalg.eigh(values.T @ values)
    variance, directions = variance[::-1], directions[:, ::-1]
    n_directions = int((variance > 1e-10 * max(variance[0], 1e-30)).sum())
    directions = directions[:, :2] * np.sign(
        directions[np.abs(directions[:, :2]).argmax(axis=0), [0, 1][: directions.shape[1]]]
    )
    components = np.zeros((len(values), 2))
    components[:, : directions.shape[1]] = values @ directions
    return components, n_directions


def _flat(components: FloatArray, n_directions: int, *, note: str, seed: int) -> Projection:
    coordinates = components.astype(np.float32)
    if n_directions < 2:
        coordinates[:, 1] = np.random.default_rng(seed).uniform(-0.5, 0.5, len(coordinates))
        note += " The vertical position is random, so that cells do not hide one another."
    return Projection(coordinates, "PCA", note)


def _umap(latent: FloatArray, start: FloatArray, metric: Literal["cosine", "euclidean"], seed: int) -> FloatArray:
    n_neighbours = min(MIN_CELLS, len(latent) - 1)
    # exact neighbours cost less here than compiling the package's own search
    nearest = neighbour_finder(latent, metric=metric, exact=True)(latent, n_neighbours)
    with warnings.catch_warnings():
        # it announces at import that its TensorFlow part is missing, and here that new cells could not be added
        warnings.simplefilter("ignore", ImportWarning)
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]", category=UserWarning)
        from umap import UMAP  # takes seconds, and t-SNE does without

        model = UMAP(
            n_neighbors=n_neighbours,
            metric=metric,
            init=start,
            precomputed_knn=(nearest.cell, nearest.distance),
            random_state=seed,
            n_jobs=1,
        )
        n_threads = torch.get_num_threads()
        try:
            return np.asarray(model.fit_transform(latent))
        finally:
            torch.set_num_threads(
                n_threads
            )  # numba sets OpenMP's, and the next training would differ in its last digits


def _tsne(latent: FloatArray, start: FloatArray, metric: Literal["cosine", "euclidean"], seed: int) -> FloatArray:
    perplexity = min(30.0, (len(latent) - 1) / 3)
    model = TSNE(perplexity=perplexity, metric=metric, init=1e-4 * start, random_state=seed)
    with threadpool_limits(1):  # threads add up forces in an order of their own, and the same seed would differ
        return np.asarray(model.fit_transform(latent))
