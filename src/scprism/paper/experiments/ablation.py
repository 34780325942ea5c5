"""From the released code to the paper's text to the default, one switch at a time, each kept for the next."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure

from scprism.model.config import SETTINGS, Config
from scprism.paper.data_sets import Source
from scprism.paper.experiments.units import file_shape, unit_sets
from scprism.paper.measures.bootstrap import Estimate, Outcome, mean_with_interval, number
from scprism.paper.measures.calls import PRIMARY_RULE, RULES, call_counts, call_summary
from scprism.paper.measures.knn import knn_scores
from scprism.paper.measures.span import predicted_total
from scprism.paper.networks import Network, NetworkSpec, NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows, Scalar
from scprism.paper.scale import Scale, scaled_config
from scprism.paper.section import Section, Verdict, computed, no_data, refused
from scprism.report.palette import label_styles
from scprism.types import FloatArray

__all__ = ["ABLATION", "GROUPS", "Step", "ablation_steps", "changes", "log_counts"]

PRESETS_IN_ORDER = ("as_released", "paper", "default")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "optimiser, batches, patience": (
        *("optimiser", "learning_rate", "momentum", "batch_size", "min_batches", "max_batches", "reshuffle"),
        *("max_epochs", "check_every", "patience"),
    ),
    "split of the cells": ("split", "stratify"),
    "normalisation": ("normalise", "target_sum", "library", "negative_values"),
    "layer sizes": ("hidden_size", "bottleneck_size"),
    "softplus beta": ("softplus_beta",),
    "bottleneck activation": ("bottleneck",),
    "likelihood": ("likelihood",),
    "penalty": ("penalty", "penalty_weight", "penalty_gradient", "l1_weight", "l1_gradient", "weight_decay"),
    "missing genes": ("missing_genes", "min_coverage"),
    "distance": ("metric", "standardise_latent"),
    "attribution": ("attribution", "baseline", "first_unit_plain"),
}
"""Settings that mean nothing one without the other, in the order of the steps; what is in no group is a step of its
own, before those that only use a network."""
USING = ("missing genes", "distance", "attribution")
"""Groups that need no other network."""
USED = tuple(name for group in USING for name in GROUPS[group])
ELSEWHERE = (
    *("search_trials", "search_epochs", "final_epochs", "search_space", "search_stopping"),
    *(
        "n_neighbours",
        "neighbour_weights",
        "whiten_latent",
        "knn_neighbours",
        "foreign_loss",
        "gene_count",
        "projection",
    ),
    "adjust_denoised",
)
"""Settings that nothing in this table depends on: the search, other experiments, and the number of neighbours, which is
the same throughout."""
NEIGHBOURS = 15
REFERENCES = 2
NAME = "ablation"
PER_CELL = "normalisation → paper"
SAME_RUN = ["reference", "query", "seed"]
CLAIM = "The method as released and as written transfer types alike"
TEXT = """The settings of `as_released` are turned into those of `paper`, these into those of `default`, one group of
switches at a time, each kept for the next: what a step does may depend on those before it. Every setting in which the
presets differ is in one step, but for those of the search and of other experiments, which nothing here depends on.
Macro-F1 is of 15 neighbours, by the step's distance; `variance` is the share of the variance of the query's log counts
per 10,000 that a ridge regression on the latent predicts, fitted on half of the query's cells and scored on the others,
so that it compares likelihoods; the last columns count units with one and with any gene set (rule "{rule}").
Changes are paired by data set and seed; intervals are over these few runs."""


@dataclass(frozen=True)
class Step:
    """A configuration on the way, what it changes, and the settings under which its network is trained.

    Attributes
    ----------
    towards
        The preset that it leads to.
    config
        All settings from here on.
    trained
        The same but for settings that only use a network, which are the next preset's: steps that differ in these alone
        share their network.
    """

    name: str
    towards: str
    changes: str
    config: Config
    trained: Config


def ablation_steps(scale: Scale) -> list[Step]:
    """Return the steps, from the preset ``as_released`` to ``default``; every setting that differs is in one."""
    start = scaled_config(PRESETS_IN_ORDER[0], scale)
    steps = [Step("as_released", PRESETS_IN_ORDER[0], "", start, start)]
    for preset in PRESETS_IN_ORDER[1:]:
        steps += _steps_to(steps[-1].config, scaled_config(preset, scale), preset)
    return steps


def _steps_to(start: Config, goal: Config, preset: str) -> list[Step]:
    differing = {name for name in SETTINGS if getattr(start, name) != getattr(goal, name)}
    current = replace(start, **_values(goal, ELSEWHERE))
    grouped = {name for members in GROUPS.values() for name in members}
    alone = {name: (name,) for name in SETTINGS if name not in grouped and name not in ELSEWHERE}
    training = {name: members for name, members in GROUPS.items() if name not in USING}
    order = {**training, **alone, **{name: GROUPS[name] for name in USING}}
    steps = []
    for name, members in order.items():
        changed = [member for member in members if member in differing]
        if changed:
            current = replace(current, **_values(goal, changed))
            words = ", ".join(f"{member}={_word(getattr(goal, member))}" for member in changed)
            steps.append(Step(name, preset, words, current, replace(current, **_values(goal, USED))))
    return steps


def _values(config: Config, names: "tuple[str, ...] | list[str]") -> dict[str, Any]:
    return {name: getattr(config, name) for name in names}


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def plan_ablation(plan: Plan) -> list[Cell]:
    cells = []
    for i, step in enumerate(ablation_steps(plan.scale)):
        used: dict[str, Scalar] = {name: getattr(step.config, name) for name in USED}
        words: dict[str, Scalar] = {"step": i, "name": step.name, "towards": step.towards, "changes": step.changes}
        for reference, query in _pairs(plan):
            for seed in range(plan.scale.ablation_seeds):
                settings: dict[str, Scalar] = {"reference": reference.name, "query": query.name, "seed": seed, **words}
                network = NetworkSpec(reference, step.trained, seed)
                n = plan.scale.n_permutations
                cells.append(Cell(NAME, {**settings, **used, "n_permutations": n}, (reference, query), (network,)))
    return cells


def _pairs(plan: Plan) -> list[tuple[Source, Source]]:
    """Return the pairs that share types and train fastest, no reference twice."""
    pairs = [(a, b) for a, b in plan.pairs(plan.wholes) if a.organism == b.organism]
    chosen: dict[str, tuple[Source, Source]] = {}
    for pair in sorted(pairs, key=lambda p: (file_shape(p[0].path), p[0].name, p[1].name)):
        chosen.setdefault(pair[0].name, pair)
    return list(chosen.values())[:REFERENCES]


def run_ablation(cell: Cell, store: NetworkStore) -> Rows:
    """Return macro-F1 of 15 neighbours, the share of the query's variance in the latent, and units with gene sets.

    ``variance``: what a ridge regression on the latent, fitted on half of the query's cells, predicts of log1p counts
    per 10,000 in the other half: the network has seen neither. It asks for the same whatever the likelihood.
    """
    reference, query = (store.labelled(source) for source in cell.sources)
    network = store.network(cell.networks[0])
    network = replace(network, config=replace(network.config, **{name: cell.settings[name] for name in USED}))  # type: ignore[arg-type]
    z, z_query = network.latents(reference, query)
    if network.config.standardise_latent:
        centre, spread = z.mean(axis=0), np.maximum(z.std(axis=0), 1e-12)
        z, z_query = (z - centre) / spread, (z_query - centre) / spread
    types = [side.obs["type"].to_numpy(dtype=str) for side in (reference, query)]
    scores = knn_scores(z, types[0], z_query, types[1], neighbours=(NEIGHBOURS,), metric=network.config.metric)
    enrichment = unit_sets(network, query, n_permutations=int(str(cell.settings["n_permutations"])))
    row: dict[str, Scalar] = {
        "macro_f1": float(scores["macro_f1"].iloc[0]),
        "variance": predicted_total(z_query, log_counts(network, query)),
    }
    for rule in RULES[:2]:
        summary = call_summary(call_counts(enrichment, rule=rule))
        row |= {f"single, {rule}": summary["single"], f"any, {rule}": summary["any"]}
    return [row]


def log_counts(network: Network, cells: AnnData) -> FloatArray:
    """Return log1p of counts per 10,000 of the recipe's genes that these cells have, (cells, genes)."""
    query = network.opened(cells)
    present = query.alignment.gene_map.present
    counts = np.vstack([chunk.counts.toarray() for chunk in query.chunks()])[:, present]
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.log1p(counts / total * 1e4))


def report_ablation(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    paper = "one method"
    if rows.empty or "macro_f1" not in rows:
        reason = refused(frame) or "No two whole data sets of one organism share two types."
        return no_data(reason=reason, claim=CLAIM, source="method.md, section 2", paper=paper)
    text = "\n\n".join(part for part in (TEXT.format(rule=PRIMARY_RULE), refused(frame)) if part)
    tables = (("Steps in order; each row has all changes so far; Δ: change from the row above", _steps(rows)),)
    figures = {"ablation": ("The three measures along the steps, for each pair; mean over seeds", _figure(rows))}
    return Section(text, tables, figures, (_verdict(rows),))


def changes(rows: pd.DataFrame, *, before: int, after: int, measure: str) -> Estimate:
    """Return the mean change of a measure between two steps, paired by data sets and seed, and its interval."""
    wide = rows.pivot_table(index=SAME_RUN, columns="step", values=measure)
    if not {before, after} <= set(wide.columns):
        return mean_with_interval(np.array([]))
    return mean_with_interval((wide[after] - wide[before]).to_numpy(dtype=np.float64))


def _steps(rows: pd.DataFrame) -> pd.DataFrame:
    found = []
    single, any_set = (f"{kind}, {PRIMARY_RULE}" for kind in ("single", "any"))
    for step, part in rows.sort_values("step", kind="stable").groupby("step"):
        number_of = int(str(step))
        differences = {
            m: changes(rows, before=number_of - 1, after=number_of, measure=m) for m in ("macro_f1", "variance")
        }
        found.append(
            {
                "towards": part["towards"].iloc[0],
                "switch": part["name"].iloc[0],
                "settings": part["changes"].iloc[0] or "–",
                "macro-F1": part["macro_f1"].mean(),
                "Δ macro-F1": number(*differences["macro_f1"]) if number_of else "–",
                "variance": part["variance"].mean(),
                "Δ variance": number(*differences["variance"]) if number_of else "–",
                "one set": part[single].mean(),
                "any set": part[any_set].mean(),
            }
        )
    return pd.DataFrame(found)


def _last_step(rows: pd.DataFrame, preset: str) -> int:
    """Return the step at which a preset is reached."""
    return int(rows.loc[rows["towards"] == preset, "step"].max())


def _verdict(rows: pd.DataFrame) -> Verdict:
    present = [preset for preset in ("as_released", "paper", "default") if (rows["towards"] == preset).any()]
    steps = {preset: _last_step(rows, preset) for preset in present}
    estimate = changes(rows, before=steps.get("as_released", 0), after=steps.get("paper", -1), measure="macro_f1")
    further = changes(rows, before=steps.get("paper", -1), after=steps.get("default", -1), measure="macro_f1")
    low, high = estimate[1]
    outcome: Outcome = "not shown"
    if np.isfinite(low) and (low > 0 or high < 0):
        outcome = "does not hold"
    shown = {
        f"{part['name'].iloc[0]} → {part['towards'].iloc[0]}": int(str(s)) for s, part in rows.groupby("step") if s
    }
    effects = {name: changes(rows, before=s - 1, after=s, measure="macro_f1")[0] for name, s in shown.items()}
    effects = {name: effect for name, effect in effects.items() if np.isfinite(effect)}
    largest = sorted(effects, key=lambda name: -abs(effects[name]))[:3]
    named = dict.fromkeys([*largest, *(name for name in effects if name == PER_CELL)])
    parts = ", ".join(f"{name} ({effects[name]:+.3f})" for name in named)
    ours = (
        f"macro-F1, paper less as_released: {number(*estimate)}; default less paper: {number(*further)}; largest "
        f"single steps, and per-gene to per-cell normalisation: {parts}"
    )
    why = "A few runs on small data sets; as_released has one seed. That none is shown is no equality."
    return Verdict(CLAIM, "method.md, section 2", "one method", ours, outcome, why)


def _figure(rows: pd.DataFrame) -> Figure:
    measures = {"macro_f1": "macro-F1", "variance": "variance", f"single, {PRIMARY_RULE}": "units with one set"}
    figure, axes = plt.subplots(len(measures), 1, figsize=(8, 6.5), sharex=True, layout="constrained")
    groups = {f"{r} → {q}": part for (r, q), part in rows.groupby(["reference", "query"], sort=False)}
    for ax, (measure, words) in zip(axes, measures.items(), strict=True):
        for name, style in label_styles(groups).items():
            means = groups[name].groupby("step")[measure].mean()
            ax.plot(means.index, means, color=style.colour, marker=style.marker, label=name)
        ax.set_ylabel(words)
    names = rows.drop_duplicates("step").sort_values("step")
    axes[0].legend(frameon=False, fontsize=7)
    axes[-1].set_xticks(names["step"], names["name"], rotation=60, ha="right", fontsize=7)
    return figure


ABLATION = Experiment(
    NAME,
    "From the released code to the default, a switch at a time",
    plan_ablation,
    run_ablation,
    report_ablation,
    version=2,
)
