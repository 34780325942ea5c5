"""What the command line says on stderr: steps, progress, warnings, errors."""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from scprism.paper.grid import Progress as GridProgress
    from scprism.train.loop import EpochRecord

__all__ = ["grid_progress", "say", "show_warnings", "training_progress"]


def say(text: str) -> None:
    """Write one line on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def show_warnings() -> None:
    """Show each warning of scprism as one line on stderr, once, and leave out those of other packages."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,  # noqa: ARG001
        lineno: int,  # noqa: ARG001
        file: TextIO | None = None,  # noqa: ARG001
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        if category.__module__.startswith("scprism"):
            say(f"warning: {message}")

    warnings.showwarning = show


@contextmanager
def training_progress(max_epochs: int) -> Iterator[Callable[["EpochRecord"], None]]:
    """Yield what to call after each epoch: it draws a bar with loss and time left, and nothing without a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("training", total=max_epochs, loss="")

        def on_epoch(record: "EpochRecord") -> None:
            progress.update(task, completed=record.epoch, loss=f"validation loss {record.validation_loss:.5g}")

        yield on_epoch


@contextmanager
def grid_progress() -> Iterator[Callable[["GridProgress"], None]]:
    """Yield what to call after each step of a grid: a bar with the time left, or a line a minute without a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"), TextColumn("{task.fields[last]}"))
    said = 0.0

    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("grid", total=None, left="", last="")

        def on_progress(state: "GridProgress") -> None:
            nonlocal said
            left = f"{state.seconds_left / 60:.0f} min left"
            progress.update(task, total=state.n_steps, completed=state.n_done, left=left, last=state.last)
            if not console.is_terminal and (time.monotonic() - said > 60 or state.n_done == state.n_steps):
                said = time.monotonic()
                say(f"{state.n_done} of {state.n_steps} steps, {left}; last: {state.last}")

        yield on_progress
