"""Warnings that are shown when they come up, at the user's own line, and that a result can keep."""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from scprism.errors import PrismWarning

__all__ = ["keeps_warnings", "kept_warnings", "note", "warn", "warnings_of"]

P = ParamSpec("P")
Result = TypeVar("Result")
HERE = str(Path(__file__).parent)
_kept: ContextVar[list[str] | None] = ContextVar("kept", default=None)


def warn(message: str) -> None:
    """Show a `PrismWarning` at the line that called scprism; `kept_warnings` around it keeps its message too."""
    kept = _kept.get()
    if kept is not None and message not in kept:
        kept.append(message)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, PrismWarning, stacklevel=level)


def note(messages: Iterable[str]) -> None:
    """Let the result that is being computed keep messages that were shown before."""
    kept = _kept.get()
    if kept is not None:
        kept.extend(message for message in messages if message not in kept)


@contextmanager
def kept_warnings() -> Iterator[list[str]]:
    """Yield a list that each message of `warn` in this block is added to once, whether or not it is shown.

    Unlike `warnings.catch_warnings` it changes nothing that other threads see.
    """
    before = _kept.get()
    kept: list[str] = []
    token = _kept.set(kept)
    try:
        yield kept
    finally:
        _kept.reset(token)
        if before is not None:
            before.extend(message for message in kept if message not in before)


def keeps_warnings(function: Callable[P, Result]) -> Callable[P, Result]:
    """Let the record that a function returns keep the warnings of the call, as ``warnings``."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        with kept_warnings() as messages:
            result = function(*args, **kwargs)
        return cast("Result", replace(cast("Any", result), warnings=tuple(messages)))

    return call


def warnings_of(*results: object) -> list[str]:
    """Return the messages that records keep, each once, in the order of the records; a table keeps none."""
    kept: list[Sequence[str]] = [cast("Any", result).warnings for result in results if is_dataclass(result)]
    return list(dict.fromkeys(str(message) for messages in kept for message in messages))
