"""Whether the penalty and L1 of the released code act on training at all (prediction P1)."""

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import pandas as pd

from scprism.model.weights import Weights
from scprism.paper.experiments.units import file_shape, off_orthonormal
from scprism.paper.measures.bootstrap import Outcome
from scprism.paper.networks import NetworkSpec, NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.scale import scaled_config
from scprism.paper.section import Section, Verdict, computed, no_data, refused

__all__ = ["RELEASED_PENALTY", "largest_change"]

WEIGHTS = ((1e-5, 0.0), (1.0, 0.0), (1000.0, 0.0), (0.0, 1e-5), (0.0, 1e-3))
"""Of the penalty and of L1: the top of the paper's ranges, and far above."""
SHARE_OF_EPOCHS = 20
NAME = "released-penalty"
CLAIM = "As released, any weight of the penalty and of L1 gives the same network, bit for bit"
TEXT = """In the one released commit that was read, penalty and L1 are computed from detached weights. The preset
`as_released` does the same: it is trained on one data set for a few epochs with several weights, from the same seed,
and compared with the training without either; then the same with gradients. This shows what such code does, not which
code made the paper's figures."""


def plan_released_penalty(plan: Plan) -> list[Cell]:
    if "as_released" not in plan.presets:
        return []
    source = min(plan.wholes, key=lambda s: (file_shape(s.path), s.name))
    config = scaled_config("as_released", plan.scale)
    config = config.changed(max_epochs=max(1, config.max_epochs // SHARE_OF_EPOCHS))
    cells = []
    for has_gradient in (False, True):
        without = config.changed(
            penalty_weight=0.0, l1_weight=0.0, penalty_gradient=has_gradient, l1_gradient=has_gradient
        )
        for penalty, l1 in WEIGHTS:
            settings = {"data": source.name, "gradient": has_gradient, "penalty": penalty, "l1": l1}
            pair = (without, without.changed(penalty_weight=penalty, l1_weight=l1))
            networks = tuple(NetworkSpec(source, chosen, 0) for chosen in pair)
            cells.append(Cell(NAME, settings, (source,), networks))
    return cells


def run_released_penalty(cell: Cell, store: NetworkStore) -> Rows:
    """Return how far weights are from those of the same training without penalty and L1, and from orthonormal."""
    without, trained = (store.network(spec).weights for spec in cell.networks)
    return [
        {
            "identical": without.fingerprint() == trained.fingerprint(),
            "largest_change": largest_change(without, trained),
            "off_orthonormal": off_orthonormal(trained.latent_weight),
            "off_orthonormal_without": off_orthonormal(without.latent_weight),
            "epochs": cell.networks[0].settings.max_epochs,
        }
    ]


def largest_change(first: Weights, second: Weights) -> float:
    """Return the largest difference between weights or biases of two networks of one shape."""
    pairs = [(getattr(first, f.name), getattr(second, f.name)) for f in fields(Weights)]
    return max(float(np.abs(a - b).max()) for a, b in pairs if isinstance(a, np.ndarray))


def report_released_penalty(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "identical" not in rows:
        reason = refused(frame) or "The preset as_released was not run."
        return no_data(reason=reason, claim=CLAIM, source="P1", paper="–")
    columns = ["data", "epochs", "gradient", "penalty", "l1", "identical", "largest_change", "off_orthonormal"]
    table = (
        rows[columns].astype({"gradient": bool, "identical": bool}).astype({"gradient": object, "identical": object})
    )
    text = "\n\n".join(part for part in (TEXT, refused(frame)) if part)
    caption = "Trainings from one seed; largest change of a weight from the training without penalty and L1"
    return Section(text, ((caption, table),), verdicts=(_verdict(rows),))


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


RELEASED_PENALTY = Experiment(
    NAME, "The penalty as released (P1)", plan_released_penalty, run_released_penalty, report_released_penalty
)
