"""The paper's kNN experiment: how well reference cells predict the types of foreign cells (its Figures 3 and 4)."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, recall_score

from scprism.errors import InputError
from scprism.label.neighbours import neighbour_labels
from scprism.types import FloatArray

__all__ = ["knn_scores"]


def knn_scores(
    reference: FloatArray,
    reference_labels: Sequence[str],
    query: FloatArray,
    query_labels: Sequence[str],
    *,
    neighbours: Sequence[int],
    metric: Literal["cosine", "euclidean"],
) -> pd.DataFrame:
    """Return accuracy, macro-F1 and balanced accuracy of kNN label transfer for each number of neighbours.

    Query cells count if their type occurs in the reference (`method.md`, section 7); predictions may be any type of the
    reference. Macro-F1 is over the types of these query cells. ``majority`` is the accuracy of calling every cell the
    reference's commonest type.

    Parameters
    ----------
    reference, query
        Any features on one scale, (cells, features).
    reference_labels, query_labels
        A type for each cell.
    neighbours
        The numbers of neighbours.

    Raises
    ------
    InputError
        If no type occurs in both.
    """
    names, codes = np.unique(np.asarray(reference_labels, dtype=str), return_inverse=True)
    truth = np.asarray(query_labels, dtype=str)
    shared = np.isin(truth, names)
    if not shared.any():
        msg = (
            "No cell type of the query occurs in the reference, so label transfer cannot be scored. Harmonise "
            "the labels."
        )
        raise InputError(msg)
    truth, cells = truth[shared], query[shared]
    majority = float((truth == names[np.bincount(codes).argmax()]).mean())
    rows = []
    types = np.unique(truth)
    for k in neighbours:
        calls = names[neighbour_labels(reference, codes, cells, n_neighbours=k, metric=metric)]
        rows.append(
            {
                "neighbours": k,
                "accuracy": accuracy_score(truth, calls),
                "macro_f1": f1_score(truth, calls, labels=types, average="macro", zero_division=0.0),
                "balanced_accuracy": recall_score(truth, calls, labels=types, average="macro"),
                "majority": majority,
            }
        )
    return pd.DataFrame(rows)
