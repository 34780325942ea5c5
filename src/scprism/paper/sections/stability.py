"""The section on stability over seeds (P7)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scprism.paper.measures.resampling import Estimate, mean_with_interval
from scprism.paper.sections.rows import computed, means_by, no_data, refused
from scprism.paper.sections.section import Outcome, Section, Verdict, number

__all__ = ["section"]

NAME, TITLE = "stability", "Units and their span over seeds (P7)"
CLAIM = "Single units are not stable across seeds; the span of the bottleneck is"
HALF = 0.5
MEASURES = ("matched", "single_r2", "span_r2", "canonical", "jaccard_top50")
TRAINED = ("paper", "default")
TEXT = """Two fits of the same cells are compared over all these cells. `matched`: mean |Spearman| of units matched one
to one; `single_r2`: share of a unit's variance that its one partner explains; `span_r2`: share that all units of the
other fit predict linearly, in cells that the prediction was not fitted on; `canonical`: mean canonical correlation in
such cells; `jaccard_top50`: genes that lead both a unit and its partner. The shares are those of the median unit: a
few units that hardly vary can have shares far below 0. Untrained networks say what random units of so
many cells share, and PCA of random halves of the cells what a method without seeds does."""


def section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "span_r2" not in rows:
        return no_data(NAME, TITLE, reason=refused(frame) or "No data.", claim=CLAIM, source="P7", paper="–")
    rows = rows.assign(jaccard_top50=rows.get("jaccard_top50", np.nan))
    by_data = rows.groupby(["data", "kind"], sort=False)[list(MEASURES)].mean().reset_index()
    text = "\n\n".join(part for part in (TEXT, refused(frame)) if part)
    tables = (
        ("Means over data sets, with intervals over these", means_by(by_data, ["kind"], MEASURES)),
        ("Means over pairs of fits", by_data),
    )
    return Section(NAME, TITLE, text, tables, verdicts=(_verdict(by_data),))


def _verdict(by_data: pd.DataFrame) -> Verdict:
    def estimate(kind: str, measure: str) -> Estimate:
        return mean_with_interval(by_data.loc[by_data["kind"] == kind, measure].to_numpy(dtype=np.float64))

    kinds = [kind for kind in TRAINED if (by_data["kind"] == kind).any()]
    parts, unstable, spanned = [], [], []
    for kind in kinds:
        single, span = estimate(kind, "single_r2"), estimate(kind, "span_r2")
        unstable.append(single[1][1] < HALF)
        spanned.append(span[1][0] > HALF and span[0] > estimate("untrained", "span_r2")[0])
        parts.append(f"{kind}: partner explains {number(*single, digits=2)}, all units {number(*span, digits=2)}")
    for kind in ("untrained", "PCA of halves"):
        one, all_units = estimate(kind, "single_r2")[0], estimate(kind, "span_r2")[0]
        parts.append(f"{kind}: {one:.2f} and {all_units:.2f}")
    outcome: Outcome = "holds" if kinds and all(unstable) and all(spanned) else "mixed"
    if not any(unstable) or not any(spanned):
        outcome = "does not hold"
    ours = f"share of a median unit's variance, means over {by_data['data'].nunique()} data sets: " + "; ".join(parts)
    why = (
        "Holds where for each preset a partner explains under half of a unit, and all units over half and more than in "
        "untrained networks, intervals being over data sets."
    )
    return Verdict(CLAIM, "P7", "–", ours, outcome, why)
