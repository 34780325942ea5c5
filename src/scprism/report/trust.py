"""What the page states of the units' verdicts, as plain values for the template."""

from typing import Any

import numpy as np

from scprism._check import some
from scprism.errors import InputError
from scprism.report.interactive import unit_name
from scprism.trust.result import Trust, lacking_columns
from scprism.trust.verdict import MAY_BE_NAMED

__all__ = ["check_trust", "trust_section"]


def check_trust(trust: Trust, *, fingerprint: str, are_programs: bool) -> None:
    """Raise `InputError` unless these are verdicts on this model's units, of the kind that the page shows."""
    given: object = trust  # users pass tables too
    if not isinstance(given, Trust):
        msg = f"`trust` must be the result of scprism.assess_units or scprism.read_trust, got {type(given).__name__}."
        raise InputError(msg)
    lacking = lacking_columns(trust.table)
    lacking += [] if "fingerprint" in trust.settings else ["settings"]
    if lacking:
        msg = f"`trust` must be the result of scprism.assess_units; it lacks {some(lacking)}."
        raise InputError(msg)
    if ("replication" in trust.table.columns) != are_programs:
        shown, judged = ("programs", "raw units") if are_programs else ("raw units", "programs")
        msg = f"`trust` must be of the units that `explanation` is about, {shown}; got verdicts on {judged}."
        raise InputError(f"{msg} Choose by TrustSettings(units=…), on the command line: scprism trust --units.")
    got = trust.settings["fingerprint"]
    if got != fingerprint:
        msg = f"`trust` must be of this model (fingerprint {fingerprint}), got verdicts on the model {got}."
        source = "scprism.assess_units(model, cells, reference=…), on the command line: scprism trust"
        raise InputError(f"{msg} Give the result of {source}.")


def trust_section(trust: Trust | None) -> dict[str, Any] | None:
    """Return the verdicts on raw units in words and numbers, None without them."""
    if trust is None or "replication" in trust.table.columns:  # programs: at each card
        return None
    facts = trust.settings
    shown = ("matched_correlation", "map_correlation", "jaccard_top50", "randomisation_correlation", "deletion_gain")
    rows = [
        {
            "name": unit_name(str(row["unit"])),
            "may": row["verdict"] == MAY_BE_NAMED,
            "reason": row["reason"],
            **{name: _number(row[name]) for name in shown},
            "interval": f"{_number(row['deletion_low'])} to {_number(row['deletion_high'])}",
        }
        for row in trust.table.to_dict("records")
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


def _number(value: float | None) -> str:
    """Return a number with two decimals, a dash for none."""
    return "–" if value is None or np.isnan(value) else f"{value:.2f}".replace("-", "−")
