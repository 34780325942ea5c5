"""The data sets, their labels in common words, the ordered pairs, and which of them choices were made on."""

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from scprism.errors import PrismWarning
from scprism.paper.measures.ontology import harmonise

__all__ = ["FAMILIES", "PARTS", "Cells", "Pair", "all_pairs", "group_of", "read_part"]

MIN_CELLS = 5
"""A type counts for a pair if both sides have this many cells of it."""


@dataclass(frozen=True)
class Part:
    """A data set, or the cells of it that have some value in a column.

    Choices are made on the data sets of the side "choose", and confirmed on those of "confirm".
    """

    file: str
    labels: str
    species: str
    side: Literal["choose", "confirm"]
    where: tuple[str, str] | None = None


PARTS = {
    "kang": Part("pbmc_kang", "cell_type", "human", "choose"),
    "ifnb_ctrl": Part("ifnb_2800", "cell_type", "human", "choose", ("condition", "CTRL")),
    "ifnb_stim": Part("ifnb_2800", "cell_type", "human", "choose", ("condition", "STIM")),
    "tm_droplet": Part("tm_droplet_immune", "cell_type", "mouse", "choose"),
    "baron_mouse": Part("baron_mouse", "cell_type", "mouse", "choose"),
    "kidney": Part("tm_facs_kidney", "cell_ontology_class", "mouse", "choose"),
    "celseq2": Part("sc_mixology", "cell_line", "human", "choose", ("platform", "CEL-seq2")),
    "dropseq": Part("sc_mixology", "cell_line", "human", "choose", ("platform", "Drop-seq")),
    "spleen": Part("tm_droplet_immune", "cell_type", "mouse", "choose", ("tissue_inferred", "Spleen")),
    "marrow": Part("tm_droplet_immune", "cell_type", "mouse", "choose", ("tissue_inferred", "Marrow")),
    "lung": Part("tm_droplet_immune", "cell_type", "mouse", "choose", ("tissue_inferred", "Lung")),
    "pbmc3k": Part("pbmc3k", "cell_type", "human", "confirm"),
    "nsclc": Part("zilionis_human_nsclc", "cell_type", "human", "confirm"),
    "mouse_lung": Part("mouse_lung_immune", "Major_cell_type", "mouse", "confirm"),
    "baron": Part("baron_human1", "cell_type", "human", "confirm"),
    "healthy": Part("mouse_lung_immune", "Major_cell_type", "mouse", "confirm", ("Tissue", "healthy")),
    "tumour": Part("mouse_lung_immune", "Major_cell_type", "mouse", "confirm", ("Tissue", "tumor")),
    "stroma": Part("mouse_marrow_stroma", "cell_type", "mouse", "confirm"),
    "liver": Part("tms_facs_liver", "cell_ontology_class", "mouse", "confirm"),
}
FAMILIES = (
    ("kang", "ifnb_ctrl", "ifnb_stim", "tm_droplet", "pbmc3k", "nsclc", "mouse_lung"),
    ("baron", "baron_mouse"),
    ("kidney", "baron"),
    ("kidney", "baron_mouse"),
    ("celseq2", "dropseq"),
    ("spleen", "marrow", "lung"),
    ("healthy", "tumour"),
)
OVERLAPPING = {"kang", "ifnb_ctrl", "ifnb_stim"}
"""Of one experiment, with cells in common: only its two conditions are compared."""
FINE = {"kang", "ifnb_ctrl", "ifnb_stim", "pbmc3k"}
COARSE_WORDS = {
    "CD4 Naive T": "T cell",
    "CD4 Memory T": "T cell",
    "T activated": "T cell",
    "B Activated": "B cell",
    "Mk": "platelet",
    "tT cells": "T cell",
    "bT cells": "T cell",
    "tB cells": "B cell",
    "bB cells": "B cell",
    "tNK cells": "NK cell",
    "bNK cells": "NK cell",
    "bNeutrophils": "granulocyte",
    "tNeutrophils": "granulocyte",
    "bMonocytes": "monocyte",
    "tPlasma cells": "plasma cell",
    "tMast cells": "mast cell",
    **{f"Patient{i}-specific": "tumour cell" for i in range(1, 8)},
    # broader than a type, or of a handful of cells
    **dict.fromkeys(["tMoMacDC", "tpDC", "bBasophils", "bMyeloid precursor-like", "ND", "immune_other", "Eryth"], ""),
}
FINE_WORDS = {
    "CD4 T cells": "CD4 T cell",
    "Naive CD4 T": "CD4 T cell",
    "Memory CD4 T": "CD4 T cell",
    "CD4 Naive T": "CD4 T cell",
    "CD4 Memory T": "CD4 T cell",
    "CD8 T cells": "CD8 T cell",
    "CD8 T": "CD8 T cell",
    "T activated": "",
    "CD14+ Monocytes": "classical monocyte",
    "CD14+ Mono": "classical monocyte",
    "CD14 Mono": "classical monocyte",
    "FCGR3A+ Monocytes": "non-classical monocyte",
    "FCGR3A+ Mono": "non-classical monocyte",
    "CD16 Mono": "non-classical monocyte",
    "pDC": "plasmacytoid dendritic cell",
    "Eryth": "",
}
FINEST_WORDS = {
    "Naive CD4 T": "CD4 naive T cell",
    "CD4 Naive T": "CD4 naive T cell",
    "Memory CD4 T": "CD4 memory T cell",
    "CD4 Memory T": "CD4 memory T cell",
    "T activated": "activated T cell",
    "B Activated": "activated B cell",
}
LEVELS = ("coarse", "fine", "finest")


@dataclass(frozen=True)
class Pair:
    """A reference, a query, and the level of detail of the labels."""

    reference: str
    query: str
    level: str = "coarse"

    @property
    def name(self) -> str:
        """The name in tables and keys."""
        return f"{self.reference}>{self.query}" + ("" if self.level == "coarse" else f":{self.level}")

    @property
    def crosses(self) -> bool:
        """Whether the two are of different species."""
        return PARTS[self.reference].species != PARTS[self.query].species


@dataclass(frozen=True)
class Cells:
    """Counts of a data set, csr float32 (cells, genes), genes sorted by name; labels at each level, "" for none."""

    name: str
    counts: sparse.csr_matrix
    genes: np.ndarray
    labels: dict[str, np.ndarray]


@cache
def read_part(name: str, folder: Path) -> Cells:
    """Return the cells of a part."""
    part = PARTS[name]
    cells = anndata.read_h5ad(folder / f"{part.file}.h5ad")
    if part.where is not None:
        cells = cells[(cells.obs[part.where[0]] == part.where[1]).to_numpy()].copy()
    keep = ~cells.var_names.str.startswith("ERCC-") & ~cells.var_names.duplicated()
    genes = cells.var_names[keep].to_numpy(dtype=str)
    order = np.argsort(genes)
    counts = sparse.csr_matrix(cells.X, dtype=np.float32)[:, np.flatnonzero(keep)[order]]
    counts.sort_indices()
    return Cells(name, counts, genes[order], _labels(cells.obs[part.labels].astype(str)))


def _labels(raw: pd.Series) -> dict[str, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)  # labels that the table lacks are mapped here
        coarse = harmonise(raw).fillna("").astype(str)
    coarse = coarse.replace(COARSE_WORDS)
    fine = pd.Series([FINE_WORDS.get(label, word) for label, word in zip(raw, coarse, strict=True)])
    finest = pd.Series([FINEST_WORDS.get(label, word) for label, word in zip(raw, fine, strict=True)])
    return {level: s.to_numpy(dtype=str) for level, s in zip(LEVELS, (coarse, fine, finest), strict=True)}


def shared_types(reference: np.ndarray, query: np.ndarray) -> list[str]:
    """Return the types of which both sides have at least `MIN_CELLS` cells, sorted."""
    counts = [pd.Series(side[side != ""]).value_counts() for side in (reference, query)]
    return sorted(set.intersection(*(set(c.index[c >= MIN_CELLS]) for c in counts)))


def all_pairs(folder: Path) -> list[Pair]:
    """Return the ordered pairs with at least two types in common."""
    pairs = []
    for family in FAMILIES:
        for a in family:
            for b in family:
                one_experiment = {a, b} <= OVERLAPPING and "kang" in {a, b}
                if a == b or one_experiment:
                    continue
                levels = ["coarse"]
                if {a, b} <= FINE:
                    levels.append("fine" if "kang" in {a, b} else "finest")
                known = {level: [read_part(n, folder).labels[level] for n in (a, b)] for level in levels}
                pairs += [Pair(a, b, level) for level in levels if len(shared_types(*known[level])) >= 2]
    return pairs


def group_of(pair: Pair) -> str:
    """Return whether choices were made on both sides of a pair, on one, or on none."""
    sides = {PARTS[pair.reference].side, PARTS[pair.query].side}
    return "one side new" if len(sides) == 2 else sides.pop()
