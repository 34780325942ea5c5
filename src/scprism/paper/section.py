"""What one experiment adds to the audit page, and what sections are made with: means, intervals, outcomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scprism.paper.measures.bootstrap import Estimate, Outcome, mean_with_interval, number

__all__ = [
    "Section",
    "Verdict",
    "computed",
    "fall",
    "interval_outcome",
    "means_by",
    "no_data",
    "percent",
    "refused",
    "settled",
]


@dataclass(frozen=True)
class Verdict:
    """A claim, what the paper has for it, what came out here, and how the two compare.

    Attributes
    ----------
    claim
        The claim or prediction, in a line.
    source
        Where it stands: ``"Figure 3"``, ``"P4"``.
    paper, ours
        The figures, with effect size and interval in ours.
    outcome
        ``"mixed"`` where data sets disagree, ``"not shown"`` where the data cannot tell.
    why
        What explains a difference, or limits what was shown.
    for_default
        The same question asked of the preset ``default``; empty where it was not asked.
    """

    claim: str
    source: str
    paper: str
    ours: str
    outcome: Outcome
    why: str = ""
    for_default: Outcome | Literal[""] = ""


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes
    ----------
    text
        Markdown: what was run, and what came out.
    tables
        Caption and table; indices are not printed.
    figures
        File name without suffix → caption and figure.
    """

    text: str
    tables: tuple[tuple[str, pd.DataFrame], ...] = ()
    figures: Mapping[str, tuple[str, Figure]] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()


def percent(share: float) -> str:
    """Return a share in per cent.

    Examples
    --------
    >>> percent(0.256)
    '26 %'
    """
    return f"{100 * share:.0f} %"


def computed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of cells that were computed."""
    return frame[frame["message"].fillna("") == ""] if len(frame) else frame


def refused(frame: pd.DataFrame) -> str:
    """Return in a sentence how many cells have no result and why the first has none; nothing if all have one."""
    lost = frame[frame["message"].fillna("") != ""] if len(frame) else frame
    if lost.empty:
        return ""
    return f"{len(lost)} of the cells of the grid have no result; the first: {lost['message'].iloc[0]}"


def no_data(*, reason: str, claim: str, source: str, paper: str) -> Section:
    """Return the section of an experiment that had nothing to compute."""
    verdict = Verdict(claim, source, paper, "–", "no data", reason)
    return Section(reason, verdicts=(verdict,))


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
