"""All experiments by name, in the order in which they are reported."""

from collections.abc import Sequence

from scprism._check import check_choice
from scprism.paper.experiments.ablation import ABLATION
from scprism.paper.experiments.guided import GUIDED
from scprism.paper.experiments.losses import LOSS_MATRIX
from scprism.paper.experiments.mixing import INTEGRATE
from scprism.paper.experiments.orthogonality import ORTHOGONALITY
from scprism.paper.experiments.pathways import PATHWAYS
from scprism.paper.experiments.plan import Cell, Experiment, Plan
from scprism.paper.experiments.printed import SHARED_TYPES, TABLE_1
from scprism.paper.experiments.regularisation import TABLE_2
from scprism.paper.experiments.released_penalty import RELEASED_PENALTY
from scprism.paper.experiments.stability import STABILITY
from scprism.paper.experiments.tissue_genes import TISSUE_GENES
from scprism.paper.experiments.transfer import KNN_COMBINED, KNN_HUMAN, KNN_SINGLE
from scprism.paper.experiments.unseen import NO_OVERLAP, UMAPS
from scprism.paper.experiments.untrained_sets import UNTRAINED_SETS

__all__ = ["EXPERIMENTS", "planned"]

UNITS = (
    PATHWAYS,
    ORTHOGONALITY,
    TISSUE_GENES,
    RELEASED_PENALTY,
    GUIDED,
    UNTRAINED_SETS,
    STABILITY,
    ABLATION,
)
PAPER = (
    TABLE_1,
    TABLE_2,
    SHARED_TYPES,
    LOSS_MATRIX,
    UMAPS,
    NO_OVERLAP,
    KNN_SINGLE,
    KNN_COMBINED,
    INTEGRATE,
    KNN_HUMAN,
)
EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in (*PAPER, *UNITS)}


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
