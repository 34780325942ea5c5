"""Files of results: written whole or not at all, in the format that their name says, never over something else."""

import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scprism._check import require
from scprism._text import parse_json
from scprism.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from scprism.types import PathLike

__all__ = [
    "MODEL_NAMES",
    "STORE_SUFFIXES",
    "TABLE_SUFFIXES",
    "check_suffix",
    "check_target",
    "exact_numbers",
    "foreign_names",
    "is_zarr",
    "read_record",
    "read_table",
    "record_path",
    "replacing",
    "write_table",
]

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
STORE_SUFFIXES = (".h5ad", ".zarr")
MODEL_NAMES = (
    "weights.safetensors",
    "model.json",
    "log.csv",
    "trials.csv",
    "units.safetensors",
    "units.json",
    "index.safetensors",
    "index.json",
    "README.md",
)
"""All that a model folder holds."""
SEPARATORS = {".csv": ",", ".tsv": "\t"}


def check_suffix(path: "PathLike", allowed: Sequence[str]) -> str:
    """Return the suffix of a path in lower case.

    Raises
    ------
    InputError
        If it is none of those allowed, or needs a package that is not there.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in allowed:
        got = f"not {suffix}" if suffix else "this name has no ending"
        msg = f"{str(path)!r} cannot be written: the result is a file that ends in {' or '.join(allowed)}, {got}."
        raise InputError(f"{msg} Choose one of these.")
    if suffix == ".parquet":
        require("pyarrow", extra="parquet")
    return suffix


def check_target(path: "PathLike", *, store: bool = False) -> Path:
    """Return the file that a path names, links followed.

    Parameters
    ----------
    path
        Where a result is to be written.
    store
        Whether the result is a folder, a zarr store.

    Raises
    ------
    InputError
        If there is something else than a file of results: a folder, a pipe, a device; for a store, if there is
        anything but a zarr store or an empty folder.
    """
    target = Path(os.path.realpath(path))
    if not target.exists():
        return target
    mode = target.stat().st_mode
    if store:
        if stat.S_ISDIR(mode) and (is_zarr(target) or not any(target.iterdir())):
            return target
        msg = f"{str(path)!r} exists and is no zarr store, so it is left alone. Choose another name."
        raise InputError(msg)
    if stat.S_ISDIR(mode):
        msg = f"{str(path)!r} is a folder, and a file is to be written. Add the file's name."
        raise InputError(msg)
    if not stat.S_ISREG(mode):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        msg = f"{str(path)!r} is {kind}, and results are written to files alone. Choose the name of a file."
        raise InputError(msg)
    return target


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a zarr store."""
    return any((path / name).exists() for name in ("zarr.json", ".zgroup"))


def foreign_names(folder: Path, known: Sequence[str]) -> list[str]:
    """Return what a folder holds beside the names that are known, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.name not in known)


@contextmanager
def replacing(path: "PathLike") -> Iterator[Path]:
    """Yield a path to write to; it takes the name `path` when the block ends well and is removed otherwise.

    A link is followed: its target is replaced, the link stays. A file that was there keeps its permissions. What is
    written may be a folder, where `path` ends in ``.zarr``.

    Raises
    ------
    InputError
        If something else than a file of results has that name; nothing is written then.
    """
    target = check_target(path, store=Path(path).suffix.lower() == ".zarr")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".scprism-{uuid.uuid4().hex}{target.suffix}")
    try:
        yield scratch
        if scratch.is_dir() and target.exists():
            old = scratch.with_name(f"{scratch.name}.old")
            target.rename(old)
            scratch.rename(target)
            shutil.rmtree(old)
        else:
            if target.exists():
                shutil.copymode(target, scratch)
            scratch.replace(target)
    finally:
        if scratch.is_dir():
            shutil.rmtree(scratch, ignore_errors=True)
        scratch.unlink(missing_ok=True)


def record_path(path: "PathLike") -> Path:
    """Return where the record of a table lies: ``labels.csv.json`` for ``labels.csv``."""
    return Path(path).with_name(f"{Path(path).name}.json")


def write_table(table: "pd.DataFrame", path: "PathLike", *, record: Mapping[Any, Any] | None = None) -> None:
    """Write a table as CSV, TSV or Parquet, as its name says, and its record, if any, as JSON beside it.

    Parameters
    ----------
    table
        Its index is not written.
    path
        A name that ends in ``.csv``, ``.tsv`` or ``.parquet``.
    record
        What belongs to the table and has no column: settings, warnings. Written to ``PATH.json``.

    Raises
    ------
    InputError
        If the name ends otherwise, or is that of a folder, a pipe or a device.
    """
    suffix = check_suffix(path, TABLE_SUFFIXES)
    if record is not None:
        with replacing(record_path(path)) as beside, replacing(path) as scratch:
            _write(table, scratch, suffix)
            beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        return
    with replacing(path) as scratch:
        _write(table, scratch, suffix)


def _write(table: "pd.DataFrame", path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, sep=SEPARATORS[suffix], index=False, lineterminator="\n")


def read_table(path: "PathLike", *, dtypes: Mapping[str, Any], missing: Sequence[str] = ()) -> "pd.DataFrame":
    """Return a table that `write_table` wrote, numbers to the last bit.

    Parameters
    ----------
    path
        The file; one of another ending is read as tab-separated text.
    dtypes
        Of the columns.
    missing
        Text that stands for a missing value.
    """
    import pandas as pd

    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        require("pyarrow", extra="parquet")
        stored = pd.read_parquet(path)
        return stored.astype({name: kind for name, kind in dtypes.items() if name in stored.columns})
    table: pd.DataFrame = pd.read_csv(
        path,
        sep=SEPARATORS.get(suffix, "\t"),
        dtype=dict(dtypes),
        keep_default_na=False,
        na_values=list(missing),
        **exact_numbers(),
    )
    return table


def exact_numbers() -> dict[str, Any]:
    """Return what `pandas.read_csv` needs to give numbers back to the last bit; since pandas 3.1 it does so unasked."""
    import pandas as pd

    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    return {} if version >= (3, 1) else {"float_precision": "round_trip"}


def read_record(path: "PathLike") -> dict[Any, Any] | None:
    """Return the record of a table, None if there is none beside it.

    Raises
    ------
    ValueError
        If it is no JSON object.
    """
    beside = record_path(path)
    if not beside.is_file():
        return None
    record = parse_json(beside.read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        msg = f"{str(beside)!r} holds no record"
        raise ValueError(msg)
    return record
