"""The grid of all cells: what is missing is computed by several processes and kept as it comes."""

import json
import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import pandas as pd

from scprism._processes import end_with_parent
from scprism.errors import InputError, PrismError, PrismWarning
from scprism.paper.experiments.plan import Cell, Experiment, Rows
from scprism.paper.experiments.workshop import NetworkSpec, Workshop

__all__ = ["Progress", "Results", "run_grid"]

SCHEMA = """CREATE TABLE IF NOT EXISTS results
    (key TEXT PRIMARY KEY, experiment TEXT, settings TEXT, sources TEXT, rows TEXT, seconds REAL, message TEXT)"""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
FRAME = ("experiment", "seconds", "message")
R = TypeVar("R")
S = TypeVar("S")


@dataclass(frozen=True)
class Progress:
    """How far the grid is: steps done of all, what was done last, and how many seconds are left by the pace so far."""

    n_done: int
    n_steps: int
    last: str
    seconds_left: float


class Results:
    """Results in an SQLite file, each written when it is there, found again by what it was computed from."""

    def __init__(self, path: Path, *, max_cells: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.max_cells = max_cells
        self.connection = sqlite3.connect(path, timeout=60)
        try:
            self.connection.execute(SCHEMA)
        except sqlite3.DatabaseError as error:
            msg = f"'{path}' holds no results of `scprism reproduce` ({error}). Choose another --out, or remove it."
            raise InputError(msg) from error

    def has(self, cell: Cell, experiment: Experiment) -> bool:
        """Return whether a cell's result is there."""
        found = self.connection.execute("SELECT 1 FROM results WHERE key = ?", (self._key(cell, experiment),))
        return found.fetchone() is not None

    def write(self, cell: Cell, experiment: Experiment, outcome: "Outcome") -> None:
        """Keep a cell's result."""
        names = json.dumps([source.name for source in cell.sources])
        values = (json.dumps(dict(cell.settings)), names, json.dumps(outcome.rows), outcome.seconds, outcome.message)
        row = (self._key(cell, experiment), cell.experiment, *values)
        with self.connection:
            self.connection.execute("INSERT OR REPLACE INTO results VALUES (?,?,?,?,?,?,?)", row)

    def frame(self, cells: Iterable[Cell], experiment: Experiment) -> pd.DataFrame:
        """Return the rows of an experiment's cells, a cell's settings beside each; columns of `Experiment.run`.

        A cell that could not be computed has one row, with the reason in ``message``.
        """
        rows = []
        for cell in cells:
            query = "SELECT rows, seconds, message FROM results WHERE key = ?"
            found = self.connection.execute(query, (self._key(cell, experiment),)).fetchone()
            if found is not None:
                frame = {"experiment": cell.experiment, "seconds": found[1], "message": found[2]}
                rows += [{**frame, **cell.settings, **row} for row in json.loads(found[0]) or [{}]]
        return pd.DataFrame(rows, columns=None if rows else list(FRAME))

    def failures(self, cells: Iterable[Cell], experiments: Mapping[str, Experiment]) -> pd.DataFrame:
        """Return the cells that could not be computed: ``experiment settings message``."""
        rows = []
        for cell in cells:
            query = "SELECT message FROM results WHERE key = ? AND message != ''"
            found = self.connection.execute(query, (self._key(cell, experiments[cell.experiment]),)).fetchone()
            if found is not None:
                settings = ", ".join(str(value) for value in cell.settings.values())
                rows.append({"experiment": cell.experiment, "settings": settings, "message": found[0]})
        return pd.DataFrame(rows, columns=["experiment", "settings", "message"])

    def seconds(self) -> float:
        """Return the time that all results took together, networks not counted."""
        return float(self.connection.execute("SELECT coalesce(sum(seconds), 0) FROM results").fetchone()[0])

    def _key(self, cell: Cell, experiment: Experiment) -> str:
        return cell.key(version=experiment.version, max_cells=self.max_cells)


@dataclass(frozen=True)
class Outcome:
    """A cell's rows and seconds; `message` says why there are no rows, otherwise it is empty."""

    rows: Rows
    seconds: float
    message: str = ""


def run_grid(
    cells: Sequence[Cell],
    experiments: Mapping[str, Experiment],
    results: Results,
    *,
    folder: Path,
    jobs: int,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Compute what is missing of the cells, networks first, and keep each result when it is there.

    Parameters
    ----------
    cells, experiments
        What to compute, and the experiments by name.
    results
        Where results are kept.
    folder
        Of the networks; shared by the processes.
    jobs
        Processes side by side, one thread each.

    Raises
    ------
    PrismError
        If a process was ended from outside, as by a machine that has too little memory; results so far are kept.
    """
    missing = [cell for cell in cells if not results.has(cell, experiments[cell.experiment])]
    specs = {network.key: network for cell in missing for network in cell.networks if network.is_trained}
    workshop = Workshop(folder, max_cells=results.max_cells)
    untrained = [spec for spec in specs.values() if not workshop.has(spec)]
    meter = _Meter(len(untrained) + len(missing), on_progress)
    with _one_thread_each(), _pool(jobs) as pool:
        try:
            for _, spec in _as_they_come({pool.submit(_trained, s, folder, results.max_cells): s for s in untrained}):
                meter.count(f"network on {spec.source.name}")
            computed = {
                pool.submit(_computed, cell, experiments[cell.experiment].run, folder, results.max_cells): cell
                for cell in missing
            }
            for outcome, cell in _as_they_come(computed):
                results.write(cell, experiments[cell.experiment], outcome)
                meter.count(" ".join([cell.experiment, *(str(value) for value in cell.settings.values())]))
        except BrokenProcessPool as error:
            msg = "A process of the grid was ended from outside (too little memory?). Results so far are kept: run"
            raise PrismError(f"{msg} the command again, with fewer --jobs.") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=end_with_parent)


def _as_they_come(waiting: "dict[Future[R], S]") -> "Iterator[tuple[R, S]]":
    while waiting:
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result(), waiting.pop(future)


class _Meter:
    """Counts steps and says how far the grid is."""

    def __init__(self, n_steps: int, on_progress: Callable[[Progress], None]) -> None:
        self.n_steps, self.n_done, self.start, self.on_progress = n_steps, 0, time.monotonic(), on_progress

    def count(self, last: str) -> None:
        self.n_done += 1
        pace = (time.monotonic() - self.start) / self.n_done
        self.on_progress(Progress(self.n_done, self.n_steps, last, pace * (self.n_steps - self.n_done)))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that are started in the block have one thread each in the numerical libraries."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def _workshop(folder: Path, max_cells: int) -> Workshop:
    """Return this process's workshop: what it has read serves its next cells."""
    return Workshop(folder, max_cells=max_cells)


def _trained(spec: NetworkSpec, folder: Path, max_cells: int) -> None:
    with _quiet(), suppress(PrismError):  # the cells that need it say why they have no result
        _workshop(folder, max_cells).network(spec)


def _computed(cell: Cell, run: Callable[[Cell, Workshop], Rows], folder: Path, max_cells: int) -> Outcome:
    start = time.monotonic()
    with _quiet():
        try:
            return Outcome(run(cell, _workshop(folder, max_cells)), time.monotonic() - start)
        except PrismError as error:  # a query that a model refuses is a result too
            return Outcome([], time.monotonic() - start, str(error))


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)  # coverage and the like stand in the tables
        yield
