"""Warnings that are shown when they come up, and that a result can keep."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from scprism.errors import PrismWarning

__all__ = ["kept_warnings", "warn"]

_kept: ContextVar[list[str] | None] = ContextVar("kept", default=None)


def warn(message: str, *, stacklevel: int = 2) -> None:
    """Show a `PrismWarning`; `kept_warnings` around it keeps its message too. `stacklevel` as in `warnings.warn`."""
    kept = _kept.get()
    if kept is not None and message not in kept:
        kept.append(message)
    warnings.warn(message, PrismWarning, stacklevel=stacklevel + 1)


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
