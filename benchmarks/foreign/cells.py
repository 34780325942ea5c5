"""The real data sets, their labels in common words, and the ordered pairs that share labels."""

import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData

from scprism.errors import PrismWarning
from scprism.paper.measures.ontology import harmonise

MIN_CELLS = 5
"""A type counts for a pair if both sides have this many cells of it."""


@dataclass(frozen=True)
class Part:
    """A data set, or the cells of it that have some value in a column."""

    file: str
    labels: str
    where: tuple[str, str] | None = None


PARTS = {
    "tm_droplet": Part("tm_droplet_immune", "cell_type"),
    "zilionis": Part("mouse_lung_immune", "Major_cell_type"),
    "pbmc3k": Part("pbmc3k", "cell_type"),
    "kang": Part("pbmc_kang", "cell_type"),
    "kidney": Part("tm_facs_kidney", "cell_ontology_class"),
    "baron": Part("baron_human1", "cell_type"),
    "liver": Part("tms_facs_liver", "cell_ontology_class"),
    "spleen": Part("tm_droplet_immune", "cell_type", ("tissue_inferred", "Spleen")),
    "marrow": Part("tm_droplet_immune", "cell_type", ("tissue_inferred", "Marrow")),
    "lung": Part("tm_droplet_immune", "cell_type", ("tissue_inferred", "Lung")),
    "healthy": Part("mouse_lung_immune", "Major_cell_type", ("Tissue", "healthy")),
    "tumour": Part("mouse_lung_immune", "Major_cell_type", ("Tissue", "tumor")),
    "celseq2": Part("sc_mixology", "cell_line", ("platform", "CEL-seq2")),
    "dropseq": Part("sc_mixology", "cell_line", ("platform", "Drop-seq")),
}
SPECIES = {
    "human": {"pbmc3k", "kang", "baron", "celseq2", "dropseq"},
}
GROUPS = (
    # sets that are compared with one another, and what separates them
    (("tm_droplet", "zilionis", "pbmc3k", "kang", "kidney", "baron", "liver"), "data set"),
    (("spleen", "marrow", "lung"), "tissue"),
    (("healthy", "tumour"), "condition"),
    (("celseq2", "dropseq"), "platform"),
)
SUBTYPES = {
    # the finest level on which pbmc3k and Kang et al. both tell cells apart, by names of the Cell Ontology
    "CD4-positive, alpha-beta T cell": "CD4 T cell",
    "CD4-positive, alpha-beta memory T cell": "CD4 T cell",
    "naive thymus-derived CD4-positive, alpha-beta T cell": "CD4 T cell",
    "CD8-positive, alpha-beta T cell": "CD8 T cell",
    "megakaryocyte": "platelet",
}


@dataclass(frozen=True)
class Pair:
    """A reference, a query, what separates them, and the level of detail of the labels.

    Attributes
    ----------
    kind
        ``"same species"``, ``"across species"``, ``"tissue"``, ``"condition"`` or ``"platform"``.
    fine
        Compare subtypes (CD4 and CD8 T cells) where both sides tell them apart.
    """

    reference: str
    query: str
    kind: str
    fine: bool = False

    @property
    def name(self) -> str:
        """The name in tables and keys."""
        return f"{self.reference}>{self.query}{':fine' if self.fine else ''}"


def read_part(name: str, folder: Path) -> AnnData:
    """Return the cells of a part; do not change them."""
    part = PARTS[name]
    cells = _read(folder / f"{part.file}.h5ad")
    if part.where is None:
        return cells
    column, value = part.where
    return cells[(cells.obs[column] == value).to_numpy()].copy()


@cache
def _read(path: Path) -> AnnData:
    return anndata.read_h5ad(path)


def labels_of(name: str, cells: AnnData, *, fine: bool) -> np.ndarray:
    """Return each cell's type in common words, empty for cells without one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)  # cell lines are not in the table, and keep their names
        words = harmonise(cells.obs[PARTS[name].labels], level="ontology" if fine else "coarse")
    return words.fillna("").replace(SUBTYPES if fine else {}).to_numpy(dtype=str)


def shared_types(reference: np.ndarray, query: np.ndarray) -> list[str]:
    """Return the types of which both sides have at least `MIN_CELLS` cells."""
    counts = [pd.Series(side[side != ""]).value_counts() for side in (reference, query)]
    return sorted(set.intersection(*(set(c.index[c >= MIN_CELLS]) for c in counts)))


def all_pairs(folder: Path) -> list[Pair]:
    """Return the ordered pairs with at least two types in common."""
    pairs = []
    for names, kind in GROUPS:
        cells = {name: read_part(name, folder) for name in names}
        labels = {(n, fine): labels_of(n, cells[n], fine=fine) for n in names for fine in (False, True)}
        for a in names:
            for b in names:
                if a == b or len(shared_types(labels[a, False], labels[b, False])) < 2:
                    continue
                crosses = (a in SPECIES["human"]) != (b in SPECIES["human"])
                apart = kind if kind != "data set" else "across species" if crosses else "same species"
                pairs.append(Pair(a, b, apart))
                if {a, b} == {"pbmc3k", "kang"}:
                    pairs.append(replace(pairs[-1], fine=True))
    return pairs
