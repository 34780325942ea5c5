"""Results of experiments and benchmarks, kept in one SQLite file and found again by all that they depend on."""

import ast
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import scprism
from scprism.errors import InputError

__all__ = ["PACKAGE", "Result", "ResultStore", "Rows", "Scalar", "code_files", "code_version", "file_fingerprint"]

Scalar: TypeAlias = str | int | float | bool | None
Rows: TypeAlias = list[dict[str, Scalar]]

SCHEMA = """CREATE TABLE IF NOT EXISTS kept_results
    (key TEXT PRIMARY KEY, name TEXT, version TEXT, settings TEXT, rows TEXT, seconds REAL, message TEXT)"""
PACKAGE = Path(scprism.__file__).resolve().parent
COMPUTE_NOTHING = ("cli", "report", "model/config.py", "model/presets.py")
"""Parts of the package whose code changes no result: settings are in a result's key by their values."""
PAPER_COMPUTES = ("paper/measures", "paper/data_sets.py", "paper/networks.py", "paper/experiments/units.py")
"""Parts of this folder whose code does; the `run` of an experiment has a version number of its own."""


@dataclass(frozen=True)
class Result:
    """Rows of a table and the seconds they took; `message` says why there are no rows, otherwise it is empty."""

    rows: Rows
    seconds: float
    message: str = ""


class ResultStore:
    """Results in an SQLite file, each written as soon as it is there; several processes may use one file.

    A result is asked for by the name of its experiment or benchmark, its settings, the fingerprints of its data, and
    the version of the code that computes it (`code_version`): one that was computed from anything else is not found.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(path, timeout=60)
        try:
            self.connection.execute(SCHEMA)
        except sqlite3.DatabaseError as error:
            msg = f"'{path}' holds no results of scprism ({error}). Choose another file for results, or remove it."
            raise InputError(msg) from error

    def find(self, name: str, settings: object, *, data: Sequence[str], version: str) -> Result | None:
        """Return a result, None if it is not there."""
        query = "SELECT rows, seconds, message FROM kept_results WHERE key = ?"
        found = self.connection.execute(query, (_key(name, settings, data, version),)).fetchone()
        return None if found is None else Result(json.loads(found[0]), found[1], found[2])

    def keep(self, result: Result, name: str, settings: object, *, data: Sequence[str], version: str) -> None:
        """Write a result."""
        key = _key(name, settings, data, version)
        row = (key, name, version, _text(settings), json.dumps(result.rows), result.seconds, result.message)
        with self.connection:
            self.connection.execute("INSERT OR REPLACE INTO kept_results VALUES (?,?,?,?,?,?,?)", row)

    def n_of_other_versions(self, name: str, *, version: str) -> int:
        """Return how many results of a name were computed by other code than today's."""
        query = "SELECT count(*) FROM kept_results WHERE name = ? AND version != ?"
        return int(self.connection.execute(query, (name, version)).fetchone()[0])

    def seconds(self) -> float:
        """Return the time that all results took together."""
        return float(self.connection.execute("SELECT coalesce(sum(seconds), 0) FROM kept_results").fetchone()[0])


def _key(name: str, settings: object, data: Sequence[str], version: str) -> str:
    return hashlib.sha256(_text([name, settings, list(data), version]).encode()).hexdigest()[:32]


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


@cache
def file_fingerprint(path: Path) -> str:
    """Return a hash of a file's content, 16 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def code_version(file: Path, *, itself: bool = True) -> str:
    """Return a hash of the code of a module and of all that it imports, directly or not, from scprism or beside it.

    Comments, docstrings and messages make no difference, nor do modules that compute nothing (`COMPUTE_NOTHING`).

    Parameters
    ----------
    file
        The module's file.
    itself
        Whether the module's own code counts.
    """
    counted = code_files(file) - (set() if itself else {file.resolve()})
    return hashlib.sha256("".join(_code_hash(path) for path in sorted(counted)).encode()).hexdigest()[:16]


def code_files(file: Path) -> set[Path]:
    """Return the files whose code counts for `code_version`, the module's own among them."""
    seen: set[Path] = set()
    waiting = [file.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += [other for other in _imports(path, beside=file.resolve().parent) if _computes(other)]
    return seen


def _computes(path: Path) -> bool:
    if not path.is_relative_to(PACKAGE):
        return True
    inside = path.relative_to(PACKAGE).as_posix()
    if inside.startswith("paper/"):
        return inside.startswith(PAPER_COMPUTES)
    return not inside.startswith(COMPUTE_NOTHING)


@cache
def _imports(path: Path, *, beside: Path) -> list[Path]:
    """Return the files that a module imports; all of the package where it takes names from ``scprism`` itself."""
    found: list[Path] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        if "scprism" in names and not path.is_relative_to(PACKAGE):
            found += PACKAGE.rglob("*.py")
        for name in names:
            root = PACKAGE.parent if name.split(".")[0] == "scprism" else beside
            found += [root.joinpath(*name.split(".")).with_suffix(".py")]
    return [file for file in found if file.is_file()]


@cache
def _code_hash(path: Path) -> str:
    tree = _Computing().visit(ast.parse(path.read_text(encoding="utf-8")))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


class _Computing(ast.NodeTransformer):
    """Takes out of a module what computes nothing: docstrings, and what is said in errors, warnings and the log."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        called = node.value.func if isinstance(node.value, ast.Call) else node.value
        says = isinstance(called, ast.Name) and called.id == "warn"
        logs = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "logger"
        return None if isinstance(called, ast.Constant) or says or logs else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        is_message = all(isinstance(target, ast.Name) and target.id == "msg" for target in node.targets)
        return None if is_message else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=raised, cause=None)
