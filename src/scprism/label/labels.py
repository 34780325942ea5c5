"""Labels of the nearest reference cells, with what says how far to trust them."""

from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import closest
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.label.evidence import cast_votes
from scprism.label.neighbours import BLOCK, neighbour_finder
from scprism.label.reference import LabelReference, voters_of
from scprism.model.config import Config
from scprism.types import FloatArray, IntArray

__all__ = ["known_labels", "label_cells", "labels_as_text", "neighbour_labels"]

UNLABELLED = frozenset({"", "na", "nan", "none", "<na>"})
"""Names, in lower case, that stand for a cell without a label."""


def neighbour_labels(
    reference: FloatArray,
    labels: IntArray,
    query: FloatArray,
    *,
    n_neighbours: int,
    metric: Literal["cosine", "euclidean"],
) -> IntArray:
    """Return the label number with most votes, all equal, of each query cell's nearest reference cells, (cells,).

    Parameters
    ----------
    reference, query
        Features on one scale, (cells, features).
    labels
        Label number of each reference cell, 0 to the number of labels − 1.
    n_neighbours
        Neighbours that vote; fewer if the reference has fewer cells. Of equals, the label of the nearer ones wins.
    metric
        Distance between cells.
    """
    neighbours = neighbour_finder(reference, metric=metric)(query, n_neighbours)
    return cast_votes(labels[neighbours.cell])[0]


def label_cells(query: FloatArray, reference: LabelReference, *, names: pd.Index, config: Config) -> pd.DataFrame:
    """Return the labels of a query's latent as a table: ``label confidence distance novel``, index ``cell``.

    Parameters
    ----------
    query
        Latent of the query, (cells, units).
    reference
        Labelled cells of the same model.
    names
        Of the query cells.
    config
        Metric, scaling, whitening, votes and number of neighbours.
    """
    voters = voters_of(reference, config)
    label_names, calibration = np.asarray(reference.names, dtype=object), reference.calibration
    parts = []
    for start in range(0, max(len(query), 1), BLOCK):
        block = query[start : start + BLOCK]
        calls = voters.calls(block, voters.find(block, voters.n_neighbours))
        table = {
            "label": label_names[calls.label],
            "confidence": calibration.confidence(calls.evidence),
            "distance": calls.distance,
            "novel": calibration.novel(calls.evidence),
        }
        parts.append(pd.DataFrame(table, index=pd.Index(names[start : start + BLOCK], name="cell")))
    return pd.concat(parts)


def labels_as_text(values: pd.Series) -> pd.Series:
    """Return labels as text, NaN for those that stand for no label, such as "NA" and empty text."""
    text = values.astype("object").map(str, na_action="ignore").astype("object").fillna("")
    known: pd.Series[str] = text.where(~text.str.strip().str.lower().isin(UNLABELLED))
    return known


def known_labels(reference: AnnData, column: str) -> pd.Series:
    """Return the labels of a reference as text, NaN for cells without one.

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
    known = labels_as_text(reference.obs[column])
    n_labels, n_labelled = known.nunique(), int(known.notna().sum())
    if n_labels == 0:
        msg = f"No reference cell has a label in {column!r}. Choose a column of `.obs` that holds cell types."
        raise InputError(msg)
    if n_labels == 1 or n_labels > n_labelled / 2:
        msg = (
            f"{column!r} holds {n_labels:,} different labels for {n_labelled:,} reference cells; are these cell types?"
        )
        warn(msg)
    return known
