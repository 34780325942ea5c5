"""The table of verdicts: its columns and its file."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from scprism._check import some
from scprism._files import replacing
from scprism.errors import BundleError, InputError
from scprism.types import PathLike

__all__ = ["TRUST_COLUMNS", "read_trust", "write_trust"]

TRUST_COLUMNS = (
    "unit",
    "spread",
    "matched_correlation",
    "shuffled_correlation",
    "map_correlation",
    "jaccard_top50",
    "jaccard_sets",
    "n_sets",
    "randomisation_correlation",
    "randomisation_highest",
    "encoder_correlation",
    "deletion_gain",
    "deletion_low",
    "deletion_high",
    "deletion_random",
    "insertion_gain",
    "insertion_low",
    "insertion_high",
    "insertion_random",
    "verdict",
    "reason",
)
WORDS = ("unit", "verdict", "reason")


def write_trust(table: pd.DataFrame, path: PathLike) -> None:
    """Write the verdicts as tab-separated text, and what they rest on (the table's ``attrs``) as JSON beside it."""
    _check_columns(table, name="`table`", error=InputError)
    with replacing(path) as scratch:
        table.to_csv(scratch, sep="\t", index=False, columns=list(TRUST_COLUMNS), lineterminator="\n")
    with replacing(_facts_path(path)) as scratch:
        scratch.write_text(json.dumps(table.attrs, indent=2) + "\n", encoding="utf-8")


def read_trust(path: PathLike) -> pd.DataFrame:
    """Return the table that `write_trust` or ``scprism trust`` wrote, numbers exact, with its ``attrs``.

    Raises
    ------
    BundleError
        If the table or the JSON beside it is missing, or is something else.
    """
    kinds = {name: str if name in WORDS else np.float64 for name in TRUST_COLUMNS}
    try:
        table = pd.read_csv(
            path, sep="\t", dtype=kinds, keep_default_na=False, na_values=[""], float_precision="round_trip"
        )
        table.attrs = json.loads(_facts_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"The verdicts in {str(path)!r} cannot be read: {error}. `scprism trust` writes them, and a JSON beside."
        raise BundleError(msg) from error
    _check_columns(table, name=repr(str(path)), error=BundleError)
    return table


def _check_columns(table: pd.DataFrame, *, name: str, error: type[InputError] | type[BundleError]) -> None:
    lacking = [column for column in TRUST_COLUMNS if column not in table.columns]
    if lacking:
        msg = f"{name} must have the columns of `scprism.assess_units`; it lacks {some(lacking)}."
        raise error(msg)


def _facts_path(path: PathLike) -> Path:
    return Path(path).with_suffix(".json")
