"""Which units may be named: the rules, and what they say of each unit."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["MAY_BE_NAMED", "MAY_NOT_BE_NAMED", "MIN_CORRELATION", "MIN_SPREAD", "Limits", "judge_units", "rule_texts"]

MAY_BE_NAMED, MAY_NOT_BE_NAMED = "may be named", "may not be named"
MIN_CORRELATION = 0.7
"""Squared, it is 0.49: two units, or two maps, that correlate by less have less than half of their ranks' variance in
common, and are more different than the same."""
MIN_SPREAD = 1e-3
"""A unit whose spread is below this part of the most variable unit's is as good as constant."""


@dataclass(frozen=True)
class Limits:
    """What chance alone reaches: the 99th percentiles over units of networks that have learned nothing.

    Attributes
    ----------
    correlation
        Of the matched correlation: with the cells shuffled, or with an encoder drawn anew, whichever is higher.
    maps, jaccard
        Of the correlation of partners' maps, and of their share of common leading genes, with an encoder drawn anew
        and its units matched in the same way.
    """

    correlation: float
    maps: float
    jaccard: float


def rule_texts(limits: Limits) -> list[str]:
    """Return the rules in words, in the order in which `judge_units` asks them."""
    return [
        f"It varies over the cells: its spread is above {MIN_SPREAD:g} of the most variable unit's.",
        f"Other seeds find it: the median over refits of its matched correlation is at least {MIN_CORRELATION:g}, so "
        f"that partners share about half of their ranks' variance, and above {limits.correlation:.2f}, the 99th "
        "percentile of matches with shuffled cells and with encoders of random weights.",
        "It depends on how genes vary together: its matched correlation with refits is higher than with a network "
        "trained on the same cells after the values of each gene were dealt out anew.",
        f"Its genes come back: the median correlation of its map with its partners' maps is above {limits.maps:.2f}, "
        f"and the mean overlap (Jaccard) of their leading genes above {limits.jaccard:.2f}, the 99th percentiles of "
        "matches with encoders of random weights.",
        f"Its map is what was learned: after the weights of the bottleneck are drawn anew it never correlates by "
        f"{MIN_CORRELATION:g} or more with what it was.",
        "Its leading genes move it: setting them to their baseline brings it there sooner than genes of like "
        "expression do, in at least 97.5% of draws of such genes and resamples of cells.",
    ]


def judge_units(measured: pd.DataFrame, limits: Limits) -> pd.DataFrame:
    """Return ``verdict`` and ``reason`` for each unit: it may be named if it keeps all rules of `rule_texts`.

    Each rule has its own null; none is fitted to a data set. A unit that chance alone made passes any one of the rules
    with a 99th percentile in one case of a hundred. Keeping them does not make a name right, it makes one possible.

    Parameters
    ----------
    measured
        ``spread matched_correlation shuffled_correlation jaccard_top50 map_correlation randomisation_highest
        deletion_low``, a row a unit.
    """
    rows = [_judge(row, limits, widest=float(measured["spread"].max())) for row in measured.to_dict("records")]
    return pd.DataFrame(
        {
            "verdict": [MAY_NOT_BE_NAMED if reasons else MAY_BE_NAMED for reasons in rows],
            "reason": ["; ".join(reasons) or "keeps all rules" for reasons in rows],
        },
        index=measured.index,
    )


def _judge(row: Mapping[Hashable, float], limits: Limits, *, widest: float) -> list[str]:
    """Return the broken rules in words; NaN breaks a rule."""
    needed = max(MIN_CORRELATION, limits.correlation)
    found, shuffled = row["matched_correlation"], row["shuffled_correlation"]
    genes, maps, random = row["jaccard_top50"], row["map_correlation"], row["randomisation_highest"]
    rules = (
        (row["spread"] > MIN_SPREAD * widest, "hardly varies"),
        (found >= MIN_CORRELATION and found > limits.correlation, f"refits agree by {found:.2f}, needs {needed:.2f}"),
        (found > shuffled, f"a network trained on shuffled genes agrees as well ({shuffled:.2f})"),
        (maps > limits.maps, f"maps of refits agree by {maps:.2f}, chance reaches {limits.maps:.2f}"),
        (genes > limits.jaccard, f"leading genes overlap by {genes:.2f}, chance reaches {limits.jaccard:.2f}"),
        (random < MIN_CORRELATION, f"its map outlives random weights ({random:.2f})"),
        (row["deletion_low"] > 0, "its leading genes move it no more than genes of like expression"),
    )
    return [words for is_kept, words in rules if not np.bool_(is_kept)]
