"""Which gene sets the units of a foreign network form in a query's cell types (Figure 5)."""

import numpy as np

from scprism.model.presets import PRESETS
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows, Scalar
from scprism.paper.experiments.units import commonest_types, foreign_pairs, unit_sets
from scprism.paper.experiments.workshop import Workshop
from scprism.paper.measures.calls import RULES, call_counts, call_summary

__all__ = ["PATHWAYS", "UNTRAINED", "n_networks"]

NETWORKS = 2
UNTRAINED = "untrained"
"""In place of a preset: networks of the preset ``paper`` as they were drawn, the yardstick of what chance calls."""
MOST_UNTRAINED = 5


def n_networks(plan: Plan, preset: str, *, most: int = NETWORKS) -> int:
    """Return how many networks of a preset are looked at: one where batches are single cells, which trains slowly."""
    return 1 if PRESETS[preset].batch_size == 1 else min(most, plan.scale.seeds)


def plan_pathways(plan: Plan) -> list[Cell]:
    cells = []
    for model, query in foreign_pairs(plan):
        trained = [
            (preset, plan.network(model, preset, s)) for preset in plan.presets for s in range(n_networks(plan, preset))
        ]
        drawn = [plan.untrained(model, "paper", s) for s in range(min(MOST_UNTRAINED, plan.scale.untrained_seeds))]
        for kind, network in [*trained, *((UNTRAINED, network) for network in drawn)]:
            settings: dict[str, Scalar] = {
                "model": model.name,
                "query": query.name,
                "preset": kind,
                "seed": network.seed,
            }
            n = plan.scale.n_permutations
            cells.append(Cell("pathways", {**settings, "n_permutations": n}, (query,), (network,)))
    return cells


def run_pathways(cell: Cell, workshop: Workshop) -> Rows:
    """Return a row a rule of calling with what `call_summary` has, and a row a unit and set that any rule calls.

    A unit's maps in the query's commonest types, less that of all its cells for gradients, are tested for Hallmark sets
    of the model's organism; the numbers of a unit's set are those of types in which it is called.
    """
    network, cells = workshop.network(cell.networks[0]), workshop.labelled(cell.sources[0])
    enrichment = unit_sets(network, cells, n_permutations=int(str(cell.settings["n_permutations"])))
    counts = {rule: call_counts(enrichment, rule=rule) for rule in RULES}
    n_types = int(commonest_types(cells).nunique())
    coverage = network.opened(cells).alignment.share_of_genes
    seen = {"method": network.config.attribution, "n_types": n_types, "coverage": coverage}
    rows: Rows = [{"rule": rule, **seen, **call_summary(table)} for rule, table in counts.items()]
    by_rule = [counts[rule].to_numpy() for rule in RULES]
    units, sets = counts["uncorrected"].index, counts["uncorrected"].columns
    for i, k in np.argwhere(np.any(by_rule, axis=0)):
        values: dict[str, Scalar] = {rule: int(table[i, k]) for rule, table in zip(RULES, by_rule, strict=True)}
        rows.append({"unit": str(units[i]), "gene_set": str(sets[k]), **values})
    return rows


PATHWAYS = Experiment("pathways", "Gene sets of a foreign network's units (Figure 5)", plan_pathways, run_pathways)
