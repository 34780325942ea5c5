"""Whether the penalty and L1 of the released code act on training at all (prediction P1)."""

from dataclasses import fields

import numpy as np

from scprism.model.weights import Weights
from scprism.paper.experiments.orthogonality import off_orthonormal
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.scale import scaled_config
from scprism.paper.experiments.units import file_shape
from scprism.paper.experiments.workshop import NetworkSpec, Workshop

__all__ = ["RELEASED_PENALTY", "largest_change"]

WEIGHTS = ((1e-5, 0.0), (1.0, 0.0), (1000.0, 0.0), (0.0, 1e-5), (0.0, 1e-3))
"""Of the penalty and of L1: the top of the paper's ranges, and far above."""
SHARE_OF_EPOCHS = 20


def plan_released_penalty(plan: Plan) -> list[Cell]:
    if "as_released" not in plan.presets:
        return []
    source = min(plan.wholes, key=lambda s: (file_shape(s.path), s.name))
    config = scaled_config("as_released", plan.scale)
    config = config.changed(max_epochs=max(1, config.max_epochs // SHARE_OF_EPOCHS))
    cells = []
    for has_gradient in (False, True):
        without = config.changed(
            penalty_weight=0.0, l1_weight=0.0, penalty_gradient=has_gradient, l1_gradient=has_gradient
        )
        for penalty, l1 in WEIGHTS:
            settings = {"data": source.name, "gradient": has_gradient, "penalty": penalty, "l1": l1}
            pair = (without, without.changed(penalty_weight=penalty, l1_weight=l1))
            networks = tuple(NetworkSpec(source, chosen, 0) for chosen in pair)
            cells.append(Cell("released-penalty", settings, (source,), networks))
    return cells


def run_released_penalty(cell: Cell, workshop: Workshop) -> Rows:
    """Return how far weights are from those of the same training without penalty and L1, and from orthonormal."""
    without, trained = (workshop.network(spec).weights for spec in cell.networks)
    return [
        {
            "identical": without.fingerprint() == trained.fingerprint(),
            "largest_change": largest_change(without, trained),
            "off_orthonormal": off_orthonormal(trained.latent_weight),
            "off_orthonormal_without": off_orthonormal(without.latent_weight),
            "epochs": cell.networks[0].settings.max_epochs,
        }
    ]


def largest_change(first: Weights, second: Weights) -> float:
    """Return the largest difference between weights or biases of two networks of one shape."""
    pairs = [(getattr(first, f.name), getattr(second, f.name)) for f in fields(Weights)]
    return max(float(np.abs(a - b).max()) for a, b in pairs if isinstance(a, np.ndarray))


RELEASED_PENALTY = Experiment(
    "released-penalty", "The penalty as released (P1)", plan_released_penalty, run_released_penalty
)
