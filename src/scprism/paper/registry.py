"""All experiments by name, in the order in which they are reported."""

from collections.abc import Sequence

from scprism._check import check_choice
from scprism.paper.experiments.ablation import ABLATION
from scprism.paper.experiments.guided import GUIDED
from scprism.paper.experiments.integrate import INTEGRATE
from scprism.paper.experiments.label_transfer import KNN_COMBINED, KNN_HUMAN, KNN_SINGLE
from scprism.paper.experiments.loss_matrix import LOSS_MATRIX
from scprism.paper.experiments.orthogonality import ORTHOGONALITY
from scprism.paper.experiments.pathways import PATHWAYS
from scprism.paper.experiments.released_penalty import RELEASED_PENALTY
from scprism.paper.experiments.shared_types import TABLES_3_AND_4
from scprism.paper.experiments.stability import STABILITY
from scprism.paper.experiments.table1 import TABLE_1
from scprism.paper.experiments.table2 import TABLE_2
from scprism.paper.experiments.tissue_genes import TISSUE_GENES
from scprism.paper.experiments.unseen import NO_OVERLAP, UMAP
from scprism.paper.experiments.untrained_sets import UNTRAINED_SETS
from scprism.paper.plan import Cell, Experiment, Plan

__all__ = ["EXPERIMENTS", "OF_UNITS", "planned"]

OF_FIGURES = (
    TABLE_1,
    TABLE_2,
    TABLES_3_AND_4,
    LOSS_MATRIX,
    UMAP,
    NO_OVERLAP,
    KNN_SINGLE,
    KNN_COMBINED,
    INTEGRATE,
    KNN_HUMAN,
)
OF_UNITS = (
    PATHWAYS,
    ORTHOGONALITY,
    TISSUE_GENES,
    RELEASED_PENALTY,
    GUIDED,
    UNTRAINED_SETS,
    STABILITY,
    ABLATION,
)
EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in (*OF_FIGURES, *OF_UNITS)}


def planned(plan: Plan, *, only: Sequence[str] = ()) -> dict[str, list[Cell]]:
    """Return the cells of each experiment, of all or of those named.

    Raises
    ------
    InputError
        If there is no experiment of a name.
    """
    for name in only:
        check_choice("only", name, EXPERIMENTS)
    chosen = [name for name in EXPERIMENTS if not only or name in only]
    return {name: EXPERIMENTS[name].plan(plan) for name in chosen}
