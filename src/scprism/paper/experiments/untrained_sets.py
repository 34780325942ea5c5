"""How many gene sets are called in networks that have learned nothing (prediction P6)."""

from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import gene_sets
from scprism.enrichment.settings import GseaSettings
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.sources import Source
from scprism.paper.experiments.units import commonest_types, explain_units, n_labelled
from scprism.paper.experiments.workshop import Workshop

__all__ = ["RANKINGS", "UNTRAINED_SETS"]

RANKINGS = (("paper", "guided", "absolute"), ("paper", "guided", "difference"), ("default", "deeplift", "signed"))
"""Preset, attribution, and what genes are ranked by."""
ALPHA = 0.05


def plan_untrained_sets(plan: Plan) -> list[Cell]:
    return [
        Cell(
            "untrained-sets",
            {
                "data": source.name,
                "preset": preset,
                "method": method,
                "scores": scores,
                "n_permutations": plan.scale.n_permutations,
            },
            (source,),
            tuple(plan.untrained(source, preset, seed) for seed in range(plan.scale.untrained_seeds)),
        )
        for source in _sources(plan)
        for preset, method, scores in RANKINGS
        if preset in plan.presets
    ]


def _sources(plan: Plan) -> list[Source]:
    """Return the smallest labelled data set of each organism."""
    known = sorted((s for s in plan.wholes if s.organism and len(s.types) > 1), key=lambda s: (n_labelled(s), s.name))
    return [next(s for s in known if s.organism == name) for name in sorted({s.organism for s in known})]


def run_untrained_sets(cell: Cell, workshop: Workshop) -> Rows:
    """Return a row a network: tests, and the shares of them with p and with q under 0.05.

    Differences are those of the commonest types from the whole; other rankings are those of the whole alone.
    """
    scores = str(cell.settings["scores"])
    cells = workshop.labelled(cell.sources[0])
    groupby = commonest_types(cells) if scores == "difference" else None
    rows: Rows = []
    for spec in cell.networks:
        network = workshop.network(spec)
        method = cell.settings["method"]
        explanation = explain_units(network, cells, groupby=groupby, method=method, absolute=scores != "signed")  # type: ignore[arg-type]
        table = enrich(
            explanation,
            gene_sets("hallmark", organism=network.recipe.organism),
            scores=scores,  # type: ignore[arg-type]
            settings=GseaSettings(int(str(cell.settings["n_permutations"]))),
            rng=spec.seed,
            threads=1,
        ).table
        hit = table["q_value"] < ALPHA
        rows.append(
            {
                "seed": spec.seed,
                "n_tests": len(table),
                "share_p": float((table["p_value"] < ALPHA).mean()),
                "share_q": float(hit.mean()),
                "n_q": int(hit.sum()),
                "units_any": int(table.loc[hit, "unit"].nunique()),
                "units": int(table["unit"].nunique()),
            }
        )
    return rows


UNTRAINED_SETS = Experiment(
    "untrained-sets", "Gene sets of networks that learned nothing (P6)", plan_untrained_sets, run_untrained_sets
)
