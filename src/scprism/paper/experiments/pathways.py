"""Which gene sets the units of a foreign network form in a query's cell types (Figure 5)."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scprism.paper.experiments.units import commonest_types, foreign_pairs, n_networks, unit_sets
from scprism.paper.measures.bootstrap import Outcome, difference_of_means, mean_with_interval, number
from scprism.paper.measures.calls import PAPER_UNITS, PRIMARY_RULE, RULES, call_counts, call_summary
from scprism.paper.networks import NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows, Scalar
from scprism.paper.section import Section, Verdict, computed, no_data, percent, refused
from scprism.report.palette import GREY, VALIDATION, count_colours

__all__ = ["PATHWAYS", "UNTRAINED", "histogram"]

UNTRAINED = "untrained"
"""In place of a preset: networks of the preset ``paper`` as they were drawn, for comparison: what chance calls."""
MOST_UNTRAINED = 5
NAME = "pathways"
FEW = 3
CLAIM = "Units of a foreign network have one or few gene sets each, and do not share them"
PAPER = "19 of 38 units with one set, 36 of 38 with up to three; 11 of 50 sets in one unit alone, 4 in more than four"
TEXT = """The paper explains mammary cells by a network trained on muscle, takes each cell type's mean |guided gradient|
less that of all cells, and counts in how many of the four types a Hallmark set is significant for a unit. It names no
tool, threshold or correction. Here pairs of data sets of one organism with the fewest types in common take the place of
muscle and mammary gland, the query's four commonest types (15 cells or more) are explained, and sets are tested by
preranked GSEA, two-sided, against random genes. Three rules are shown: q < 0.05 over all tests of an explanation
("all tests"), over the sets of one unit and type ("each ranking", on which the verdict rests), or p < 0.05
("uncorrected", under which one test in twenty is called where there is nothing). The preset `default` is explained by
its own attribution, ranked by its signed mean. A count of sets for each unit depends on the power of the test as much
as on the network: few significant tests make single sets likely, whether or not units divide tasks. Networks of the
preset `paper` as they were drawn, "untrained", say what this way of counting finds where nothing was learned: with
q < 0.05 in each ranking, chance gives a set to one ranking in twenty, and so to about one unit in five that is seen in
four types; hardly any gets two."""


def plan_pathways(plan: Plan) -> list[Cell]:
    cells = []
    for model, query in foreign_pairs(plan):
        trained = [(preset, plan.network(model, preset, s)) for preset in plan.presets for s in range(n_networks(plan))]
        drawn = [plan.untrained(model, "paper", s) for s in range(min(MOST_UNTRAINED, plan.scale.untrained_seeds))]
        for kind, network in [*trained, *((UNTRAINED, network) for network in drawn)]:
            settings: dict[str, Scalar] = {
                "model": model.name,
                "query": query.name,
                "preset": kind,
                "seed": network.seed,
            }
            n = plan.scale.n_permutations
            cells.append(Cell(NAME, {**settings, "n_permutations": n}, (query,), (network,)))
    return cells


def run_pathways(cell: Cell, store: NetworkStore) -> Rows:
    """Return a row a rule of calling with what `call_summary` has, and a row a unit and set that any rule calls.

    A unit's maps in the query's commonest types, less that of all its cells for gradients, are tested for Hallmark sets
    of the model's organism; the numbers of a unit's set are those of types in which it is called.
    """
    network, cells = store.network(cell.networks[0]), store.labelled(cell.sources[0])
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


def report_pathways(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "unit" not in rows:
        reason = refused(frame) or "No two whole data sets of one organism were there."
        return no_data(reason=reason, claim=CLAIM, source="Figure 5", paper=PAPER)
    summaries, hits = rows[rows["rule"].notna()], rows[rows["unit"].notna()]
    figures = {}
    if (hits[PRIMARY_RULE] > 0).any():
        shown = _most_called(hits)
        words = ", ".join(str(shown[name].iloc[0]) for name in ("model", "query", "preset"))
        caption = f"Types in which a set is called for a unit ({PRIMARY_RULE}): {words}, one network"
        figures = {"pathways-heatmap": (caption, _heatmap(shown))}
    caption = f"Units with 1, 2, 3 … sets, the paper's and here ({PRIMARY_RULE}, one network each)"
    figures["pathways-histogram"] = (caption, _histograms(hits))
    text = "\n\n".join(part for part in (TEXT, refused(frame)) if part)
    tables = (("Means over networks; coverage: share of the network's genes that the query has", _table(summaries)),)
    return Section(text, tables, figures, (_verdict(summaries, hits),))


def _table(summaries: pd.DataFrame) -> pd.DataFrame:
    by = ["model", "query", "preset", "method", "rule"]
    columns = ["coverage", "units", "any", "single", "share", "sets_per_unit", "sets_of_one", "sets_over_four"]
    means = summaries.groupby(by, sort=False)[columns].mean().reset_index()
    words = {
        "any": "with any set",
        "single": "with one set",
        "share": "one of any",
        "sets_per_unit": "sets a unit",
        "sets_of_one": "sets of one unit",
        "sets_over_four": "sets of over four",
    }
    return means.rename(columns=words)


def histogram(hits: pd.DataFrame, *, rule: str = PRIMARY_RULE) -> list[int]:
    """Return how many units have 1, 2, 3, … sets by a rule, from rows of one network, a row a unit and set."""
    n_sets = hits[hits[rule] > 0].groupby("unit").size()
    return [int(n) for n in np.bincount(n_sets.to_numpy(dtype=np.int64), minlength=2)[1:]]


def _most_called(hits: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the paper's network, or of any, with the most calls: an example that shows something."""
    chosen = hits[hits["preset"] == "paper"]
    chosen = chosen if (chosen[PRIMARY_RULE] > 0).any() else hits
    groups = [part for _, part in chosen.groupby(["model", "query", "preset", "seed"], sort=False)]
    return max(groups, key=lambda part: int((part[PRIMARY_RULE] > 0).sum()))


def _heatmap(hits: pd.DataFrame) -> Figure:
    called = hits[hits[PRIMARY_RULE] > 0]
    counts = called.pivot_table(index="gene_set", columns="unit", values=PRIMARY_RULE, aggfunc="max", fill_value=0)
    counts = counts.loc[(counts > 0).sum(axis=1).sort_values(ascending=False, kind="stable").index]
    counts = counts.iloc[:, np.argsort(counts.to_numpy().argmax(axis=0), kind="stable")]
    highest = int(counts.to_numpy().max())
    size = (3.5 + 0.17 * counts.shape[1], 1.5 + 0.17 * counts.shape[0])
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    colours = plt.matplotlib.colors.ListedColormap(count_colours(highest))  # type: ignore[attr-defined]
    image = ax.imshow(counts.to_numpy(), cmap=colours, vmin=-0.5, vmax=highest + 0.5, aspect="auto")
    names = [str(name).removeprefix("HALLMARK_").replace("_", " ").lower() for name in counts.index]
    ax.set_yticks(range(len(names)), names, fontsize=6)
    ax.set_xticks(range(counts.shape[1]), [str(c).removeprefix("latent_") for c in counts.columns], fontsize=6)
    ax.tick_params(axis="x", rotation=90)
    ax.set_xlabel("unit")
    figure.colorbar(image, ax=ax, label="types", ticks=range(highest + 1))
    return figure


def _histograms(hits: pd.DataFrame) -> Figure:
    first = hits[hits["seed"] == hits["seed"].min()]
    bars = {"paper's Figure 5": list(PAPER_UNITS["with"])}
    for (model, query, preset), part in first.groupby(["model", "query", "preset"], sort=False):
        bars[f"{model} → {query}, {preset}"] = histogram(part)
    columns = 3
    n_rows = -(-len(bars) // columns)
    figure, axes = plt.subplots(n_rows, columns, figsize=(10, 1.8 * n_rows), layout="constrained", squeeze=False)
    for ax, (name, counts) in zip(axes.flat, bars.items(), strict=False):
        ax.bar(np.arange(1, len(counts) + 1), counts, color=GREY if name.startswith("paper's") else VALIDATION)
        ax.set_title(name, fontsize=7)
        ax.xaxis.get_major_locator().set_params(integer=True)
    for ax in axes.flat[len(bars) :]:
        ax.set_axis_off()
    axes[-1, 0].set(xlabel="gene sets", ylabel="units")
    return figure


def _verdict(summaries: pd.DataFrame, hits: pd.DataFrame) -> Verdict:
    trained = [str(name) for name in summaries["preset"].unique() if name != UNTRAINED]
    preset = "paper" if "paper" in trained else trained[0] if trained else UNTRAINED
    outcome, ours = _of_preset(preset, summaries, hits)
    for_default = _of_preset("default", summaries, hits)[0] if "default" in trained else ""
    why = (
        "Units that have a set by chance have one: where no more have any than in untrained networks, nothing is said. "
        "Networks of one pair are not independent: the interval is over networks."
    )
    return Verdict(CLAIM, "Figure 5", PAPER, ours, outcome, why, for_default)


def _of_preset(preset: str, summaries: pd.DataFrame, hits: pd.DataFrame) -> tuple[Outcome, str]:
    """Return whether the units of a preset's networks have few sets each, and the numbers."""
    own = summaries[(summaries["preset"] == preset) & (summaries["rule"] == PRIMARY_RULE)]
    networks = hits[hits["preset"] == preset].groupby(["model", "query", "seed"], sort=False)
    found = [counts for _, part in networks if sum(counts := histogram(part))]
    n_any = sum(sum(counts) for counts in found)
    few = [sum(counts[:FEW]) / sum(counts) for counts in found]
    single = mean_with_interval(own["share"].to_numpy(dtype=np.float64))
    drawn = summaries[(summaries["preset"] == UNTRAINED) & (summaries["rule"] == PRIMARY_RULE)]
    more = difference_of_means(*(part["any"].to_numpy(dtype=np.float64) for part in (drawn, own)))
    outcome: Outcome = "not shown"
    if n_any >= 5 * max(len(own), 1) and not more[1][0] <= 0:
        outcome = "holds" if single[0] >= 0.5 else "mixed" if np.mean(few) >= 0.5 else "does not hold"
    ours = (
        f"preset {preset}, {len(own)} networks: {own['any'].mean():.1f} of {own['units'].mean():.0f} units have a set, "
        f"{percent(n_any and float(np.mean(few)))} of these with up to three, one alone {number(*single)}; "
        f"{own['sets_of_one'].mean():.1f} sets of one unit alone, {own['sets_over_four'].mean():.1f} of over four; "
        f"untrained networks: {drawn['any'].mean():.1f} units have a set, one alone {drawn['share'].mean():.2f}; units "
        f"more than there: {number(*more, digits=1)}"
    )
    return outcome, ours


PATHWAYS = Experiment(
    NAME, "Gene sets of a foreign network's units (Figure 5)", plan_pathways, run_pathways, report_pathways
)
