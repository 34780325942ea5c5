"""Figures for papers and notebooks, of the numbers that the report shows: each takes a table and returns the Axes.

    from scprism.figures import plot_embedding
    ax = plot_embedding(cells, colour="prism_label")
    ax.figure.savefig("cells.pdf")

They draw on the axes that they are given, or on a new figure whose size fits what is drawn; nothing is shown or saved.
Colours stay apart for colour-blind readers. Gene sets are named in words: "E2F targets" for ``HALLMARK_E2F_TARGETS``.
"""

from scprism.figures.cells import plot_composition, plot_embedding
from scprism.figures.labels import plot_calibration, plot_confidence, plot_confusion
from scprism.figures.training import plot_coverage, plot_training
from scprism.figures.units import (
    plot_comparison,
    plot_enrichment,
    plot_pathways,
    plot_sets_per_unit,
    plot_unit_genes,
    plot_units_by_label,
)

__all__ = [
    "plot_calibration",
    "plot_comparison",
    "plot_composition",
    "plot_confidence",
    "plot_confusion",
    "plot_coverage",
    "plot_embedding",
    "plot_enrichment",
    "plot_pathways",
    "plot_sets_per_unit",
    "plot_training",
    "plot_unit_genes",
    "plot_units_by_label",
]
