"""Labels against known ones: how often they agree, for which types, and whether confidence keeps its word."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from scprism._check import closest
from scprism.errors import InputError
from scprism.label.grouped import UNASSIGNED
from scprism.label.labels import labels_as_text

__all__ = ["Agreement", "agreement", "truth_of"]

N_BINS = 10


@dataclass(frozen=True, eq=False)
class Agreement:
    """Labels that were given beside known ones, from `Labels.agreement`.

    Attributes
    ----------
    confusion
        Cells by known label (rows) and given label (columns).
    by_label
        A row a known label that the reference has: ``precision recall f1 n_cells``.
    calibration
        A row a tenth of confidence that has cells: ``confidence`` (mean), ``right`` (share), ``n_cells``; of cells
        whose known label the reference has.
    accuracy, macro_f1
        Share of these cells labelled rightly; mean F1 of their labels.
    calibration_error
        Mean gap between confidence and accuracy, weighted by cells (expected calibration error).
    n_cells, n_unknown
        Cells with a known label that the reference has, and with one that it lacks.
    novel_unknown
        Share of the latter that are novel; NaN where there are none.
    """

    confusion: pd.DataFrame
    by_label: pd.DataFrame
    calibration: pd.DataFrame
    accuracy: float
    macro_f1: float
    calibration_error: float
    n_cells: int
    n_unknown: int
    novel_unknown: float

    def summary(self) -> str:
        """Return the main numbers in a sentence."""
        text = (
            f"known labels: {self.accuracy:.1%} of {self.n_cells:,} cells agree, macro-F1 {self.macro_f1:.3f}, "
            f"calibration error {self.calibration_error:.3f}"
        )
        if not self.n_unknown:
            return text
        return f"{text}; {self.n_unknown:,} cells of types that the reference lacks, {self.novel_unknown:.0%} novel"


def truth_of(cells: AnnData, column: str) -> "pd.Series[str]":
    """Return known labels of cells as text, NaN where there is none.

    Raises
    ------
    InputError
        If there is no such column, or no cell has a label.
    """
    if column not in cells.obs:
        msg = f"`truth` must be a column of the query's `.obs`, got {column!r}. Closest: {closest(column, cells.obs)}."
        raise InputError(msg)
    known = labels_as_text(cells.obs[column])
    if known.isna().all():
        msg = f"No cell has a label in {column!r}. Choose a column of the query's `.obs` that holds cell types."
        raise InputError(msg)
    return known


def agreement(table: pd.DataFrame, names: tuple[str, ...], truth: "pd.Series[str]") -> Agreement:
    """Return how labels agree with known ones.

    Parameters
    ----------
    table
        ``label confidence novel`` of each cell.
    names
        The labels that could be given.
    truth
        Known labels, in the order of the table; NaN where there is none.

    Raises
    ------
    InputError
        If there are other numbers of cells, or none of the known labels is among `names`.
    """
    if len(truth) != len(table):
        msg = f"Known labels must be those of the same cells: there are {len(table):,}, got {len(truth):,}."
        raise InputError(msg)
    known = truth.to_numpy(dtype=object)
    has = np.array([isinstance(value, str) for value in known])
    given, known = table["label"].to_numpy(dtype=object)[has].astype(str), known[has].astype(str)
    in_reference = np.isin(known, names)
    if not in_reference.any():
        msg = (
            f"None of the known labels ({', '.join(sorted(set(known))[:3])}, …) is a label of the reference "
            f"({', '.join(names[:3])}, …). Give both the same names first."
        )
        raise InputError(msg)
    rows, columns = sorted(set(known)), [*sorted(names), *({UNASSIGNED} & set(given))]
    every = sorted({*rows, *columns})
    counts = pd.DataFrame(confusion_matrix(known, given, labels=every), index=every, columns=every)
    confidence = table["confidence"].to_numpy(dtype=float)[has][in_reference]
    known_in, given_in = known[in_reference], given[in_reference]
    present = sorted(set(known_in))
    precision, recall, f1, support = precision_recall_fscore_support(
        known_in, given_in, labels=present, zero_division=0.0
    )
    by_label = pd.DataFrame(
        {"precision": precision, "recall": recall, "f1": f1, "n_cells": support}, index=pd.Index(present, name="label")
    )
    right = known_in == given_in
    calibration = _calibration(confidence, right)
    gaps = (calibration["confidence"] - calibration["right"]).abs() * calibration["n_cells"]
    novel = table["novel"].to_numpy(dtype=bool)[has][~in_reference]
    return Agreement(
        counts.loc[rows, columns],
        by_label,
        calibration,
        accuracy=float(right.mean()),
        macro_f1=float(np.mean(f1)),
        calibration_error=float(gaps.sum() / len(right)),
        n_cells=len(right),
        n_unknown=len(novel),
        novel_unknown=float(novel.mean()) if len(novel) else float("nan"),
    )


def _calibration(confidence: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    cells = pd.DataFrame({"confidence": confidence, "right": right.astype(float), "n_cells": 1})
    by_bin = cells.groupby(bins).agg({"confidence": "mean", "right": "mean", "n_cells": "sum"})
    return by_bin.reset_index(drop=True)
