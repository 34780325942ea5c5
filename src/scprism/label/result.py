"""The result of a labelling: its table, where the labels came from, what was warned of, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scprism._check import some
from scprism._files import read_record, read_table, write_table
from scprism._html import record_html
from scprism.errors import InputError
from scprism.types import PathLike

__all__ = ["Labels", "read_labels"]

COLUMNS = ("label", "confidence", "distance", "novel")
FILE_COLUMNS = ["cell", *COLUMNS]


@dataclass(frozen=True, eq=False, repr=False)
class Labels:
    """The label of each cell of a query, from `Model.label`.

    ``labels["label"]`` is that column of the table, and ``len(labels)`` the number of cells; all else of the table is
    in `table`.

    Attributes
    ----------
    table
        A row a cell, in the order of the query; index: cell. ``label``; ``confidence``, the estimated probability that
        it is right; ``distance``, the mean distance to the nearest labelled cells; ``novel``, whether the cell lies
        farther out than 95 % of the labelled cells' own kind.
    settings
        ``labels``, the column that the labels are from; ``labelled_cells``, ``"reference"`` if they were given, or
        ``"index"`` for those that the model knows (`Model.index`); ``n_labelled_cells``; ``fingerprint`` of the model's
        weights. Empty where they are not known.
    warnings
        What was warned of when the cells were labelled.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> reference, cells = make_cells(rng=0), make_cells(rng=1)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(reference)
    >>> labels = model.label(cells, reference=reference, labels="cell_type")
    >>> len(labels), labels["label"].index.equals(cells.obs_names)
    (300, True)
    >>> labels.settings["labels"], labels.settings["n_labelled_cells"]
    ('cell_type', 300)
    """

    table: pd.DataFrame
    settings: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the numbers of cells, labels and novel cells in one line."""
        return f"Labels({self._summary()})"

    def _repr_html_(self) -> str:
        shown = self.table.to_html(max_rows=10, float_format="{:.3g}".format)
        return record_html(f"Labels: {self._summary()}", self.warnings, shown)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.table)

    def __getitem__(self, column: str) -> "pd.Series[Any]":
        """Return a column of the table, such as ``labels["label"]``; index: cell.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        if not isinstance(column, str) or column not in self.table.columns:
            got = repr(column) if isinstance(column, str) else f"a {type(column).__name__}"
            msg = f"Labels have the columns {some(self.table.columns)}, got {got}. Rows are chosen in `labels.table`."
            raise KeyError(msg)
        values: pd.Series[Any] = self.table[column]
        return values

    def save(self, path: PathLike) -> None:
        """Write the table ``cell label confidence distance novel``; settings and warnings go to ``PATH.json``.

        Parameters
        ----------
        path
            A name that ends in ``.csv``, ``.tsv`` or ``.parquet``.

        Raises
        ------
        InputError
            If the name ends otherwise or is that of a folder, a pipe or a device, or if the table lacks a column.
        """
        lacking = [column for column in COLUMNS if column not in self.table.columns]
        if lacking:
            msg = f"The table of labels must have the columns of `Model.label`; it lacks {some(lacking)}."
            raise InputError(msg)
        table = self.table.reset_index(names="cell")[FILE_COLUMNS]
        write_table(table, path, record={"settings": dict(self.settings), "warnings": list(self.warnings)})

    def _summary(self) -> str:
        source = f" of {self.settings['labels']!r}" if "labels" in self.settings else ""
        found = f"{len(self):,} cells, {self.table['label'].nunique()} labels{source}"
        if not len(self):
            return found
        novel, sure = self.table["novel"].mean(), self.table["confidence"].median()
        return f"{found}; median confidence {sure:.2f}, {novel:.1%} novel"


def read_labels(path: PathLike) -> Labels:
    """Return the labels that `Labels.save` or ``scprism label`` wrote, numbers exact.

    Without the record beside the file, the settings are empty and a warning says so.

    Raises
    ------
    InputError
        If the file or its record cannot be read, or the file has other columns.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import Prism, make_cells
    >>> reference, cells = make_cells(rng=0), make_cells(rng=1)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(reference)
    >>> labels = model.label(cells, reference=reference, labels="cell_type")
    >>> path = Path(tempfile.mkdtemp()) / "labels.csv"
    >>> labels.save(path)
    >>> read_labels(path)["label"].equals(labels["label"])
    True
    """
    try:
        table = read_table(path, dtypes={"cell": str, "label": str})
        record = read_record(path)
    except (OSError, ValueError) as error:
        msg = f"The labels in {str(path)!r} cannot be read: {error}. Give a file that `scprism label --out` wrote."
        raise InputError(msg) from error
    if list(table.columns) != FILE_COLUMNS:
        msg = f"{str(path)!r} must have the columns {some(FILE_COLUMNS)}, got {some(table.columns)}."
        raise InputError(f"{msg} Give a file that `scprism label --out` wrote.")
    if record is None:
        name = Path(path).name
        unknown = f"{name} lies without its record {name}.json, so it is not known what was warned of when labelling."
        return Labels(table.set_index("cell"), {}, (unknown,))
    return Labels(table.set_index("cell"), record.get("settings", {}), tuple(record.get("warnings", ())))
