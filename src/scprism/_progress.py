"""Bars of progress in terminals and notebooks."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Advance", "bar", "on_log"]

Advance = Callable[[int, str], None]
"""Called with how much is done, and what to say beside the bar."""


@contextmanager
def bar(title: str, total: int, *, shown: bool = True) -> Iterator[Advance]:
    """Yield what to call as work goes on: a bar with the time left, on stderr or in the notebook.

    Parameters
    ----------
    title
        What is done.
    total
        How much there is to do.
    shown
        Whether to draw; where there is neither a terminal nor a notebook, nothing is drawn.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    is_seen = screen.is_terminal or screen.is_jupyter
    with Progress(*columns, console=screen, transient=True, disable=not (shown and is_seen)) as progress:
        task = progress.add_task(title, total=total, told="")
        yield lambda done, told: progress.update(task, completed=done, told=told)


@contextmanager
def on_log(call: Callable[[str], None]) -> Iterator[None]:
    """Call a function with each message that scprism logs in this block."""
    logger, handler = logging.getLogger("scprism"), _Handler(call)
    level = logger.level
    logger.addHandler(handler)
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Handler(logging.Handler):
    def __init__(self, call: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self.call = call

    def emit(self, record: logging.LogRecord) -> None:
        self.call(record.getMessage())
