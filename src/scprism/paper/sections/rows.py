"""What sections share: the rows that were computed, those that were refused, and means over repetitions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scprism.paper.measures.resampling import Estimate, mean_with_interval
from scprism.paper.sections.section import Outcome, Section, Verdict, number

__all__ = ["computed", "fall", "interval_outcome", "means_by", "no_data", "refused", "settled"]


def computed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of cells that were computed."""
    return frame[frame["message"].fillna("") == ""] if len(frame) else frame


def refused(frame: pd.DataFrame) -> str:
    """Return in a sentence how many cells have no result and why the first has none; nothing if all have one."""
    lost = frame[frame["message"].fillna("") != ""] if len(frame) else frame
    if lost.empty:
        return ""
    return f"{len(lost)} of the cells of the grid have no result; the first: {lost['message'].iloc[0]}"


def no_data(name: str, title: str, *, reason: str, claim: str, source: str, paper: str) -> Section:
    """Return the section of an experiment that had nothing to compute."""
    verdict = Verdict(claim, source, paper, "–", "no data", reason)
    return Section(name, title, reason, verdicts=(verdict,))


def means_by(frame: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Return the means of columns over repetitions in each group, with intervals, as text, and their number ``n``."""
    rows = []
    for key, part in frame.groupby(list(by), sort=False, dropna=False):
        estimates = {column: mean_with_interval(part[column].to_numpy(dtype=np.float64)) for column in columns}
        words = {column: number(*estimate) for column, estimate in estimates.items()}
        rows.append({**dict(zip(by, key, strict=True)), "n": len(part), **words})
    return pd.DataFrame(rows)


def fall(before: float, after: float) -> float:
    """Return by which share a value has fallen; below 0 where it rose, NaN if it was 0."""
    return 1 - after / before if before else float("nan")


def interval_outcome(estimates: Sequence[Estimate], *, above: float = 0.0) -> Outcome:
    """Return whether all intervals lie above a value, none does, or some do; NaN counts as not known.

    Examples
    --------
    >>> interval_outcome([(0.2, (0.1, 0.3)), (0.1, (-0.1, 0.3))])
    'mixed'
    """
    known = [interval for _, interval in estimates if np.isfinite(interval).all()]
    return settled([low > above for low, _ in known])


def settled(answers: Sequence[bool]) -> Outcome:
    """Return ``holds`` if all answers are yes, ``does not hold`` if none is, otherwise ``mixed``."""
    if not answers:
        return "not shown"
    return "holds" if all(answers) else "mixed" if any(answers) else "does not hold"
