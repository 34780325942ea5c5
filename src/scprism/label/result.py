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
from scprism.label.agreement import Agreement, agreement
from scprism.label.labels import labels_as_text
from scprism.types import PathLike

__all__ = ["COLUMNS", "Labels", "read_labels"]

PROBABILITY = "probability of "
"""What the columns of probabilities begin with in a file."""
COLUMNS = ("label", "confidence", "runner_up", "margin", "distance", "novelty_p", "novel")
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
        it is right; ``runner_up``, the next likely label, and ``margin``, by how much less probable that is;
        ``distance``, the mean distance to the nearest labelled cells; ``novelty_p``, the share of known cells that
        are as strange, on a platform as different as the query's seems to be, and ``novel``, whether that is .05 or
        less. Confidence and novelty depend on which cells are labelled together, labels do not. Where groups of cells
        got one label (``over=``), ``cell_label`` is the cell's own.
    settings
        ``labels``, the column that the labels are from; ``labelled_cells``, ``"reference"`` if they were given, or
        ``"index"`` for those that the model knows (`Model.index`); ``n_labelled_cells``; ``held_out_accuracy``, the
        share of labelled cells that get the right label by what is learned without them; ``fingerprint`` of the model's
        weights; ``threshold`` and ``over``, if they were given. Empty where they are not known.
    warnings
        What was warned of when the cells were labelled.
    probabilities
        The probability of each label if the cell's type is one of them, cells × labels; None if they were not kept in
        the file that the labels were read from.

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
    probabilities: pd.DataFrame | None = None

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

    def agreement(self, truth: "pd.Series[Any]") -> Agreement:
        """Return how the labels agree with known ones: accuracy, macro-F1, confusion, calibration.

        Parameters
        ----------
        truth
            Known labels of the same cells, in the same order; NaN where there is none.

        Raises
        ------
        InputError
            If there are other numbers of cells, no known label is one of the reference's, or the labels were read from
            a file without probabilities, which name the reference's labels.

        Examples
        --------
        >>> from scprism import Prism, make_cells
        >>> cells = make_cells(rng=0)
        >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
        >>> labels = model.label(cells, reference=cells, labels="cell_type")
        >>> labels.agreement(cells.obs["cell_type"]).accuracy > 0.9
        True
        """
        if self.probabilities is None:
            msg = "The labels that could have been given are not known: the file has no probabilities. Save them with"
            raise InputError(f"{msg} labels.save(path, probabilities=True), on the command line --probabilities.")
        return agreement(self.table, tuple(self.probabilities.columns), labels_as_text(truth))

    def save(self, path: PathLike, *, probabilities: bool = False) -> None:
        """Write the table, a row a cell; settings and warnings go to ``PATH.json``.

        Parameters
        ----------
        path
            A name that ends in ``.csv``, ``.tsv`` or ``.parquet``.
        probabilities
            Whether to add a column ``probability of LABEL`` for each label.

        Raises
        ------
        InputError
            If the name ends otherwise or is that of a folder, a pipe or a device, or if the table lacks a column.
        """
        lacking = [column for column in COLUMNS if column not in self.table.columns]
        if lacking:
            msg = f"The table of labels must have the columns of `Model.label`; it lacks {some(lacking)}."
            raise InputError(msg)
        kept = [*COLUMNS, *(["cell_label"] if "cell_label" in self.table else [])]
        table = self.table[kept].reset_index(names="cell")
        if probabilities and self.probabilities is not None:
            spread = self.probabilities.add_prefix(PROBABILITY).reset_index(drop=True)
            table = pd.concat([table, spread], axis=1)
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
        table = read_table(path, dtypes=dict.fromkeys(("cell", "label", "runner_up", "cell_label"), str))
        record = read_record(path)
    except (OSError, ValueError) as error:
        msg = f"The labels in {str(path)!r} cannot be read: {error}. Give a file that `scprism label --out` wrote."
        raise InputError(msg) from error
    spread = [column for column in table.columns if column.startswith(PROBABILITY)]
    others = [column for column in table.columns if column not in spread]
    if others not in (FILE_COLUMNS, [*FILE_COLUMNS, "cell_label"]):
        msg = f"{str(path)!r} must have the columns {some(FILE_COLUMNS)}, got {some(table.columns)}."
        raise InputError(f"{msg} Give a file that `scprism label --out` wrote.")
    table = table.set_index("cell")
    probabilities = table[spread].rename(columns=lambda name: name.removeprefix(PROBABILITY)) if spread else None
    if record is None:
        name = Path(path).name
        unknown = f"{name} lies without its record {name}.json, so it is not known what was warned of when labelling."
        return Labels(table[others[1:]], {}, (unknown,), probabilities)
    told = record.get("settings", {}), tuple(record.get("warnings", ()))
    return Labels(table[others[1:]], *told, probabilities)
