"""How many gene sets are called in networks that have learned nothing (prediction P6)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import gene_sets
from scprism.enrichment.settings import GseaSettings
from scprism.paper.data_sets import Source
from scprism.paper.experiments.units import commonest_types, explain_units, n_labelled
from scprism.paper.measures.bootstrap import mean_with_interval, number
from scprism.paper.networks import NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.section import Section, Verdict, computed, interval_outcome, means_by, no_data, refused

__all__ = ["RANKINGS", "UNTRAINED_SETS"]

RANKINGS = (("paper", "guided", "absolute"), ("paper", "guided", "difference"), ("default", "deeplift", "signed"))
"""Preset, attribution, and what genes are ranked by."""
ALPHA = 0.05
NAME = "untrained-sets"
CLAIM = "In untrained networks, more unit × set pairs are significant than the nominal 5 %"
NOMINAL = 0.05
TEXT = """Networks as they were drawn, before training, are explained on real cells, and their units' maps tested for
Hallmark sets against random genes: whatever is called says nothing of what a network learned. Maps are ranked by mean
|guided gradient|, by the paper's difference of a type from the whole, and by the default's signed attribution. Units of
one network share its first layer, so intervals are over networks."""


def plan_untrained_sets(plan: Plan) -> list[Cell]:
    return [
        Cell(
            NAME,
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


def run_untrained_sets(cell: Cell, store: NetworkStore) -> Rows:
    """Return a row a network: tests, and the shares of them with p and with q under 0.05.

    Differences are those of the commonest types from the whole; other rankings are those of the whole alone.
    """
    scores = str(cell.settings["scores"])
    cells = store.labelled(cell.sources[0])
    groupby = commonest_types(cells) if scores == "difference" else None
    rows: Rows = []
    for spec in cell.networks:
        network = store.network(spec)
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


def report_untrained_sets(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "share_p" not in rows:
        reason = refused(frame) or "No labelled data set of a known organism was there."
        return no_data(reason=reason, claim=CLAIM, source="P6", paper="–")
    by = ["data", "method", "scores"]
    table = means_by(rows, by, ["n_tests", "share_p", "share_q", "n_q", "units_any", "units"])
    text = "\n\n".join(part for part in (TEXT, refused(frame)) if part)
    caption = "Means over untrained networks: tests, shares with p < 0.05 and q < 0.05, and units with any q < 0.05"
    return Section(text, ((caption, table),), verdicts=(_verdict(rows),))


def _verdict(rows: pd.DataFrame) -> Verdict:
    parts, estimates = [], []
    for (data, method, scores), part in rows.groupby(["data", "method", "scores"], sort=False):
        estimate = mean_with_interval(part["share_p"].to_numpy(dtype=np.float64))
        estimates.append(estimate)
        parts.append(f"{data}, {method}, {scores}: {number(*estimate)} (q: {part['share_q'].mean():.3f})")
    ours = "share with p < 0.05: " + "; ".join(parts)
    why = "Holds where every interval lies above 0.05, mixed where some do."
    return Verdict(CLAIM, "P6", "–", ours, interval_outcome(estimates, above=NOMINAL), why)


UNTRAINED_SETS = Experiment(
    NAME,
    "Gene sets of networks that learned nothing (P6)",
    plan_untrained_sets,
    run_untrained_sets,
    report_untrained_sets,
)
