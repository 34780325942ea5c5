"""Networks of a reference, trained once and kept, and the latents of a pair's cells in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from anndata import AnnData
from scipy import sparse

import scprism
from one_reference.cells import PARTS, read_part
from one_reference.task import Task, hallmark, variable_genes
from scprism.label.simulated_platforms import PLATFORMS, measured_by
from scprism.model.config import Config
from scprism.train import batches, loop

__all__ = ["latents", "network"]


SETTINGS: dict[str, dict[str, float]] = {
    "no gene dropout": {"gene_dropout": 0.0},
    "no dropout": {"gene_dropout": 0.0, "input_dropout": 0.0},
}
"""What a network's training is without; "clean" is the default's, "noisy" the same with platforms."""


class PlatformDropout(batches.Dropout):
    """Dropout of cells that another platform measured: each batch's genes scaled by efficiencies, targets as they are.

    An efficiency is lognormal; the standard deviation of its logarithm is drawn between 0 and 1 for each batch.
    """

    def apply(self, inputs: sparse.csr_matrix) -> tuple[sparse.csr_matrix, np.ndarray | None]:
        """Return inputs by another platform, with less in them, and what is to be added to each cell."""
        return super().apply(by_platform(inputs, self.rng))


def by_platform(inputs: sparse.csr_matrix, rng: np.random.Generator) -> sparse.csr_matrix:
    """Return log1p counts per 10,000 with each gene's counts scaled, and each cell's sum as before."""
    efficiency = np.exp(rng.uniform(0, 1) * rng.standard_normal(inputs.shape[1])).astype(np.float32)
    counts = np.expm1(inputs.data)
    scaled = counts * efficiency[inputs.indices]
    cells = np.repeat(np.arange(inputs.shape[0]), np.diff(inputs.indptr))
    before, after = (np.bincount(cells, weights=v, minlength=inputs.shape[0]) for v in (counts, scaled))
    back = np.divide(before, after, out=np.ones_like(before), where=after > 0)
    data = np.log1p(scaled * back[cells]).astype(np.float32)
    return sparse.csr_matrix((data, inputs.indices, inputs.indptr), shape=inputs.shape)


@contextmanager
def training_noise(kind: str) -> Iterator[None]:
    plain = loop.Dropout
    if kind == "noisy":
        loop.Dropout = PlatformDropout
    try:
        yield
    finally:
        loop.Dropout = plain


def genes_of_network(name: str, genes: str, folder: Path) -> list[str]:
    parts = {"hallmark": hallmark(PARTS[name].species)}
    if "variable" in genes:
        parts["variable"] = variable_genes(name, folder, orthologs_only=False)
    there = set(read_part(name, folder).genes.tolist())
    return sorted(frozenset().union(*(parts[part] for part in genes.split("+"))) & there)


@cache
def network(name: str, genes: str, noise: str, seed: int, folder: Path, kept: Path) -> scprism.Prism:
    """Return the network of a reference, from the disk if it is there."""
    place = kept / f"{name}-{genes}-{noise}-{seed}".replace(" ", "_")
    if place.is_dir():
        return scprism.load(place)
    cells = read_part(name, folder)
    data = AnnData(cells.counts)
    data.var_names = cells.genes.tolist()
    config = Config(library="all" if "+" in genes else "recipe", **SETTINGS.get(noise, {}))
    model = scprism.Prism(
        config,
        genes=genes_of_network(name, genes, folder),
        organism=PARTS[name].species,
        rng=seed,
        device="cpu",
    )
    with training_noise(noise):
        model.fit(data)
    model.save(place)
    return model


def seen(counts: sparse.csr_matrix, columns: np.ndarray, names: np.ndarray) -> AnnData:
    """Return cells whose other genes have names that no network knows: they count for the library alone."""
    genes = np.array([f"other-{i}" for i in range(counts.shape[1])], dtype=object)
    genes[columns] = names
    cells = AnnData(counts)
    cells.var_names = genes.tolist()
    return cells


def latents(
    task: Task, *, genes: str, noise: str, seed: int, kept: Path, copies: bool = False
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return the latents of labelled reference cells, of scored query cells, and of the copied cells by each platform.

    All are seen through the genes that both sides have.
    """
    model = network(task.pair.reference, genes, noise, seed, task.folder, kept)
    organism = PARTS[task.pair.reference].species

    def embedded(counts: sparse.csr_matrix, columns: np.ndarray) -> np.ndarray:
        cells = seen(counts, columns, task.genes)
        return model.embed(cells, organism=organism, min_coverage=0.0)

    own = task.reference.counts[task.labelled]
    z = embedded(own, task.columns[0])
    z_query = embedded(task.query.counts[task.scored], task.columns[1])
    moved = []
    for platform in PLATFORMS if copies else ():
        copy = measured_by(platform, own[task.copied], task.reference.genes, keys=task.keys[task.copied])
        moved.append(embedded(copy, task.columns[0]))
    return z, z_query, moved
