"""What the penalty does to weights, gene maps and gene sets of units (Section H, prediction P2)."""

import numpy as np

from scprism.model.config import Config
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.scale import Scale, scaled_config
from scprism.paper.experiments.units import commonest_types, explain_units, small_pairs, unit_sets
from scprism.paper.experiments.workshop import NetworkSpec, Workshop
from scprism.paper.measures.calls import RULES, call_counts, call_summary
from scprism.trust.sharing import mean_absolute_cosine
from scprism.types import FloatArray

__all__ = ["ORTHOGONALITY", "PENALTIES", "off_orthonormal", "penalised"]

PENALTIES: dict[str, float | None] = {"0": 0.0, "1e-05": 1e-5, "0.01": 1e-2, "1": 1.0, "hard": None}
"""Weights of the norm of I − W Wᵀ; ``"hard"`` keeps the rows of W orthonormal throughout."""
PRESETS_TRIED = ("paper", "default")
SHARE_OF_EPOCHS = 4
FEWER_SEEDS = 3


def penalised(preset: str, scale: Scale, penalty: str) -> Config:
    """Return a preset's settings with another weight of the penalty, everything else the same.

    Trainings with the paper's optimiser, which uses up all its epochs, get a quarter of those of the scale: there are
    many, and they are compared with each other alone.
    """
    config, weight = scaled_config(preset, scale), PENALTIES[penalty]
    if config.optimiser == "sgd":
        config = config.changed(max_epochs=max(1, config.max_epochs // SHARE_OF_EPOCHS))
    if weight is None:
        return config.changed(penalty="hard", penalty_weight=1.0)
    return config.changed(penalty="rows", penalty_weight=weight)


def plan_orthogonality(plan: Plan) -> list[Cell]:
    # the claim is about the paper's settings; fewer seeds of the other preset show whether it depends on them
    seeds = {"paper": plan.scale.penalty_seeds, "default": min(FEWER_SEEDS, plan.scale.penalty_seeds)}
    return [
        Cell(
            "orthogonality",
            {
                "model": model.name,
                "query": query.name,
                "preset": preset,
                "penalty": penalty,
                "n_permutations": plan.scale.n_permutations,
            },
            (query,),
            tuple(NetworkSpec(model, penalised(preset, plan.scale, penalty), seed) for seed in range(seeds[preset])),
        )
        for model, query in small_pairs(plan, n=plan.scale.penalty_pairs)
        for preset in PRESETS_TRIED
        if preset in plan.presets
        for penalty in PENALTIES
    ]


def run_orthogonality(cell: Cell, workshop: Workshop) -> Rows:
    """Return a row a seed and rule of calling: weights, overlap of gene maps, and what units have of gene sets.

    ``row_cosine``, ``map_cosine``, ``own_map_cosine``: mean |cosine| between different rows of W2, between the units'
    end-to-end gene maps (mean gradients), and between the maps that names rest on: mean |gradient| under the guided
    rule, as in the paper, or the signed means of the settings' attribution.
    """
    cells = workshop.labelled(cell.sources[0])
    rows: Rows = []
    for spec in cell.networks:
        network = workshop.network(spec)
        weight = network.weights.latent_weight
        plain = explain_units(network, cells, groupby=None, method="plain", absolute=False)
        is_guided = network.config.attribution == "guided"
        own = explain_units(network, cells, groupby=None, absolute=is_guided)
        enrichment = unit_sets(network, cells, n_permutations=int(str(cell.settings["n_permutations"])))
        row = {
            "seed": spec.seed,
            "off_orthonormal": off_orthonormal(weight),
            "row_cosine": mean_absolute_cosine(weight),
            "map_cosine": mean_absolute_cosine(plain.signed[0]),
            "own_map_cosine": mean_absolute_cosine((own.absolute if is_guided else own.signed)[0]),
            "loss": float(network.log["validation_loss"].min()),
            "n_types": int(commonest_types(cells).nunique()),
        }
        rows += [{**row, "rule": rule, **call_summary(call_counts(enrichment, rule=rule))} for rule in RULES]
    return rows


def off_orthonormal(weight: FloatArray) -> float:
    """Return the Frobenius norm of I − W Wᵀ, W being (units, hidden)."""
    rows = weight.astype(np.float64)
    return float(np.linalg.norm(np.eye(len(rows)) - rows @ rows.T))


ORTHOGONALITY = Experiment(
    "orthogonality",
    "With and without the orthogonality constraint (Section H, P2)",
    plan_orthogonality,
    run_orthogonality,
)
