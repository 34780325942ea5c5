"""What scprism raises and warns with."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["BundleError", "InputError", "PrismError", "PrismWarning", "TrainingError", "noted_warnings"]

_listening: ContextVar[tuple[list[str], ...]] = ContextVar("_listening", default=())


class PrismError(Exception):
    """Any error that scprism raises on purpose; its message is meant for the user."""


class InputError(PrismError, ValueError):
    """The data or an argument cannot be used as they are."""


class BundleError(PrismError):
    """A model folder or result file is truncated, edited, foreign or from a newer scprism."""


class TrainingError(PrismError):
    """Training could not go on, for example because the loss became infinite."""


class PrismWarning(UserWarning):
    """The result is usable but surprising. The result keeps the message, whatever the warning filters say."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        for messages in _listening.get():
            if str(self) not in messages:
                messages.append(str(self))


@contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """Yield a list to which each `PrismWarning` of the block adds its message, once; it is shown as ever.

    Only this thread's warnings are noted, and no warning filter is changed, so threads do not disturb each other.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"), noted_warnings() as messages:
    ...     warnings.warn("Low gene coverage", PrismWarning)
    >>> messages
    ['Low gene coverage']
    """
    messages: list[str] = []
    token = _listening.set((*_listening.get(), messages))
    try:
        yield messages
    finally:
        _listening.reset(token)
