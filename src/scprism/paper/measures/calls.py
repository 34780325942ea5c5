"""Which gene sets a unit is called for, by three rules, and how many units have one, two, three of them."""

from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, fisher_exact, mannwhitneyu

from scprism.trust.sharing import participation_ratio

__all__ = [
    "PAPER_UNITS",
    "PRIMARY_RULE",
    "RULES",
    "Rule",
    "call_counts",
    "call_summary",
    "compare_counts",
    "single_set_test",
]

Rule: TypeAlias = Literal["all tests", "each ranking", "uncorrected"]
RULES: tuple[Rule, ...] = ("all tests", "each ranking", "uncorrected")
"""A set is called for a unit in a group of cells where it has q < 0.05 over all tests of the explanation; over the sets
of that unit and group alone; or p < 0.05. The paper does not say which it used."""
PRIMARY_RULE: Rule = "each ranking"
"""The rule that is nearest to how the paper may have counted: enrichment tools that are given one ranking at a time
correct over the sets of that ranking."""
ALPHA = 0.05

PAPER_UNITS: dict[str, tuple[int, ...]] = {
    "with": (19, 11, 6, 1, 1),
    "with, other reading": (19, 11, 6, 2, 2),
    "without": (13, 10, 6, 0, 1),
}
"""Units with 1, 2, 3, 4 and 5 significant sets as the paper's Results print them, with and without the constraint; "2
have 4 and 5 pathways, respectively" can be read in two ways."""


def call_counts(enrichment: pd.DataFrame, *, rule: Rule = "all tests") -> pd.DataFrame:
    """Return in how many groups each set is called for each unit, units × sets, all of both, as `count_significant`.

    Parameters
    ----------
    enrichment
        ``group unit gene_set p_value q_value`` with the q-values over all rows. The group ``"all"`` counts only where
        it is alone.
    rule
        See `RULES`.
    """
    groups = enrichment["group"].astype(str)
    counted = enrichment[(groups != "all") | bool((groups == "all").all())]
    hit = _q_values(counted, rule) < ALPHA
    table = counted.assign(hit=hit).pivot_table(
        index="unit", columns="gene_set", values="hit", aggfunc="sum", observed=True
    )
    return table.reindex(index=counted["unit"].unique()).rename_axis(index="unit", columns="gene_set").astype(np.int64)


def _q_values(enrichment: pd.DataFrame, rule: Rule) -> "pd.Series[float]":
    if rule == "each ranking":
        by_ranking = enrichment.groupby(["group", "unit"], observed=True)["p_value"]
        return by_ranking.transform(lambda p: false_discovery_control(p.to_numpy()))
    return enrichment["q_value" if rule == "all tests" else "p_value"]


def call_summary(counts: pd.DataFrame) -> dict[str, float]:
    """Return how far units share sets, from `call_counts`.

    ``units`` and ``sets`` that were tested; ``any`` and ``single``: units with any set and with just one; ``share``:
    the second over the first, NaN without any; ``sets_any``, ``sets_of_one``, ``sets_over_four``: sets called for any
    unit, for one alone, for more than four; ``sets_per_unit``: mean over units with any; ``spread_sets`` and
    ``spread_units``: mean participation ratios of sets in a unit and of units in a set, of those that have any.
    """
    called = counts.to_numpy() > 0
    by_unit, by_set = called.sum(axis=1), called.sum(axis=0)
    n_any, n_single = int((by_unit > 0).sum()), int((by_unit == 1).sum())
    weights = counts.to_numpy(dtype=np.float64)
    sets, units = participation_ratio(weights), participation_ratio(weights.T)
    return {
        "units": len(by_unit),
        "sets": len(by_set),
        "any": n_any,
        "single": n_single,
        "share": n_single / n_any if n_any else float("nan"),
        "sets_any": int((by_set > 0).sum()),
        "sets_of_one": int((by_set == 1).sum()),
        "sets_over_four": int((by_set > 4).sum()),
        "sets_per_unit": float(by_unit[by_unit > 0].mean()) if n_any else float("nan"),
        "spread_sets": float(sets[sets > 0].mean()) if n_any else float("nan"),
        "spread_units": float(units[units > 0].mean()) if n_any else float("nan"),
    }


def single_set_test(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """Return Fisher's exact p, two-sided, for the share of single-set units among units with any.

    Parameters
    ----------
    first, second
        Units with 1, 2, 3, … sets.

    Examples
    --------
    >>> round(single_set_test(PAPER_UNITS["with"], PAPER_UNITS["without"]), 2)
    0.63
    """
    table = [[counts[0], sum(counts[1:])] for counts in (first, second)]
    return float(fisher_exact(table).pvalue)


def compare_counts(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[float, float]:
    """Return the mean number of sets a unit has in `second` less that in `first`, and Mann-Whitney's p of the two.

    Arguments are those of `single_set_test`.
    """
    values = [np.repeat(np.arange(1, len(counts) + 1), counts) for counts in (first, second)]
    p = mannwhitneyu(values[0], values[1], method="asymptotic").pvalue
    return float(values[1].mean() - values[0].mean()), float(p)
