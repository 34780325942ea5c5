"""The section on gene sets of networks that have learned nothing (P6)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scprism.paper.measures.resampling import mean_with_interval
from scprism.paper.sections.rows import computed, interval_outcome, means_by, no_data, refused
from scprism.paper.sections.section import Section, Verdict, number

__all__ = ["section"]

NAME, TITLE = "untrained-sets", "Gene sets of networks that learned nothing (P6)"
CLAIM = "In untrained networks, more unit × set pairs are significant than the nominal 5 %"
NOMINAL = 0.05
TEXT = """Networks as they were drawn, before training, are explained on real cells, and their units' maps tested for
Hallmark sets against random genes: whatever is called says nothing of what a network learned. Maps are ranked by mean
|guided gradient|, by the paper's difference of a type from the whole, and by the default's signed attribution. Units of
one network share its first layer, so intervals are over networks."""


def section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "share_p" not in rows:
        reason = refused(frame) or "No labelled data set of a known organism was there."
        return no_data(NAME, TITLE, reason=reason, claim=CLAIM, source="P6", paper="–")
    by = ["data", "method", "scores"]
    table = means_by(rows, by, ["n_tests", "share_p", "share_q", "n_q", "units_any", "units"])
    text = "\n\n".join(part for part in (TEXT, refused(frame)) if part)
    caption = "Means over untrained networks: tests, shares with p < 0.05 and q < 0.05, and units with any q < 0.05"
    return Section(NAME, TITLE, text, ((caption, table),), verdicts=(_verdict(rows),))


def _verdict(rows: pd.DataFrame) -> Verdict:
    parts, estimates = [], []
    for (data, method, scores), part in rows.groupby(["data", "method", "scores"], sort=False):
        estimate = mean_with_interval(part["share_p"].to_numpy(dtype=np.float64))
        estimates.append(estimate)
        parts.append(f"{data}, {method}, {scores}: {number(*estimate)} (q: {part['share_q'].mean():.3f})")
    ours = "share with p < 0.05: " + "; ".join(parts)
    why = "Holds where every interval lies above 0.05, mixed where some do."
    return Verdict(CLAIM, "P6", "–", ours, interval_outcome(estimates, above=NOMINAL), why)
