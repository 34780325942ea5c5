"""The section on the penalty as released (P1)."""

from collections.abc import Mapping

import pandas as pd

from scprism.paper.sections.rows import computed, no_data, refused
from scprism.paper.sections.section import Outcome, Section, Verdict

__all__ = ["section"]

NAME, TITLE = "released-penalty", "The penalty as released (P1)"
CLAIM = "As released, any weight of the penalty and of L1 gives the same network, bit for bit"
TEXT = """In the one released commit that was read, penalty and L1 are computed from detached weights. The preset
`as_released` does the same: it is trained on one data set for a few epochs with several weights, from the same seed,
and compared with the training without either; then the same with gradients. This shows what such code does, not which
code made the paper's figures."""


def section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "identical" not in rows:
        reason = refused(frame) or "The preset as_released was not run."
        return no_data(NAME, TITLE, reason=reason, claim=CLAIM, source="P1", paper="–")
    columns = ["data", "epochs", "gradient", "penalty", "l1", "identical", "largest_change", "off_orthonormal"]
    table = (
        rows[columns].astype({"gradient": bool, "identical": bool}).astype({"gradient": object, "identical": object})
    )
    text = "\n\n".join(part for part in (TEXT, refused(frame)) if part)
    caption = "Trainings from one seed; largest change of a weight from the training without penalty and L1"
    return Section(NAME, TITLE, text, ((caption, table),), verdicts=(_verdict(rows),))


def _verdict(rows: pd.DataFrame) -> Verdict:
    released = rows[~rows["gradient"].astype(bool)]
    live = rows[rows["gradient"].astype(bool)]
    same, changed = int(released["identical"].sum()), int((~live["identical"].astype(bool)).sum())
    outcome: Outcome = "holds" if same == len(released) and changed else "does not hold"
    largest = live["largest_change"].max() if len(live) else float("nan")
    ours = (
        f"{same} of {len(released)} trainings identical without gradients; with them {changed} of {len(live)} differ, "
        f"weights by up to {largest:.2g}"
    )
    return Verdict(CLAIM, "P1", "–", ours, outcome, "Of the released commit; shown with our own code of the same rule.")
