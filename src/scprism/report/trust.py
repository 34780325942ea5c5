"""What the page states of the units' verdicts, as plain values for the template."""

from typing import Any

import numpy as np
import pandas as pd

from scprism._check import some
from scprism.errors import InputError
from scprism.report.interactive import unit_name
from scprism.trust.table import TRUST_COLUMNS
from scprism.trust.verdict import MAY_BE_NAMED

__all__ = ["check_trust", "trust_section"]


def check_trust(trust: pd.DataFrame, *, fingerprint: str) -> None:
    """Raise `InputError` unless the table is one of verdicts on this model."""
    lacking = [column for column in TRUST_COLUMNS if column not in trust.columns]
    if lacking or "fingerprint" not in trust.attrs:
        msg = f"`trust` must be the result of scprism.assess_units; it lacks {some([*lacking, *_lost(trust)])}."
        raise InputError(msg)
    if trust.attrs["fingerprint"] != fingerprint:
        got = trust.attrs["fingerprint"]
        msg = f"`trust` must be of this model (fingerprint {fingerprint}), got verdicts on the model {got}."
        source = "scprism.assess_units(model, cells, reference=…), on the command line: scprism trust"
        raise InputError(f"{msg} Give the result of {source}.")


def trust_section(trust: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return the verdicts in words and numbers, None without them."""
    if trust is None:
        return None
    facts = trust.attrs
    shown = ("matched_correlation", "map_correlation", "jaccard_top50", "randomisation_correlation", "deletion_gain")
    rows = [
        {
            "name": unit_name(str(row["unit"])),
            "may": row["verdict"] == MAY_BE_NAMED,
            "reason": row["reason"],
            **{name: _number(row[name]) for name in shown},
            "interval": f"{_number(row['deletion_low'])} to {_number(row['deletion_high'])}",
        }
        for row in trust.to_dict("records")
    ]
    medians = ("median_matched_correlation", "median_pca_correlation", "median_nmf_correlation")
    sharing = ("map_cosine", "sets_per_unit", "units_per_set")
    return {
        "rows": rows,
        "n_may": sum(row["may"] for row in rows),
        "rules": facts["rules"],
        **{name: facts[name] for name in ("n_refits", "n_draws", "n_cells")},
        **{name: _number(facts[name]) for name in (*medians, *sharing)},
    }


def _lost(trust: pd.DataFrame) -> list[str]:
    return [] if "fingerprint" in trust.attrs else ["its attrs"]


def _number(value: float | None) -> str:
    """Return a number with two decimals, a dash for none."""
    return "–" if value is None or np.isnan(value) else f"{value:.2f}".replace("-", "−")
