"""Warnings that are shown when they come up, at the user's own line, and that a result can keep."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from scprism.errors import PrismWarning

__all__ = ["kept_warnings", "warn"]

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
