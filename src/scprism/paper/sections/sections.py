"""The section of each experiment, and what stands above them all."""

from collections.abc import Callable, Mapping

import pandas as pd

from scprism.paper.sections import (
    ablation,
    guided,
    orthogonality,
    pathways,
    released_penalty,
    stability,
    tissue_genes,
    untrained_sets,
)
from scprism.paper.sections.losses import loss_section
from scprism.paper.sections.mixing import mixing_section
from scprism.paper.sections.printed import shared_types_section, table1_section
from scprism.paper.sections.regularisation import regularisation_section
from scprism.paper.sections.section import Section
from scprism.paper.sections.transfer import combined_section, human_section, single_section
from scprism.paper.sections.unseen import no_overlap_section, umap_section

__all__ = ["SECTIONS"]

SECTIONS: dict[str, Callable[[Mapping[str, pd.DataFrame]], Section]] = {
    "table1": table1_section,
    "table2": regularisation_section,
    "shared-types": shared_types_section,
    "loss-matrix": loss_section,
    "umap": umap_section,
    "no-overlap": no_overlap_section,
    "knn-single": single_section,
    "knn-combined": combined_section,
    "integrate": mixing_section,
    "human": human_section,
    "pathways": pathways.section,
    "orthogonality": orthogonality.section,
    "tissue-genes": tissue_genes.section,
    "released-penalty": released_penalty.section,
    "guided": guided.section,
    "untrained-sets": untrained_sets.section,
    "stability": stability.section,
    "ablation": ablation.section,
}
"""By the names of the experiments; each gets the rows of all experiments that were asked for."""
