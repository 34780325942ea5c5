"""The grid of all cells: what is missing is computed by several processes and kept as it comes."""

import inspect
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypedDict, TypeVar

import pandas as pd
from threadpoolctl import threadpool_limits

from scprism._processes import end_with_parent
from scprism.errors import PrismError, PrismWarning
from scprism.paper.networks import NetworkSpec, NetworkStore
from scprism.paper.plan import Cell, Experiment
from scprism.paper.results import Result, ResultStore, Rows, Scalar, code_version

__all__ = ["Progress", "failures", "find", "frame_of", "run_grid"]

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


def find(cell: Cell, experiment: Experiment, results: ResultStore, *, max_cells: int) -> Result | None:
    """Return a cell's result, None if it is not there."""
    return results.find(cell.experiment, cell.depends_on(max_cells), **_origin(cell, experiment))


def frame_of(cells: Iterable[Cell], experiment: Experiment, results: ResultStore, *, max_cells: int) -> pd.DataFrame:
    """Return the rows of an experiment's cells, a cell's settings beside each; columns of `Experiment.run`.

    A cell that could not be computed has one row, with the reason in ``message``.
    """
    rows: Rows = []
    for cell in cells:
        found = find(cell, experiment, results, max_cells=max_cells)
        if found is not None:
            frame: dict[str, Scalar] = {
                "experiment": cell.experiment,
                "seconds": found.seconds,
                "message": found.message,
            }
            rows += [{**frame, **cell.settings, **row} for row in found.rows or [{}]]
    return pd.DataFrame(rows, columns=None if rows else list(FRAME))


def failures(
    cells: Iterable[Cell], experiments: Mapping[str, Experiment], results: ResultStore, *, max_cells: int
) -> pd.DataFrame:
    """Return the cells that could not be computed: ``experiment settings message``."""
    rows = []
    for cell in cells:
        found = find(cell, experiments[cell.experiment], results, max_cells=max_cells)
        if found is not None and found.message:
            settings = ", ".join(str(value) for value in cell.settings.values())
            rows.append({"experiment": cell.experiment, "settings": settings, "message": found.message})
    return pd.DataFrame(rows, columns=["experiment", "settings", "message"])


def _origin(cell: Cell, experiment: Experiment) -> "_Origin":
    code = code_version(Path(inspect.getfile(experiment.run)), itself=False)
    return {"data": [source.fingerprint for source in cell.sources], "version": f"{experiment.version} {code}"}


class _Origin(TypedDict):
    data: list[str]
    version: str


class _Task(NamedTuple):
    cell: Cell
    run: Callable[[Cell, NetworkStore], Rows]


def run_grid(
    cells: Sequence[Cell],
    experiments: Mapping[str, Experiment],
    results: ResultStore,
    *,
    folder: Path,
    max_cells: int,
    jobs: int,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Compute what is missing of the cells and keep each result when it is there.

    What is trained on one data set comes together, networks first: so that a run that is cut short leaves results, not
    networks alone.

    Parameters
    ----------
    cells, experiments
        What to compute, and the experiments by name.
    results
        Where results are kept.
    folder
        Of the networks; all processes use it.
    max_cells
        Of a data set; of larger ones a sample is drawn.
    jobs
        Processes side by side, one thread each; 1 for this process alone.

    Raises
    ------
    PrismError
        If a process was ended from outside, as by a machine that has too little memory; results so far are kept.
    """
    missing = [cell for cell in cells if find(cell, experiments[cell.experiment], results, max_cells=max_cells) is None]
    if not missing:
        return
    networks = NetworkStore(folder, max_cells=max_cells)
    meter = _Meter(len(_untrained(missing, networks)) + len(missing), on_progress)
    with _one_thread_each(), _pool(jobs) as pool:
        for group in _by_data(missing):
            for _, spec in _each(_trained, _untrained(group, networks), folder, max_cells, pool=pool):
                meter.count(f"network on {spec.source.name}")
            tasks = [_Task(cell, experiments[cell.experiment].run) for cell in group]
            for result, (cell, _) in _each(_computed, tasks, folder, max_cells, pool=pool):
                asked = cell.depends_on(max_cells)
                results.keep(result, cell.experiment, asked, **_origin(cell, experiments[cell.experiment]))
                meter.count(" ".join([cell.experiment, *(str(value) for value in cell.settings.values())]))


def _by_data(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Return the cells by the data set that their networks are trained on."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        trained_on = [network.source.name for network in cell.networks] or [source.name for source in cell.sources]
        groups.setdefault(min(trained_on, default=""), []).append(cell)
    return list(groups.values())


def _untrained(cells: Sequence[Cell], networks: NetworkStore) -> list[NetworkSpec]:
    """Return the networks that the cells need and the folder lacks, each once."""
    specs = {network.key: network for cell in cells for network in cell.networks if network.is_trained}
    return [spec for spec in specs.values() if not networks.has(spec)]


def _pool(jobs: int) -> "AbstractContextManager[ProcessPoolExecutor | None]":
    """Return a pool of processes, or none where one job is wanted, which this process does itself."""
    if jobs == 1:
        return nullcontext()
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=end_with_parent)


def _each(
    function: "Callable[[S, Path, int], R]",
    tasks: "Sequence[S]",
    folder: Path,
    max_cells: int,
    *,
    pool: ProcessPoolExecutor | None,
) -> "Iterator[tuple[R, S]]":
    """Yield what a function makes of each task, and the task, as they come."""
    if pool is None:
        for task in tasks:
            yield function(task, folder, max_cells), task
        return
    waiting = {pool.submit(function, task, folder, max_cells): task for task in tasks}
    try:
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result(), waiting.pop(future)
    except BrokenProcessPool as error:
        msg = "A process of the grid was ended from outside (too little memory?). Results so far are kept: run"
        raise PrismError(f"{msg} the command again, with fewer --jobs.") from error
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


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
    """Let this process, and those that are started in the block, have one thread each in the numerical libraries."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def _network_store(folder: Path, max_cells: int) -> NetworkStore:
    """Return this process's networks and data: what it has read serves its next cells."""
    return NetworkStore(folder, max_cells=max_cells)


def _trained(spec: NetworkSpec, folder: Path, max_cells: int) -> None:
    with _quiet(), suppress(PrismError):  # the cells that need it say why they have no result
        _network_store(folder, max_cells).network(spec)


def _computed(task: _Task, folder: Path, max_cells: int) -> Result:
    start = time.monotonic()
    with _quiet():
        try:
            return Result(task.run(task.cell, _network_store(folder, max_cells)), time.monotonic() - start)
        except PrismError as error:  # a query that a model refuses is a result too
            return Result([], time.monotonic() - start, str(error))


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)  # coverage and the like stand in the tables
        yield
