"""The table of verdicts: its columns and its file."""

import numpy as np
import pandas as pd

from scprism._check import some
from scprism._files import read_record, read_table, record_path, write_table
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
    """Write the verdicts as TSV, CSV or Parquet, and what they rest on (the table's ``attrs``) as ``PATH.json``."""
    _check_columns(table, name="`table`", error=InputError)
    write_table(table[list(TRUST_COLUMNS)], path, record=table.attrs)


def read_trust(path: PathLike) -> pd.DataFrame:
    """Return the table that `write_trust` or ``scprism trust`` wrote, numbers exact, with its ``attrs``.

    Raises
    ------
    BundleError
        If the table or the JSON beside it is missing, or is something else.
    """
    kinds = {name: str if name in WORDS else np.float64 for name in TRUST_COLUMNS}
    try:
        table = read_table(path, dtypes=kinds, missing=[""])
        record = read_record(path)
    except (OSError, ValueError) as error:
        msg = f"The verdicts in {str(path)!r} cannot be read: {error}. `scprism trust` writes them, and a JSON beside."
        raise BundleError(msg) from error
    if record is None:
        msg = f"The verdicts in {str(path)!r} lie without their record {str(record_path(path))!r}. Copy both."
        raise BundleError(msg)
    table.attrs = record
    _check_columns(table, name=repr(str(path)), error=BundleError)
    return table


def _check_columns(table: pd.DataFrame, *, name: str, error: type[InputError] | type[BundleError]) -> None:
    lacking = [column for column in TRUST_COLUMNS if column not in table.columns]
    if lacking:
        msg = f"{name} must have the columns of `scprism.assess_units`; it lacks {some(lacking)}."
        raise error(msg)
