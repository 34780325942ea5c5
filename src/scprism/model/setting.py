"""Settings that know their limits: declared beside each field, checked by one function."""

import math
from dataclasses import field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from scprism._check import check_choice, some
from scprism.errors import InputError

__all__ = ["check_settings", "setting"]

WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", NoneType: "nothing"}


def setting(default: Any, *, least: float | None = None, above: float | None = None, most: float | None = None) -> Any:
    """Return a field of a record of settings, its value at least `least`, above `above`, and at most `most`."""
    return field(default=default, metadata={"least": least, "above": above, "most": most})


def check_settings(settings: Any) -> None:
    """Raise `InputError` unless each field of a record holds a value of its type, finite, within its limits."""
    hints = _hints(type(settings))  # type: ignore[arg-type]  # mypy does not know that types are hashable
    for part in fields(settings):
        value, hint = getattr(settings, part.name), hints[part.name]
        if get_origin(hint) is Literal:
            check_choice(part.name, value, get_args(hint))
        elif not _fits(value, hint):
            msg = f"`{part.name}` must be {_words(hint)}, got {value!r}."
            raise InputError(msg)
        elif isinstance(value, int | float):
            _check_limits(part.name, value, **part.metadata)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _check_limits(
    name: str, value: float, *, least: float | None = None, above: float | None = None, most: float | None = None
) -> None:
    if (
        (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and math.isfinite(value)
    ):
        return
    if least is not None and most is not None:
        allowed = f"lie between {least:g} and {most:g}"
    elif above is not None:
        allowed = f"be above {above:g}"
    else:
        allowed = "be a finite number" if least is None else f"be at least {least:g}"
    msg = f"`{name}` must {allowed}{'' if math.isfinite(value) else ' and finite'}, got {value!r}."
    raise InputError(msg)


def _fits(value: object, hint: Any) -> bool:
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Literal:
        return isinstance(value, str) and value in parts
    if kind in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is tuple:
        each = (parts[0],) * len(value) if isinstance(value, tuple) and parts[-1] is Ellipsis else parts
        return isinstance(value, tuple) and len(value) == len(each) and all(map(_fits, value, each))
    if hint in (int, float):
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Literal:
        return some(parts, limit=20)
    if kind in (Union, UnionType):
        return " or ".join(_words(part) for part in parts)
    if kind is tuple:
        return (
            f"several, each {_words(parts[0])}"
            if parts[-1] is Ellipsis
            else f"{len(parts)} values, each {_words(parts[0])}"
        )
    return WORDS[hint]
