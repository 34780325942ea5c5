"""Figures of units: their genes, their pathways, the labels in which they are active, conditions compared."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.ticker import MaxNLocator

from scprism._check import check_choice, closest
from scprism.errors import InputError
from scprism.figures.axes import axes_of, heatmap, say_nothing
from scprism.genes.sets import set_name
from scprism.report.interactive import unit_name
from scprism.report.palette import BEST, GREY, VALIDATION, count_colours
from scprism.report.tables import SIGNIFICANT, counted_groups, sets_per_unit, significant_groups

__all__ = [
    "plot_comparison",
    "plot_enrichment",
    "plot_pathways",
    "plot_sets_per_unit",
    "plot_unit_genes",
    "plot_units_by_label",
]


def plot_unit_genes(genes: pd.DataFrame, ax: Axes | None = None, *, unit: str, n_genes: int = 15) -> Axes:
    """Return a unit's leading genes as bars: what each adds to it, on average, to the left where it takes away.

    Parameters
    ----------
    genes
        `Explanation.top_genes`: ``unit rank gene signed absolute``, of one group.
    ax
        Where to draw; a new figure if not given.
    unit
        Its name in the table.
    n_genes
        Of so many genes at most.

    Raises
    ------
    InputError
        If the table has no such unit.
    """
    check_choice("unit", unit, list(dict.fromkeys(genes["unit"].astype(str))))
    rows = genes[genes["unit"].astype(str) == unit].sort_values("rank").head(n_genes)
    ax = axes_of(ax, rows=max(len(rows), 6))
    values = rows["signed"].to_numpy(dtype=float)
    ax.barh(rows["gene"].astype(str), values, color=[VALIDATION if value >= 0 else BEST for value in values])
    ax.axvline(0, color=GREY, linewidth=1)
    ax.invert_yaxis()
    ax.set(xlabel="mean attribution", title=unit)
    return ax


def plot_units_by_label(activity: pd.DataFrame, labels: "pd.Series[str]", ax: Axes | None = None) -> Axes:
    """Return the mean activity of each unit in the cells of each label, relative to the label with most of the unit.

    Parameters
    ----------
    activity
        `Model.activity`, cells × units.
    labels
        The label of each cell, such as ``calls["label"]``, index: cell. Cells without one are left out.
    ax
        Where to draw; a new figure if not given.
    """
    names = labels.reindex(activity.index)
    means = activity[names.notna().to_numpy()].groupby(names.dropna().astype(str).to_numpy()).mean()
    highest = means.abs().max().replace(0, 1.0)
    ax = heatmap(
        (means / highest).to_numpy(),
        ax,
        columns=[unit_name(str(unit)) for unit in means.columns],
        rows=[str(label) for label in means.index],
        cmap="viridis",
        norm=Normalize(min(0.0, float((means / highest).to_numpy().min())), 1),
        label="mean activity, of the highest label's",
    )
    ax.set(xlabel="unit")
    return ax


def plot_pathways(enrichment: pd.DataFrame, ax: Axes | None = None, *, threshold: float = SIGNIFICANT) -> Axes:
    """Return in how many groups each gene set is significant for each unit, as the paper's Figure 5 shows it.

    Parameters
    ----------
    enrichment
        ``Enrichment.table``: ``group unit gene_set … q_value``.
    ax
        Where to draw; a new figure if not given.
    threshold
        A set is significant below this q-value.
    """
    counts = significant_groups(enrichment, threshold=threshold)
    if counts.empty:
        return say_nothing(ax, f"no gene set has q < {threshold:g}")
    highest = int(counts.to_numpy().max())
    norm = BoundaryNorm(np.arange(highest + 2) - 0.5, highest + 1)
    ax = axes_of(ax, columns=counts.shape[1], rows=counts.shape[0])
    image = ax.imshow(counts.to_numpy(), cmap=ListedColormap(count_colours(highest)), norm=norm, aspect="auto")
    ax.set_xticks(
        range(counts.shape[1]), [unit_name(str(unit)) for unit in counts.columns], rotation=90, fontsize="small"
    )
    ax.set_yticks(range(counts.shape[0]), [set_name(str(name)) for name in counts.index], fontsize="small")
    ax.set(xlabel="unit")
    n_groups = len(counted_groups(enrichment))
    ax.figure.colorbar(
        image,
        ax=ax,
        label=f"groups (of {n_groups}) with q < {threshold:g}",
        ticks=range(0, highest + 1, max(1, highest // 10)),
    )
    return ax


def plot_enrichment(
    enrichment: pd.DataFrame, ax: Axes | None = None, *, group: str = "all", threshold: float = SIGNIFICANT
) -> Axes:
    """Return the normalised enrichment scores of one group, gene sets × units; those that are significant have a dot.

    Parameters
    ----------
    enrichment
        ``Enrichment.table``: ``group unit gene_set nes q_value``. Sets and units without a significant score are left
        out.
    ax
        Where to draw; a new figure if not given.
    group
        A group of the table.
    threshold
        A set is significant below this q-value.

    Raises
    ------
    InputError
        If the table has no such group.
    """
    groups = list(dict.fromkeys(enrichment["group"].astype(str)))
    if group not in groups:
        msg = f"`group` must be a group of the enrichment, got {group!r}. Closest: {closest(group, groups)}."
        raise InputError(msg)
    table = enrichment[enrichment["group"].astype(str) == group]
    hits = table[table["q_value"] < threshold]
    if hits.empty:
        return say_nothing(ax, f"no gene set has q < {threshold:g} in {group!r}")
    sets, units = hits["gene_set"].value_counts().index, [u for u in table["unit"].unique() if u in set(hits["unit"])]
    scores, q = (
        table.pivot_table(index="gene_set", columns="unit", values=name, observed=True).reindex(sets)[units]
        for name in ("nes", "q_value")
    )
    highest = float(np.nanmax(np.abs(scores.to_numpy())))
    ax = heatmap(
        scores.to_numpy(),
        ax,
        columns=[unit_name(str(unit)) for unit in units],
        rows=[set_name(str(name)) for name in sets],
        cmap="RdBu_r",
        norm=Normalize(-highest, highest),
        label="normalised enrichment score",
    )
    rows, columns = np.nonzero(q.to_numpy() < threshold)
    ax.scatter(columns, rows, s=6, c="black", linewidths=0, label=f"q < {threshold:g}")
    ax.set(xlabel="unit")
    return ax


def plot_sets_per_unit(enrichment: pd.DataFrame, ax: Axes | None = None, *, threshold: float = SIGNIFICANT) -> Axes:
    """Return a histogram: how many units have no, one, two, … significant gene sets.

    Arguments are those of `plot_pathways`.
    """
    ax = axes_of(ax)
    counts = np.bincount(sets_per_unit(enrichment, threshold=threshold).to_numpy(), minlength=1)
    bars = ax.bar(np.arange(len(counts)), counts, color=VALIDATION)
    ax.bar_label(bars)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlim(-0.6, max(len(counts) - 0.4, 3.6))
    ax.set(xlabel=f"gene sets with q < {threshold:g} in at least one group", ylabel="units")
    return ax


def plot_comparison(
    comparison: pd.DataFrame,
    ax: Axes | None = None,
    *,
    group: str | None = None,
    within: str = "all",
    n_units: int = 20,
) -> Axes:
    """Return how units differ between a group and the reference: differences with their 95 % intervals.

    Parameters
    ----------
    comparison
        ``Comparison.table``, of `scprism.compare`.
    ax
        Where to draw; a new figure if not given.
    group
        The group; may be left out if there is one only.
    within
        The label within which they were compared; ``"all"`` is all cells.
    n_units
        Of the units with the smallest q-values, so many at most; those with q < 0.05 are filled.

    Raises
    ------
    InputError
        If the table has no such group or label, or several groups and none is named.
    """
    groups = list(dict.fromkeys(comparison["group"].astype(str)))
    if group is None and len(groups) > 1:
        msg = f"`group` must name one of the groups that were compared: {', '.join(map(repr, groups))}."
        raise InputError(msg)
    chosen = groups[0] if group is None else group
    check_choice("group", chosen, groups)
    check_choice("within", within, list(dict.fromkeys(comparison["within"].astype(str))))
    rows = comparison[(comparison["group"].astype(str) == chosen) & (comparison["within"].astype(str) == within)]
    rows = rows.sort_values(["q_value", "p_value"], kind="stable").head(n_units).sort_values("difference")
    ax = axes_of(ax, rows=max(len(rows), 6))
    for place, row in enumerate(rows.to_dict("records")):
        is_found = row["q_value"] < SIGNIFICANT
        ax.plot([row["low"], row["high"]], [place, place], color=VALIDATION, linewidth=1)
        ax.plot(
            row["difference"], place, marker="o", color=VALIDATION, markerfacecolor=VALIDATION if is_found else "white"
        )
    ax.axvline(0, color=GREY, linewidth=1)
    ax.set_yticks(range(len(rows)), [unit_name(str(unit)) for unit in rows["unit"]], fontsize="small")
    reference = str(rows["reference"].iloc[0]) if len(rows) else "the reference"
    ax.set(xlabel=f"difference of mean activity, {chosen} − {reference}", ylabel="unit")
    return ax
