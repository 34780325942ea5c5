"""What a method is given and what it is scored on: cells whose molecules are split, and cells of a reference."""

from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

import scprism
from scprism.paper.measures.denoise import thin_counts
from scprism.query.view import open_query

__all__ = ["LABELS", "Task", "prepare", "read"]

LABELS = {"tm_facs_kidney": "cell_ontology_class", "mouse_lung_immune": "Major_cell_type"}
"""Columns of the labels, where they are not ``cell_type``."""


@dataclass(frozen=True)
class Task:
    """The model, what was kept of each cell and what was held out, and the reference, in the genes that both have.

    Attributes
    ----------
    labels
        Type of each cell by those who published it, empty where there is none; no method sees it.
    """

    model: scprism.Prism
    genes: tuple[str, ...]
    seen: sparse.csr_matrix
    held_out: sparse.csr_matrix
    reference: sparse.csr_matrix
    labels: np.ndarray
    foreign: bool
    seed: int


def read(pair: str, folder: Path) -> tuple[AnnData, AnnData | None, np.ndarray]:
    """Return the reference, the query if there is one, and the labels of the cells that are denoised."""
    names = pair.split(":")
    data = [anndata.read_h5ad(folder / f"{name}.h5ad") for name in names]
    labels = data[-1].obs[LABELS.get(names[-1], "cell_type")].astype(object)
    labels = labels.where(labels.notna() & (labels != "NA"), "").to_numpy(dtype=str)
    return data[0], data[1] if len(data) > 1 else None, labels


def prepare(reference: AnnData, query: AnnData | None, labels: np.ndarray, *, share: float, seed: int) -> Task:
    """Return the task within one data set (no query), or with a model of the reference and another's cells."""
    rng = np.random.default_rng(seed)
    cells = reference if query is None else query
    first, second = (
        AnnData(part, obs=cells.obs.copy(), var=pd.DataFrame(index=cells.var_names))
        for part in thin_counts(sparse.csr_matrix(cells.X), share=share, rng=rng)
    )
    known = first if query is None else reference
    model = scprism.Prism(rng=seed).fit(known)
    recipe, config = model.recipe, model.config

    def aligned(data: AnnData) -> sparse.csr_matrix:
        opened = open_query(data, recipe, config, min_coverage=0.0)
        return sparse.vstack([chunk.counts for chunk in opened.chunks()], format="csr")

    present = open_query(first, recipe, config, min_coverage=0.0).alignment.gene_map.present
    seen, held_out, of_reference = (aligned(data)[:, present] for data in (first, second, known))
    filled = (np.asarray(seen.sum(axis=1)).ravel() > 0) & (np.asarray(held_out.sum(axis=1)).ravel() > 0)
    genes = tuple(np.asarray(recipe.genes)[present])
    return Task(model, genes, seen[filled], held_out[filled], of_reference, labels[filled], query is not None, seed)
