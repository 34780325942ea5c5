"""The section on guided maps (P5)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scprism.paper.measures.resampling import Estimate, mean_with_interval
from scprism.paper.sections.rows import computed, interval_outcome, means_by, no_data, refused
from scprism.paper.sections.section import Section, Verdict, number

__all__ = ["paired_differences", "section"]

NAME, TITLE = "guided", "Guided maps against other attributions (P5)"
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


def section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "method" not in rows:
        reason = refused(frame) or "Neither the preset paper nor default was run."
        return no_data(NAME, TITLE, reason=reason, claim=CLAIM, source="P5", paper="–")
    text = "\n\n".join(part for part in (TEXT, refused(frame)) if part)
    tables = (
        ("Means over data sets and seeds", means_by(rows, ["preset", "kind", "method"], MEASURES)),
        ("Guided less the other attribution", _differences(rows)),
    )
    return Section(NAME, TITLE, text, tables, verdicts=(_verdict(rows),))


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
