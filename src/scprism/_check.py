"""Checks at the door, and the phrases of their messages."""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from scprism.errors import InputError, PrismError

__all__ = ["check_choice", "closest", "require", "some"]


def closest(name: str, names: Iterable[str]) -> str:
    """Return up to three of `names` that look like `name`, as text for a message."""
    known = [str(n) for n in names]
    matches = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return some(matches or known)


def some(names: Iterable[str], *, limit: int = 5) -> str:
    """Return the first `limit` names as text, with the number left out."""
    known = [str(n) for n in names]
    text = ", ".join(repr(n) for n in known[:limit]) or "none"
    return text if len(known) <= limit else f"{text} and {len(known) - limit:,} more"


def check_choice(name: str, value: str, allowed: Iterable[str]) -> None:
    """Raise `InputError` unless `value` is one of `allowed`."""
    known = list(allowed)
    if value not in known:
        msg = f"`{name}` must be one of {some(known, limit=20)}, got {value!r}. Closest: {closest(str(value), known)}."
        raise InputError(msg)


def require(module: str, *, extra: str) -> Any:
    """Return an optional module, or say which extra installs it."""
    try:
        loaded: ModuleType = importlib.import_module(module)
    except ImportError as error:
        msg = f"This needs the package {module!r}. Install it with: pip install 'scprism[{extra}]'"
        raise PrismError(msg) from error
    return loaded
