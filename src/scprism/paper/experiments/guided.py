"""Whether guided maps tell units apart, and whether they show what was learned (prediction P5)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scprism.explain.explanation import Explanation
from scprism.paper.experiments.units import seen_cells, some_inputs
from scprism.paper.measures.bootstrap import Estimate, mean_with_interval, number
from scprism.paper.networks import NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.section import Section, Verdict, computed, interval_outcome, means_by, no_data, refused
from scprism.trust.networks import paired_correlation, randomised_views, standard_ranks, view_network
from scprism.trust.sharing import mean_absolute_cosine
from scprism.types import AttributionMethod, FloatArray

__all__ = ["GUIDED", "METHODS", "mean_rank_correlation", "paired_differences"]

METHODS: tuple[AttributionMethod, ...] = ("guided", "plain", "deeplift", "gradient_x_input")
PRESETS_TRIED = ("paper", "default")
N_CELLS = 200
N_DRAWS = 3
NAME = "guided"
CLAIM = "Guided maps are more alike between units, and less affected by redrawing W2, than plain and DeepLIFT maps"
OTHERS = ("plain", "deeplift", "gradient_x_input")
ASKED = ("plain", "deeplift")
MEASURES = ("cosine", "between", "kept")
TEXT = """For up to 200 cells of each data set that a network was trained on: the map of each unit by four attributions,
as signed mean and, as the paper has it, as mean of |attribution|. `cosine` and `between` are the mean |cosine| and
|Spearman's correlation| between different units' maps, `kept` the mean correlation of a unit's map with itself after
the bottleneck's weights were drawn anew three times: a map of what was learned should not outlive them. Plain
and guided maps are gradients; the other two are multiplied by what a cell differs from the baseline, and alike for that
reason too: highly expressed genes lead in all of them. Differences are paired, network by network."""


def plan_guided(plan: Plan) -> list[Cell]:
    return [
        Cell(
            NAME,
            {"data": source.name, "preset": preset, "seed": seed},
            (source,),
            (plan.network(source, preset, seed),),
        )
        for source in plan.wholes
        for preset in PRESETS_TRIED
        if preset in plan.presets
        for seed in range(plan.scale.seeds)
    ]


def run_guided(cell: Cell, store: NetworkStore) -> Rows:
    """Return a row a method and kind of map, over up to 200 of the cells that the network was trained on.

    ``kind`` is ``"signed"``, the mean attribution, or ``"absolute"``, the paper's mean of |attribution|. ``cosine`` and
    ``between``: mean |cosine| and mean |Spearman| between the maps of different units; ``kept``: mean Spearman of a
    unit's map with itself after the bottleneck's weights were drawn anew, over units and draws.
    """
    network = store.network(cell.networks[0])
    inputs = some_inputs(network, store.cells(cell.sources[0]))
    rows: Rows = []
    for method in METHODS:
        seen = seen_cells(network, inputs, method=method)
        trained = view_network(network.weights, seen).explanation
        rng = np.random.default_rng(0)
        redrawn = randomised_views(network.weights, seen, layers="bottleneck", n_draws=N_DRAWS, rng=rng)
        for kind in ("signed", "absolute"):
            own = maps_of(trained, kind)
            kept = [paired_correlation(own, maps_of(view.explanation, kind)).mean() for view in redrawn]
            rows.append(
                {
                    "method": method,
                    "kind": kind,
                    "cosine": mean_absolute_cosine(own),
                    "between": mean_rank_correlation(own),
                    "kept": float(np.mean(kept)),
                }
            )
    return rows


def maps_of(explanation: Explanation, kind: str) -> FloatArray:
    """Return the maps over all cells, (units, genes)."""
    return np.asarray((explanation.signed if kind == "signed" else explanation.absolute)[-1])


def mean_rank_correlation(maps: FloatArray) -> float:
    """Return the mean |Spearman's correlation| between the maps of different units, (units, genes)."""
    ranks = standard_ranks(maps)
    correlation = np.abs(ranks @ ranks.T)
    n_units = len(maps)
    return float((correlation.sum() - np.trace(correlation)) / (n_units * (n_units - 1)))


def report_guided(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "method" not in rows:
        reason = refused(frame) or "Neither the preset paper nor default was run."
        return no_data(reason=reason, claim=CLAIM, source="P5", paper="–")
    text = "\n\n".join(part for part in (TEXT, refused(frame)) if part)
    tables = (
        ("Means over data sets and seeds", means_by(rows, ["preset", "kind", "method"], MEASURES)),
        ("Guided less the other attribution", _differences(rows)),
    )
    return Section(text, tables, verdicts=(_verdict(rows),))


def paired_differences(rows: pd.DataFrame, *, measure: str, other: str) -> Estimate:
    """Return the mean over networks of the guided map's measure less another's, and its interval."""
    wide = rows.pivot_table(index=["data", "preset", "seed"], columns="method", values=measure)
    if not {"guided", other} <= set(wide.columns):
        return mean_with_interval(np.array([]))
    return mean_with_interval((wide["guided"] - wide[other]).to_numpy(dtype=np.float64))


def _differences(rows: pd.DataFrame) -> pd.DataFrame:
    found = []
    for (preset, kind), part in rows.groupby(["preset", "kind"], sort=False):
        for other in OTHERS:
            estimates = {m: number(*paired_differences(part, measure=m, other=other)) for m in MEASURES}
            found.append({"preset": preset, "kind": kind, "guided less": other, **estimates})
    return pd.DataFrame(found)


def _verdict(rows: pd.DataFrame) -> Verdict:
    signed = rows[rows["kind"] == "signed"]
    estimates = {(m, o): paired_differences(signed, measure=m, other=o) for m in ("between", "kept") for o in ASKED}
    words = {"between": "correlation between units", "kept": "correlation with itself after redrawing"}
    parts = [f"{words[m]}, guided less {o}: {number(*estimate)}" for (m, o), estimate in estimates.items()]
    n_networks = len(signed.drop_duplicates(["data", "preset", "seed"]))
    ours = f"signed maps of {n_networks} networks on {signed['data'].nunique()} data sets; " + "; ".join(parts)
    why = (
        "Holds where all four intervals lie above 0; intervals are over networks, several of which are of one data set."
    )
    return Verdict(CLAIM, "P5", "–", ours, interval_outcome(list(estimates.values())), why)


GUIDED = Experiment(NAME, "Guided maps against other attributions (P5)", plan_guided, run_guided, report_guided)
