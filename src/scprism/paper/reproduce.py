"""The whole of the paper's experiments: plan, grid, page."""

import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from scprism._files import replacing
from scprism.integration.methods import Method
from scprism.paper.data_sets import Source, best_method, bundled_sources, combined_sources, file_sources
from scprism.paper.grid import Progress, failures, find, frame_of, run_grid
from scprism.paper.networks import training_seconds
from scprism.paper.page import Heading, Part, write_audit
from scprism.paper.plan import Cell, Plan
from scprism.paper.registry import EXPERIMENTS, planned
from scprism.paper.results import ResultStore
from scprism.paper.section import Section, Verdict
from scprism.paper.tabula_muris.cells import tabula_muris_parts
from scprism.paper.tabula_muris.converted import tabula_muris_h5ad
from scprism.paper.trainings import basis_of, training_table

__all__ = ["find_sources", "reproduce_paper"]

logger = logging.getLogger("scprism")


def find_sources(data: Path | None, out: Path, *, method: Method | None = None) -> list[Source]:
    """Return what there is to run on: bundled data, a folder of h5ad files, or Tabula Muris as published.

    Parameters
    ----------
    data
        The folder; None for the bundled data.
    out
        Where Tabula Muris is kept as h5ad files, in which it is read far faster.
    method
        What corrects batches; the best that is installed if None.

    Raises
    ------
    InputError
        If the folder or a file of it cannot be used.
    """
    if data is None:
        sources = bundled_sources()
    elif data.is_dir() and len(tabula_muris_parts(data)):
        logger.info("reading Tabula Muris; this is done once")
        tabula_muris_h5ad(data, out=out / "tabula_muris")
        sources = file_sources(out / "tabula_muris")
    else:
        sources = file_sources(data)
    return [*sources, *combined_sources(sources, method=method or best_method())]


def reproduce_paper(
    plan: Plan,
    *,
    out: Path,
    only: Sequence[str] = (),
    command: str = "scprism reproduce",
    jobs: int | None = None,
    minutes: float | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Return the path of the audit page, after everything that it needs was computed or found in `out`.

    What was not computed, for want of time, has no verdict on the page.

    Parameters
    ----------
    plan
        Data, presets and scale.
    out
        Folder of the page with its figures and tables, of all results as ``results/NAME.tsv``, and of the networks.
    only
        Names of experiments; all if empty.
    command
        What the page names as its origin.
    jobs
        Processes side by side; one a core if None.
    minutes
        How long to compute at most, but for the step in hand; None for as long as it takes, 0 for the page alone.
    on_progress
        Called after each step.

    Raises
    ------
    InputError
        If an experiment is unknown, or `out` holds something else.
    PrismError
        If a process was ended from outside.
    """
    cells = planned(plan, only=only)
    results, max_cells = ResultStore(out / "results.sqlite"), plan.scale.max_cells
    everything = [cell for group in cells.values() for cell in group]
    processes = jobs or os.cpu_count() or 1
    if minutes != 0:
        told = _until(minutes, on_progress)
        with suppress(_TimeIsUpError):
            run_grid(
                everything, EXPERIMENTS, results, folder=out, max_cells=max_cells, jobs=processes, on_progress=told
            )
    done = {
        name: [cell for cell in group if find(cell, EXPERIMENTS[name], results, max_cells=max_cells) is not None]
        for name, group in cells.items()
    }
    frames = {name: frame_of(group, EXPERIMENTS[name], results, max_cells=max_cells) for name, group in done.items()}
    for name, frame in frames.items():
        with replacing(out / "results" / f"{name}.tsv") as scratch:
            frame.to_csv(scratch, sep="\t", index=False)
    parts = [
        Part(EXPERIMENTS[name], _section(name, frames, cells), basis_of(done[name], n_planned=len(group), plan=plan))
        for name, group in cells.items()
    ]
    heading = Heading(
        plan=plan,
        command=command,
        seconds=results.seconds() + training_seconds(out),
        failed=failures(everything, EXPERIMENTS, results, max_cells=max_cells),
        epochs=training_table([cell for group in done.values() for cell in group], out, plan=plan),
    )
    return write_audit(out, heading=heading, parts=parts)


class _TimeIsUpError(Exception):
    """The time for computing is over."""


def _until(minutes: float | None, on_progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Return what is told of progress, and ends the computing when the time is up."""
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes

    def told(progress: Progress) -> None:
        on_progress(progress)
        if time.monotonic() > end:
            raise _TimeIsUpError

    return told


def _section(name: str, frames: Mapping[str, pd.DataFrame], cells: Mapping[str, Sequence[Cell]]) -> Section:
    """Return the section of an experiment; that of one of which nothing is computed yet has no numbers."""
    if cells[name] and frames[name].empty:
        verdict = Verdict(EXPERIMENTS[name].title, "", "", "", "not computed")
        return Section("Nothing of this is computed yet.", verdicts=(verdict,))
    return EXPERIMENTS[name].section(frames)
