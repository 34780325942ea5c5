"""From the released code to the paper's text to the default, one switch at a time, each kept for the next."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from anndata import AnnData

from scprism.model.config import SETTINGS, Config
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows, Scalar
from scprism.paper.experiments.scale import Scale, scaled_config
from scprism.paper.experiments.sources import Source
from scprism.paper.experiments.units import file_shape, unit_sets
from scprism.paper.experiments.workshop import Network, NetworkSpec, Workshop
from scprism.paper.measures.calls import RULES, call_counts, call_summary
from scprism.paper.measures.knn import knn_scores
from scprism.paper.measures.span import predicted_total
from scprism.types import FloatArray

__all__ = ["ABLATION", "GROUPS", "Step", "ablation_steps", "log_counts"]

LEGS = ("as_released", "paper", "default")
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
own, before those that only use a network. Batches come first, as single cells train slowly."""
USING = ("missing genes", "distance", "attribution")
"""Groups that need no other network."""
USED = tuple(name for group in USING for name in GROUPS[group])
ELSEWHERE = (
    *("search_trials", "search_epochs", "final_epochs", "search_space", "search_stopping"),
    *("n_neighbours", "votes", "whiten_latent", "knn_neighbours", "foreign_loss", "gene_count", "projection"),
    "adjust_denoised",
)
"""Settings that nothing in this table depends on: the search, other experiments, and the number of neighbours, which is
the same throughout."""
NEIGHBOURS = 15
REFERENCES = 2


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
    start = scaled_config(LEGS[0], scale)
    steps = [Step("as_released", LEGS[0], "", start, start)]
    for preset in LEGS[1:]:
        steps += _leg(steps[-1].config, scaled_config(preset, scale), preset)
    return steps


def _leg(start: Config, goal: Config, preset: str) -> list[Step]:
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
        seeds = 1 if step.config.batch_size == 1 else plan.scale.ablation_seeds
        for reference, query in _pairs(plan):
            for seed in range(seeds):
                settings: dict[str, Scalar] = {"reference": reference.name, "query": query.name, "seed": seed, **words}
                network = NetworkSpec(reference, step.trained, seed)
                n = plan.scale.n_permutations
                cells.append(
                    Cell("ablation", {**settings, **used, "n_permutations": n}, (reference, query), (network,))
                )
    return cells


def _pairs(plan: Plan) -> list[tuple[Source, Source]]:
    """Return the pairs that share types and train fastest, no reference twice."""
    pairs = [(a, b) for a, b in plan.pairs(plan.wholes) if a.organism == b.organism]
    chosen: dict[str, tuple[Source, Source]] = {}
    for pair in sorted(pairs, key=lambda p: (file_shape(p[0].path), p[0].name, p[1].name)):
        chosen.setdefault(pair[0].name, pair)
    return list(chosen.values())[:REFERENCES]


def run_ablation(cell: Cell, workshop: Workshop) -> Rows:
    """Return macro-F1 of 15 neighbours, the share of the query's variance in the latent, and units with gene sets.

    ``variance``: what a ridge regression on the latent, fitted on half of the query's cells, predicts of log1p counts
    per 10,000 in the other half: the network has seen neither. It asks for the same whatever the likelihood.
    """
    reference, query = (workshop.labelled(source) for source in cell.sources)
    network = workshop.network(cell.networks[0])
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


ABLATION = Experiment(
    "ablation", "From the released code to the default, a switch at a time", plan_ablation, run_ablation, version=2
)
