"""Counts in tables of text: csv, tsv, and either of them gzipped."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism._check import some
from scprism._text import encoding_of, not_text, open_text
from scprism.errors import InputError

__all__ = ["read_text"]

VALUES_AT_ONCE = 2**24
"""A table is read in blocks of about this many values, each made sparse before the next."""


def read_text(path: Path) -> AnnData:
    """Return the table of a csv (commas) or a tsv or txt file (tabs), gzipped or not, as sparse float32 counts.

    The first line holds the names of the columns, the first column those of the rows. The first line may lack a name
    for that column, as R writes it.

    Raises
    ------
    InputError
        If the file is empty, a line has another number of fields, or a value is not a number.
    """
    separator = "," if path.name.removesuffix(".gz").endswith(".csv") else "\t"
    try:
        columns = _column_names(path, separator)
    except UnicodeError as error:
        raise not_text(path, what="table", error=error) from error
    blocks = [sparse.csr_matrix((0, len(columns)), dtype=np.float32)]
    rows: list[str] = []
    try:
        for frame in _frames(path, separator, len(columns)):
            blocks.append(sparse.csr_matrix(frame.iloc[:, 1:].to_numpy(dtype=np.float32)))
            rows.extend(name for (name,) in frame[0])
    except UnicodeError as error:
        raise not_text(path, what="table", error=error) from error
    except ValueError as error:  # pandas' parser errors are among them
        msg = f"The table '{path}' must hold numbers below one line and beside one column of names: {error}."
        raise InputError(msg) from error
    matrix = sparse.vstack(blocks, format="csr")
    return AnnData(matrix, obs=pd.DataFrame(index=rows), var=pd.DataFrame(index=columns))


def _frames(path: Path, separator: str, n_columns: int) -> Iterator[pd.DataFrame]:
    with pd.read_csv(
        path,
        sep=separator,
        header=None,
        skiprows=1,
        encoding=encoding_of(path),
        index_col=False,
        names=range(n_columns + 1),
        converters={0: _as_it_stands},
        dtype=dict.fromkeys(range(1, n_columns + 1), np.float32),
        chunksize=max(1, VALUES_AT_ONCE // n_columns),
        low_memory=False,  # its own blocks hold a few rows only where tables are wide, at twice the time
    ) as frames:
        yield from frames


def _as_it_stands(name: str) -> tuple[str]:
    """Return a name in a tuple: of plain text pandas takes "NA" for missing, since version 3 after a converter too."""
    return (name,)


def _column_names(path: Path, separator: str) -> list[str]:
    """Return the names of the columns, read apart since pandas renames repeated ones."""
    with open_text(path) as file:
        lines = csv.reader(file, delimiter=separator)
        header, first = next(lines, []), next(lines, [])
    if len(first) < 2:
        msg = (
            f"The table '{path}' needs a line of names and, below, lines of a name and counts parted by {separator!r}; "
            f"its second line is {separator.join(first)[:40]!r}. Files named .csv have commas, .tsv and .txt tabs."
        )
        raise InputError(msg)
    if len(first) - len(header) not in (0, 1):
        msg = (
            f"The table '{path}' has {len(header):,} fields in its first line and {len(first):,} in its second. The "
            "first must hold the columns' names: as many, or one fewer."
        )
        raise InputError(msg)
    names = header[len(header) - len(first) + 1 :]
    words = [name for name, value in zip(names, first[1:], strict=True) if not _is_number(value)]
    if words:
        msg = (
            f"The table '{path}' must hold counts only, but these columns hold other things: {some(words)}. Drop them."
        )
        raise InputError(msg)
    return names


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return text.strip().upper() in {"NA", "N/A", "NULL"}
    return True
