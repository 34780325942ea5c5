"""Names of labels as they stand in a data set: as text, without those that stand for no label."""

import re

import pandas as pd
from anndata import AnnData

from scprism._check import closest, some
from scprism._warnings import warn
from scprism.errors import InputError

__all__ = ["known_labels", "labels_as_text", "similar_labels"]

UNLABELLED = frozenset({"", "na", "nan", "none", "<na>"})
"""Names, in lower case, that stand for a cell without a label."""
UNREMARKABLE = frozenset({"", "na"})
"""Those of them that nobody takes for the name of a type; of the others a warning tells."""


def labels_as_text(values: pd.Series) -> pd.Series:
    """Return labels as text, NaN for those that stand for no label, such as "NA" and empty text.

    Whole numbers are written without a point, whether the column holds 1 or 1.0.

    Examples
    --------
    >>> labels_as_text(pd.Series(["B cell", "NA", 1.0], dtype=object)).tolist()
    ['B cell', nan, '1']
    """
    text = values.astype("object").map(_text, na_action="ignore").astype("object").fillna("")
    known: pd.Series[str] = text.where(~text.str.strip().str.lower().isin(UNLABELLED))
    return known


def similar_labels(known: pd.Series) -> list[tuple[str, ...]]:
    """Return groups of labels that differ only in blanks, capitals or a trailing ".0", and so may be one type.

    Examples
    --------
    >>> similar_labels(pd.Series(["B cell", "b cell ", "T cell", "1", "1.0"]))
    [('1', '1.0'), ('B cell', 'b cell ')]
    """
    names = pd.Series(sorted(known.dropna().unique()), dtype=object)
    groups = names.groupby(names.map(_simplified)).agg(tuple)
    return [group for group in groups if len(group) > 1]


def known_labels(reference: AnnData, column: str) -> pd.Series:
    """Return the labels of a reference as text, NaN for cells without one.

    Warns
    -----
    PrismWarning
        If names such as "nan" were taken for missing, if labels differ in blanks, capitals or a trailing ".0" only, or
        if there are so many different ones, or so few, that they hardly are cell types.

    Raises
    ------
    InputError
        If there is no such column, or no cell has a label.
    """
    if column not in reference.obs:
        msg = (
            f"`labels` must be a column of the reference's `.obs`, got {column!r}. "
            f"Closest: {closest(column, reference.obs)}."
        )
        raise InputError(msg)
    values = reference.obs[column]
    known = labels_as_text(values)
    n_labels, n_labelled = known.nunique(), int(known.notna().sum())
    if n_labels == 0:
        msg = f"No reference cell has a label in {column!r}. Choose a column of `.obs` that holds cell types."
        raise InputError(msg)
    for message in _remarks(values, known, column):
        warn(message)
    if n_labels == 1 or n_labels > n_labelled / 2:
        msg = (
            f"{column!r} holds {n_labels:,} different labels for {n_labelled:,} reference cells; are these cell types?"
        )
        warn(msg)
    return known


def _remarks(values: pd.Series, known: pd.Series, column: str) -> list[str]:
    remarks = []
    named_missing = values[known.isna() & values.notna()].astype(str)
    names = sorted(name for name in named_missing.unique() if name.strip().lower() not in UNREMARKABLE)
    if names:
        n_cells = int(named_missing.isin(names).sum())
        remarks.append(
            f"{n_cells:,} cells whose label in {column!r} is {some(names)} count as cells without a label. If that is "
            "the name of a type, rename it."
        )
    similar = similar_labels(known)
    if similar:
        groups = "; ".join(" and ".join(repr(name) for name in group) for group in similar[:5])
        more = f" and {len(similar) - 5:,} more" if len(similar) > 5 else ""
        remarks.append(
            f"Some labels in {column!r} differ in blanks, capitals or '.0' only, and are kept apart: {groups}{more}. "
            "If they are one type, give them one name."
        )
    return remarks


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _simplified(name: str) -> str:
    """Return a name without what is easily written in two ways: blanks, capitals, the point of a whole number."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", re.sub(r"[\s_]+", " ", name).strip().casefold())
