"""What the command line says on stderr: steps, progress, warnings, errors."""

import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from scprism._progress import bar, on_log

if TYPE_CHECKING:
    from scprism.paper.grid import Progress as GridProgress
    from scprism.train.loop import EpochRecord

__all__ = [
    "Console",
    "console",
    "grid_progress",
    "say",
    "show_warnings",
    "step_progress",
    "training_progress",
    "write",
]

TRAINED = "best epoch"
"""How the message begins that is logged when the network is trained."""


ARGUMENT = r"(?:`\w+(?:=[^`\s]+)?`|\w+=\S*|\w+_\w+)"
"""How messages of the library name an argument: ```organism```, ``organism='human'``, ``min_coverage``."""


class Console:
    """How much is said, and how the running command calls the arguments that messages speak of."""

    def __init__(self) -> None:
        self.begin({}, quiet=False, verbose=False)

    def begin(self, options: Mapping[str, str], *, quiet: bool, verbose: bool) -> None:
        """Set what the next command needs: its options by the names of the arguments, and how much to say."""
        self.options, self.quiet, self.verbose, self.warned = dict(options), quiet, verbose, set[str]()
        logger = logging.getLogger("scprism")
        for handler in [h for h in logger.handlers if isinstance(h, _LogHandler)]:
            logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        if verbose:
            logger.addHandler(_LogHandler())
            logger.setLevel(logging.INFO)

    def in_options(self, text: str) -> str:
        """Return a message of the library in the words of the command line: ``--organism`` for ```organism```.

        Where a message names both, as in ``min_coverage (--min-coverage 0.3)`` and ``model.index(…), on the command
        line: scprism index …``, what the command line has stays; what is said of Python alone, as in ``(in Python:
        …)``, goes.
        """
        text = re.sub(r" \(in Python: [^()]*(?:\([^()]*\)[^()]*)*\)", "", text)
        text = re.sub(r"[\w.]+\([^()]*\)(?:\.\w+\([^()]*\))?, on the command line: ", "", text)
        text = re.sub(rf"{ARGUMENT}(?: and {ARGUMENT})? \((--[\w-]+[^()]*)\)", r"\1", text)
        for name, option in self.options.items():
            text = re.sub(rf"`{name}=\"?'?([^`\"']+)\"?'?`", rf"{option} \1", text)
            text = re.sub(rf"`{name}`", option, text)
            text = re.sub(rf"(?<![\w`.-]){name}=(?=['\"\w])", f"{option} ", text)
        return text


class _LogHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        write(record.getMessage())


console = Console()


def write(text: str) -> None:
    """Write one line on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def say(text: str) -> None:
    """Write a line about the work on stderr, unless --quiet."""
    if not console.quiet:
        write(text)


def show_warnings() -> None:
    """Show each warning of scprism as one line on stderr, once, and leave out those of other packages."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = console.in_options(str(message))
        if category.__module__.startswith("scprism") and text not in console.warned:
            console.warned.add(text)
            write(f"warning: {text}")

    warnings.showwarning = show


@contextmanager
def training_progress(max_epochs: int) -> Iterator[Callable[["EpochRecord"], None]]:
    """Yield what to call after each epoch: it draws a bar with loss and time left, and nothing without a terminal."""
    done = 0
    with bar("training", max_epochs, shown=not console.quiet) as advance:

        def on_epoch(record: "EpochRecord") -> None:
            nonlocal done
            done = record.epoch
            advance(done, f"validation loss {record.validation_loss:.5g}")

        def on_message(text: str) -> None:
            if text.startswith(TRAINED):
                advance(done, "trained; finding units")

        with on_log(on_message):
            yield on_epoch


@contextmanager
def step_progress(title: str, n_steps: int, *, steps: tuple[str, ...]) -> Iterator[None]:
    """Tell of the steps that the library logs in this block: a bar in a terminal, a line for each without one.

    `steps` are how their messages begin.
    """
    done = 0
    with bar(title, n_steps, shown=not console.quiet) as advance:

        def on_message(text: str) -> None:
            nonlocal done
            if text.startswith(steps):
                advance(done, text)
                done += 1
                if not sys.stderr.isatty() and not console.verbose:
                    say(f"  {text}")

        with on_log(on_message):
            yield


@contextmanager
def grid_progress() -> Iterator[Callable[["GridProgress"], None]]:
    """Yield what to call after each step of a grid: a bar with the time left, or a line a minute without a terminal."""
    from rich.console import Console as Screen
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    screen = Screen(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"), TextColumn("{task.fields[last]}"))
    said = 0.0

    with Progress(
        *columns, console=screen, transient=True, disable=console.quiet or not screen.is_terminal
    ) as progress:
        task = progress.add_task("grid", total=None, left="", last="")

        def on_progress(state: "GridProgress") -> None:
            nonlocal said
            left = f"{state.seconds_left / 60:.0f} min left"
            progress.update(task, total=state.n_steps, completed=state.n_done, left=left, last=state.last)
            if not screen.is_terminal and (time.monotonic() - said > 60 or state.n_done == state.n_steps):
                said = time.monotonic()
                say(f"{state.n_done} of {state.n_steps} steps, {left}; last: {state.last}")

        yield on_progress
