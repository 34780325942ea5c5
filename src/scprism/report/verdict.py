"""Whether the labels can be trusted: one answer, and what it rests on."""

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from scprism.label.agreement import Agreement
from scprism.query.align import Alignment
from scprism.query.view import USUAL_COVERAGE
from scprism.report.findings import MANY_LOW_CONFIDENCE, MANY_NOVEL
from scprism.report.tables import LOW_CONFIDENCE, percent

__all__ = ["Ground", "verdict_section"]

Level = Literal["good", "caution", "bad"]
ORDER: tuple[Level, ...] = ("good", "caution", "bad")
ANSWERS: dict[Level, str] = {
    "good": "Yes",
    "caution": "With care",
    "bad": "Not without checking them",
}
FEW_GENES = 0.5
"""Below this share of the reference's expression most of what the model reads is filled in."""
MOST_NOVEL = 0.5
LEAST_RIGHT, USUALLY_RIGHT = 0.7, 0.9
"""Shares of right labels, counted or expected, below which labels are not to be used unchecked, or with care."""
UNLIKE = "The query is unlike the reference: "
"""How the warning begins that tells where the query lies."""


@dataclass(frozen=True)
class Ground:
    """One thing that a verdict rests on: what it is about, how good it is, and the finding as part of a sentence."""

    about: str
    level: Level
    text: str


def verdict_section(
    labels: pd.DataFrame | None,
    *,
    alignment: Alignment,
    known: Agreement | None,
    messages: tuple[str, ...],
    held_out: float | None = None,
) -> dict[str, Any] | None:
    """Return the verdict on the labels, None without labels.

    The answer is as good as the worst of its grounds, and names these.

    Parameters
    ----------
    labels
        The table of `Model.label`.
    alignment
        How the query's genes meet the model's.
    known
        How the labels agree with known ones, where they are given.
    messages
        What was warned of when the cells were labelled.
    held_out
        Share of the reference's own cells that are labelled rightly by what was learned without them; None if unknown.
    """
    if labels is None or labels.empty:
        return None
    grounds = [
        _right(labels, known),
        _novel(float(labels["novel"].mean())),
        *([] if held_out is None else [_held_out(held_out)]),
        _low(float((labels["confidence"] < LOW_CONFIDENCE).mean())),
        _place(messages),
        _coverage(alignment),
    ]
    worst = max((ground.level for ground in grounds), key=ORDER.index)
    first, others = grounds[0], [ground.text for ground in grounds[1:] if ground.level == worst]
    if worst == "good":
        reason = f"{first.text}, and {grounds[1].text}"
    elif first.level == worst:
        reason = "; ".join([first.text, *others])
    else:
        reason = f"{first.text}, but {'; '.join(others)}"
    return {
        "level": worst,
        "answer": ANSWERS[worst],
        "reason": reason,
        "grounds": [{"about": g.about, "level": g.level, "text": g.text} for g in grounds],
    }


def _right(labels: pd.DataFrame, known: Agreement | None) -> Ground:
    if known is not None:
        text = f"{percent(known.accuracy)} of {known.n_cells:,} cells of known type are labelled rightly"
        if known.n_unknown:
            text += f"; {known.n_unknown:,} further cells are of types that the reference lacks"
        return Ground("Known labels", _level(known.accuracy), text)
    expected = float(labels["confidence"].mean())
    text = f"about {expected:.0%} of the labels are expected to be right (the mean confidence)"
    return Ground("Expected accuracy", _level(expected), text)


def _held_out(share: float) -> Ground:
    text = f"{percent(share)} of the reference’s own cells are labelled rightly by what is learned without them"
    return Ground("Held-out reference cells", _level(share), text)


def _level(share: float) -> Level:
    if share < LEAST_RIGHT:
        return "bad"
    return "caution" if share < USUALLY_RIGHT else "good"


def _novel(share: float) -> Ground:
    level: Level = "bad" if share > MOST_NOVEL else "caution" if share > MANY_NOVEL else "good"
    text = f"{percent(share)} of the cells are novel, where up to 5% are expected of cells like the reference’s"
    return Ground("Novel cells", level, text)


def _low(share: float) -> Ground:
    level: Level = "bad" if share > 0.5 else "caution" if share > MANY_LOW_CONFIDENCE else "good"
    return Ground("Unsure labels", level, f"{percent(share)} of the cells have a confidence below {LOW_CONFIDENCE:g}")


def _place(messages: tuple[str, ...]) -> Ground:
    unlike = next((text for text in messages if text.startswith(UNLIKE)), None)
    if unlike is None:
        return Ground("Where the query lies", "good", "no warning that the query is unlike the reference")
    told = unlike.removeprefix(UNLIKE).split(". Read confidence")[0]
    return Ground("Where the query lies", "caution", f"the query is unlike the reference ({told})")


def _coverage(alignment: Alignment) -> Ground:
    genes, expression = alignment.share_of_genes, alignment.share_of_expression
    level: Level = "bad" if expression < FEW_GENES else "caution" if genes < USUAL_COVERAGE else "good"
    text = (
        f"the query has {percent(genes)} of the model’s genes, with {percent(expression)} of the reference’s expression"
    )
    return Ground("Gene coverage", level, text)
