"""The whole of the paper's experiments: plan, grid, page."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from scprism.evaluate.experiments.grid import Progress, Results, run_grid
from scprism.evaluate.experiments.plan import Plan
from scprism.evaluate.experiments.registry import EXPERIMENTS, planned
from scprism.report.audit.heading import audit_heading
from scprism.report.audit.page import write_audit
from scprism.report.audit.sections import SECTIONS

__all__ = ["reproduce_paper"]


def reproduce_paper(
    plan: Plan,
    *,
    out: Path,
    only: Sequence[str] = (),
    command: str = "scprism reproduce",
    jobs: int | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Return the path of the audit page, after everything that it needs was computed or found in `out`.

    Parameters
    ----------
    plan
        Data, presets and scale.
    out
        Folder of the page, its figures and tables, of the results and of the networks.
    only
        Names of experiments; all if empty.
    command
        What the page names as its origin.
    jobs
        Processes side by side; one a core if None.
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
    results = Results(out / "results.sqlite", max_cells=plan.scale.max_cells)
    everything = [cell for group in cells.values() for cell in group]
    run_grid(everything, EXPERIMENTS, results, folder=out, jobs=jobs or os.cpu_count() or 1, on_progress=on_progress)
    frames = {name: results.frame(group, EXPERIMENTS[name]) for name, group in cells.items()}
    sections = [SECTIONS[name](frames) for name in cells]
    failed = results.failures(everything, EXPERIMENTS)
    heading = audit_heading(plan, command=command, seconds=results.seconds(), failed=failed)
    return write_audit(out, heading=heading, sections=sections)
