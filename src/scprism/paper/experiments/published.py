"""Tables 1, 3 and 4 as Walbech et al., Cells 2022, 11, 85 (doi:10.3390/cells11010085) prints them."""

from typing import Literal

__all__ = ["GENE_COUNTS", "SHARED_TYPES", "TISSUES", "SharedTable"]

SharedTable = Literal["Table 3", "Table 4"]

GENE_COUNTS: dict[str, tuple[int, int, int]] = {
    "Tongue": (3904, 10757, 498),
    "Thymus": (3772, 7808, 726),
    "Spleen": (3708, 8798, 848),
    "Marrow": (3992, 10445, 771),
    "Liver": (3779, 6950, 653),
    "Kidney": (3762, 11645, 774),
    "Heart": (4130, 8081, 745),
    "Bladder": (3900, 10926, 653),
    "Mammary_Gland": (3969, 11495, 829),
    "Lung": (3974, 10666, 738),
    "Trachea": (4022, 10584, 822),
    "Limb_Muscle": (3968, 9202, 834),
}
"""Table 1: genes of each tissue in Smart-seq2, 10x Genomics and both combined by Seurat.

Tissues have the names of `scprism.paper.tabula_muris.names.tissue_name`; the paper prints other ones of some.
"""

TISSUES = tuple(GENE_COUNTS)
"""The paper's twelve tissues, in the order of Table 1."""

SHARED_TYPES: dict[SharedTable, dict[str, tuple[str, ...]]] = {
    "Table 3": {
        "Lung": ("T-cell", "B-cell", "Natural killer cell", "Monocyte"),
        "Liver": ("B-cell", "Natural killer cell"),
        "Limb_Muscle": ("T-cell", "B-cell"),
        "Thymus": ("T-cell", "B-cell"),
        "Spleen": ("T-cell", "B-cell"),
    },
    "Table 4": {
        "Bladder": ("Leukocyte", "Endothelial cell"),
        "Marrow": ("Monocyte", "Macrophage", "Natural killer cell", "T-cell", "B-cell"),
        "Thymus": ("T-cell", "Leukocyte"),
        "Trachea": ("Stromal cell", "Leukocyte", "Epithelial cell", "Endothelial cell"),
        "Spleen": ("B-cell", "Myeloid cell", "Natural killer cell", "T-cell"),
        "Kidney": ("Leukocyte", "Macrophage", "Endothelial cell"),
        "Liver": ("B-cell", "Leukocyte", "Natural killer cell"),
        "Mammary_Gland": ("Endothelial cell", "T-cell", "B-cell", "Macrophage"),
        "Limb_Muscle": ("Endothelial cell", "T-cell", "B-cell", "Macrophage"),
        "Heart": ("Endothelial cell", "Leukocyte"),
    },
}
"""Cell types that a tissue shares with Marrow (Table 3, Smart-seq2) and with Lung (Table 4, both platforms)."""
