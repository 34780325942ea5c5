"""The numbers behind the figures and the page, as tables."""

import numpy as np
import pandas as pd

from scprism.explain.explanation import ALL, Explanation
from scprism.types import FloatArray

__all__ = [
    "LOW_CONFIDENCE",
    "SIGNIFICANT",
    "confidence_counts",
    "counted_groups",
    "dead_units",
    "label_table",
    "leading_groups",
    "percent",
    "sets_per_unit",
    "significant_groups",
    "wilson_interval",
]

SIGNIFICANT = 0.05
"""A gene set counts as significant below this q-value."""
LOW_CONFIDENCE = 0.5
"""Below this probability a label is more likely wrong than right."""
CONSTANT = 1e-3
"""A unit whose spread is below this part of the most variable unit's says nothing."""


def label_table(labels: pd.DataFrame) -> pd.DataFrame:
    """Return one row a label, most frequent first: ``cells share mean_confidence low_confidence novel``.

    Parameters
    ----------
    labels
        The result of `Model.label`. ``low_confidence`` and ``novel`` count cells; ``share`` is of all cells.
    """
    names = labels["label"].astype(str)
    by_label = pd.DataFrame(
        {
            "cells": 1,
            "mean_confidence": labels["confidence"].astype(float),
            "low_confidence": labels["confidence"] < LOW_CONFIDENCE,
            "novel": labels["novel"].astype(bool),
        }
    ).groupby(names.to_numpy())
    table = by_label.agg({"cells": "sum", "mean_confidence": "mean", "low_confidence": "sum", "novel": "sum"})
    table.insert(1, "share", table["cells"] / max(len(labels), 1))
    return table.rename_axis("label").sort_index().sort_values("cells", ascending=False, kind="stable")


def confidence_counts(labels: pd.DataFrame, *, n_bins: int = 10) -> pd.DataFrame:
    """Return the number of cells in each confidence bin; rows are labels, as in `label_table`, columns upper bin edges.

    A bin holds its lower edge; the last holds 1 as well.
    """
    order = label_table(labels).index
    # rounded first: 9 of 15 neighbours is 0.6, whatever the last bit says
    places = np.floor(np.round(labels["confidence"].to_numpy(dtype=float) * n_bins, 9))
    bins = np.clip(places, 0, n_bins - 1).astype(np.int64)
    counts = np.zeros((len(order), n_bins), dtype=np.int64)
    np.add.at(counts, (order.get_indexer(pd.Index(labels["label"].astype(str))), bins), 1)
    return pd.DataFrame(counts, index=order, columns=[(i + 1) / n_bins for i in range(n_bins)])


def counted_groups(enrichment: pd.DataFrame) -> list[str]:
    """Return the groups in which sets are counted: all but the whole data set, or that where it is alone."""
    groups = [str(g) for g in enrichment["group"].unique()]
    return [g for g in groups if g != ALL] or groups


def significant_groups(enrichment: pd.DataFrame, *, threshold: float = SIGNIFICANT) -> pd.DataFrame:
    """Return in how many groups each gene set is significant for each unit: the map of the paper's Figure 5.

    Only sets and units with at least one are kept. Sets come with the highest sum first; units are ordered by the set
    that leads them, so that units of one set stand side by side.

    Parameters
    ----------
    enrichment
        ``group unit gene_set … q_value``. The group ``"all"`` is left out where there are others.
    """
    counted = enrichment["group"].astype(str).isin(counted_groups(enrichment))
    hits = enrichment[counted & (enrichment["q_value"] < threshold)]
    if hits.empty:
        return pd.DataFrame()
    hit_units = set(hits["unit"].astype(str))
    order = [u for u in dict.fromkeys(enrichment["unit"].astype(str)) if u in hit_units]
    counts = pd.crosstab(hits["gene_set"].astype(str), hits["unit"].astype(str)).rename_axis(None, axis=1)[order]
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    leads = counts.to_numpy().argmax(axis=0)
    return counts.iloc[:, np.argsort(leads, kind="stable")].rename_axis("gene_set")


def sets_per_unit(enrichment: pd.DataFrame, *, threshold: float = SIGNIFICANT) -> pd.Series:
    """Return how many sets are significant in at least one group for each unit that was tested, in order."""
    units = list(dict.fromkeys(enrichment["unit"].astype(str)))
    counts = significant_groups(enrichment, threshold=threshold)
    return (counts > 0).sum(axis=0).reindex(units, fill_value=0).astype(int)


def leading_groups(explanation: Explanation) -> list[str]:
    """Return for each unit the group in which it weighs most, compared with what all units weigh there.

    A unit's weight in a group is the sum over genes of |mean attribution|, divided by the mean of that over the units:
    without this a small or far-off group, where everything is large, would lead every unit. The whole data set is no
    group unless it is alone; a single unit is not divided.
    """
    groups = [g for g in explanation.groups if g != ALL] or [ALL]
    weights = np.array([np.abs(explanation.frame(g).to_numpy(dtype=np.float64)).sum(axis=1) for g in groups])
    if len(explanation.units) > 1:
        totals = weights.mean(axis=1, keepdims=True)
        weights = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)
    return [groups[i] for i in weights.argmax(axis=0)]


def dead_units(latent: FloatArray) -> np.ndarray:
    """Return which units are as good as constant over the cells (cells, units): bool (units,)."""
    spread = latent.std(axis=0, dtype=np.float64)
    return np.asarray(spread <= CONSTANT * spread.max())


def percent(share: float) -> str:
    """Return a share in per cent; only all is 100% and only none is 0%.

    Examples
    --------
    >>> [percent(share) for share in (0, 0.0004, 0.125, 0.9999, 1)]
    ['0%', '<0.1%', '12.5%', '>99.9%', '100%']
    """
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.0%}" if share in (0, 1) else f"{share:.1%}"


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `n` cells (Wilson, J. Am. Stat. Assoc. 22, 209 (1927)).

    Examples
    --------
    >>> [round(end, 3) for end in wilson_interval(0.9, 10)]
    [0.596, 0.982]
    """
    z = 1.959964
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return float(min(middle - half, share)), float(max(middle + half, share))
