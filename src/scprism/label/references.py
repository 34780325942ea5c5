"""Several references for one query: which fits it best, cell by cell and as a whole, and where they agree."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scprism._check import some
from scprism._files import write_table
from scprism._html import record_html
from scprism.errors import InputError
from scprism.label.result import Labels
from scprism.types import PathLike

__all__ = ["References", "compare_references"]


@dataclass(frozen=True, eq=False, repr=False)
class References:
    """How the labels of the same cells by several references compare, from `compare_references`.

    Attributes
    ----------
    references
        A row a reference, the one that fits the query best first: ``mean_confidence`` and ``novel`` (share), over all
        cells; ``chosen``, the share of cells that it is the most confident for; ``n_labels`` that it gave.
    table
        A row a cell: ``reference``, the most confident one; its ``label``, ``confidence`` and ``novel``; and a column
        ``label by NAME`` for each reference.
    agreement
        Share of cells with the same label by two references, references × references.

    Examples
    --------
    >>> from scprism import Prism, compare_references, make_cells
    >>> cells, other, query = make_cells(rng=0), make_cells(rng=1), make_cells(rng=2)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> by = {name: model.label(query, reference=r, labels="cell_type") for name, r in (("a", cells), ("b", other))}
    >>> found = compare_references(by)
    >>> list(found.table.columns)
    ['reference', 'label', 'confidence', 'novel', 'label by a', 'label by b']
    >>> float(found.agreement.loc["a", "a"])
    1.0
    """

    references: pd.DataFrame
    table: pd.DataFrame
    agreement: pd.DataFrame

    def __repr__(self) -> str:
        """Return the best reference and how many there are in one line."""
        return f"References({self._summary()})"

    def _repr_html_(self) -> str:
        return record_html(f"References: {self._summary()}", (), self.references.to_html(float_format="{:.3g}".format))

    @property
    def best(self) -> str:
        """The name of the reference that fits the query best: the one of the highest mean confidence."""
        return str(self.references.index[0])

    def save(self, path: PathLike) -> None:
        """Write the table, a row a cell; the references and their agreement go to ``PATH.json``.

        Raises
        ------
        InputError
            If the name does not end in ``.csv``, ``.tsv`` or ``.parquet``.
        """
        record = {"references": self.references.to_dict("index"), "agreement": self.agreement.to_dict("index")}
        write_table(self.table.reset_index(names="cell"), path, record=record)

    def _summary(self) -> str:
        return f"{len(self.table):,} cells, {len(self.references)} references; {self.best!r} fits best"


def compare_references(labels: Mapping[str, Labels]) -> References:
    """Return which of several references fits a query best, cell by cell and as a whole.

    Confidence decides: it is calibrated within each reference, and falls where a cell is unlike all of its cells. A
    reference of finer or more labels is less sure of each, so compare references whose labels are of one level of
    detail, and look at the share of novel cells too. On real data the reference of the highest mean confidence is
    nearly as right as the best one (``benchmarks/label_rules.py --references``).

    Parameters
    ----------
    labels
        The labels of the same cells, in the same order, by the name of their reference.

    Raises
    ------
    InputError
        If there are fewer than two references, or they labelled other cells, or none.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> half = cells[cells.obs["cell_type"] != "T cell"].copy()
    >>> whole, part = (model.label(cells, reference=r, labels="cell_type") for r in (cells, half))
    >>> compare_references({"whole": whole, "without T cells": part}).best
    'whole'
    """
    if len(labels) < 2:
        msg = f"At least two references are needed to compare them, got {some(labels) if labels else 'none'}."
        raise InputError(msg)
    names = [str(name) for name in labels]
    calls = list(labels.values())
    cells = calls[0].table.index
    for name, call in zip(names, calls, strict=True):
        if not call.table.index.equals(cells):
            msg = f"The labels by {name!r} are not of the same cells in the same order as those by {names[0]!r}."
            raise InputError(f"{msg} Label one query by each reference.")
    if len(cells) == 0:
        msg = "There are no cells to compare the references on."
        raise InputError(msg)
    confidence = np.column_stack([call["confidence"] for call in calls])
    given = np.column_stack([call["label"].astype(str) for call in calls])
    novel = np.column_stack([call["novel"] for call in calls])
    chosen, rows = confidence.argmax(axis=1), np.arange(len(cells))
    references = pd.DataFrame(
        {
            "mean_confidence": confidence.mean(axis=0),
            "novel": novel.mean(axis=0),
            "chosen": np.bincount(chosen, minlength=len(names)) / len(cells),
            "n_labels": [call["label"].nunique() for call in calls],
        },
        index=pd.Index(names, name="reference"),
    )
    table = pd.DataFrame(
        {
            "reference": np.array(names, dtype=object)[chosen],
            "label": given[rows, chosen],
            "confidence": confidence[rows, chosen],
            "novel": novel[rows, chosen],
            **{f"label by {name}": given[:, i] for i, name in enumerate(names)},
        },
        index=cells,
    )
    same = [[float((a == b).mean()) for b in given.T] for a in given.T]
    return References(
        references.sort_values("mean_confidence", ascending=False, kind="stable"),
        table,
        pd.DataFrame(same, index=references.index, columns=names),
    )
