"""What a command reads and writes, and the one check of it, made before any work: no output may cost an input."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scprism._check import closest, some
from scprism._files import MODEL_NAMES, check_suffix, check_target, foreign_names
from scprism.errors import InputError

__all__ = ["Given", "Input", "Output", "check_paths"]

RUN_NAMES = (
    "model",
    "reference.h5ad",
    "annotated.h5ad",
    "embedding.h5ad",
    "labels.csv",
    "labels.csv.json",
    "explanation.h5ad",
    "enrichment.tsv",
    "enrichment.tsv.json",
    "units.tsv",
    "trust.tsv",
    "trust.tsv.json",
    "comparison.tsv",
    "comparison.tsv.json",
    "report.html",
)
AUDIT_NAMES = ("results.sqlite", "tabula_muris")
"""One of them lies in a folder that `scprism reproduce` began."""


def _as_path(value: str | Path) -> Path | None:
    return Path(value)


@dataclass(frozen=True)
class Input:
    """A parameter that names a file or folder to read.

    Attributes
    ----------
    path_of
        Returns the path that a value names, or None where it is a word of another meaning.
    """

    path_of: Callable[[str], Path | None] = _as_path


@dataclass(frozen=True)
class Output:
    """A parameter that names what is written.

    Attributes
    ----------
    kind
        ``"file"``: replaced if it is there. ``"model"`` and ``"run"``: a folder of known files, replaced only with
        --force and only if it holds nothing else. ``"index"``: a model folder that gets an index. ``"audit"``: a
        folder that the command goes on with. ``"folder"``: one into which files are added. ``"appended"``: a file that
        grows.
    suffixes
        Endings of the file's name, of which each is a format; any if empty.
    beside
        What is added to the name for each file that is written beside it.
    grows
        Whether --resume, too, replaces a folder of results, because the command adds to them.
    path_of
        As in `Input`.
    """

    kind: Literal["file", "model", "index", "run", "audit", "folder", "appended"] = "file"
    suffixes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    grows: bool = False
    path_of: Callable[[str], Path | None] = _as_path


@dataclass(frozen=True)
class Given:
    """A path that was given, by which option, and what for; `beside` says what was added to it, if anything."""

    option: str
    path: Path
    use: Input | Output
    beside: str = ""

    @property
    def real(self) -> Path:
        """The path with all links followed."""
        return Path(os.path.realpath(self.path))

    def __str__(self) -> str:
        """Return how messages call it."""
        if self.beside:
            return f"{str(self.path)!r}, which is written beside {self.option},"
        return f"{self.option} {str(self.path)!r}"


def check_paths(given: Sequence[Given], *, force: bool = False, resume: bool = False) -> None:
    """Refuse paths that would cost the user something, or that cannot be read or written, before any work is done.

    Parameters
    ----------
    given
        All paths of a command, in the order of its parameters.
    force
        Replace folders of results that are there.
    resume
        The command goes on with what is there.

    Raises
    ------
    InputError
        If an output is an input, lies in one or holds one; if two outputs are one; if an input is missing; if an output
        cannot be written or has another ending than its formats have.
    """
    inputs = [path for path in given if isinstance(path.use, Input)]
    outputs = [path for path in given if isinstance(path.use, Output)]
    written = [
        path
        for output in outputs
        for path in (output, *(_beside(output, ending) for ending in output.use.beside))  # type: ignore[union-attr]
    ]
    for output in written:
        for source in inputs:
            _check_apart(output, source)
    for number, output in enumerate(written):
        for other in written[:number]:
            if output.real == other.real:
                msg = f"{other} and {output} are the same file. Give each result a name of its own."
                raise InputError(msg)
    for source in inputs:
        _check_there(source)
    for output in written:
        _check_output(output, force=force, resume=resume)


def _beside(output: Given, ending: str) -> Given:
    path = output.path.with_name(f"{output.path.name}{ending}") if output.path.name else output.path
    return Given(output.option, path, Output("file"), beside=ending)


def _check_apart(output: Given, source: Given) -> None:
    """Raise `InputError` if writing `output` could touch `source`."""
    if output.option == source.option and not output.beside:
        return  # a folder that the command updates, such as a model that gets an index
    there, here = output.real, source.real
    if there == here or _is_same_file(there, here):
        msg = f"{output} is one of the inputs ({source}), which would be overwritten. Choose another name."
    elif here.is_dir() and here in there.parents:
        msg = f"{output} lies in a folder that is read ({source}). Write it elsewhere."
    elif there in here.parents and output.use != Output("file"):
        msg = f"{output} is a folder that holds one of the inputs ({source}). Choose another folder."
    else:
        return
    raise InputError(msg)


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _check_there(source: Given) -> None:
    if not source.path.exists():
        folder = source.path.parent
        beside = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        msg = f"There is no file or folder {str(source.path)!r} ({source.option})."
        raise InputError(f"{msg} Closest in that folder: {closest(source.path.name, beside)}." if beside else msg)


def _check_output(output: Given, *, force: bool, resume: bool) -> None:
    use: Any = output.use
    if use.kind in ("file", "appended"):
        suffix = check_suffix(output.path, use.suffixes) if use.suffixes else ""
        check_target(output.path, store=suffix == ".zarr")
    else:
        _check_folder(output, use, force=force, resume=resume)
    _check_writable(output)


def _check_folder(output: Given, use: Output, *, force: bool, resume: bool) -> None:
    folder, kind = output.real, use.kind
    if not folder.exists():
        return
    if not folder.is_dir():
        msg = f"{output} is a file, and a folder is to be written. Choose another name."
        raise InputError(msg)
    names = [path.name for path in folder.iterdir()]
    if kind == "audit" and names and not set(names) & set(AUDIT_NAMES):
        msg = f"{output} holds other files ({some(sorted(names))}) and is left alone. Choose another folder."
        raise InputError(msg)
    is_other = kind == "index" and "model.json" not in names  # the command says so when it reads the model
    if kind not in ("model", "index", "run") or not names or is_other:
        return
    foreign = foreign_names(folder, RUN_NAMES if kind == "run" else MODEL_NAMES)
    if kind == "run" and (folder / "model").is_dir():
        foreign += [f"model/{name}" for name in foreign_names(folder / "model", MODEL_NAMES)]
    what = "folder of results" if kind == "run" else "model folder"
    if foreign:
        msg = f"{output} exists and holds what is not of a {what} ({some(foreign)}), so it is left alone."
        raise InputError(f"{msg} Choose another name.")
    if kind != "index" and not (force or (resume and use.grows)):
        msg = f"{output} is a {what} already. Choose another name, or replace it with --force."
        raise InputError(msg)


def _check_writable(output: Given) -> None:
    """Raise `InputError` if the path cannot be created, or what is there not replaced."""
    target = output.real
    folder = target if target.is_dir() else target.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        msg = f"{output} cannot be written: {str(folder)!r} is not a folder. Choose another name."
        raise InputError(msg)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"{output} cannot be written: {error.strerror} in {str(folder)!r}. Choose another folder."
        raise InputError(msg) from error
    if target.is_file() and not os.access(target, os.W_OK):
        msg = f"{output} is write-protected. Choose another name."
        raise InputError(msg)
