"""What one experiment adds to the audit page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd
from matplotlib.figure import Figure

__all__ = ["Outcome", "Section", "Verdict", "number", "percent"]

Outcome = Literal["holds", "does not hold", "mixed", "not shown", "no data"]


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
    """

    claim: str
    source: str
    paper: str
    ours: str
    outcome: Outcome
    why: str = ""


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

    name: str
    title: str
    text: str
    tables: tuple[tuple[str, pd.DataFrame], ...] = ()
    figures: Mapping[str, tuple[str, Figure]] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()


def number(value: float, interval: tuple[float, float] | None = None, *, digits: int = 3) -> str:
    """Return a number as the page prints it, with its interval.

    Examples
    --------
    >>> number(0.12345, (0.1, 0.2))
    '0.123 [0.100, 0.200]'
    """
    text = f"{value:.{digits}f}"
    return text if interval is None else f"{text} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"


def percent(share: float) -> str:
    """Return a share in per cent.

    Examples
    --------
    >>> percent(0.256)
    '26 %'
    """
    return f"{100 * share:.0f} %"
