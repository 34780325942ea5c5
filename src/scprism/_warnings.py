"""Results that keep the warnings that came up while they were computed."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass, replace
from typing import Any, ParamSpec, TypeVar, cast

import pandas as pd

from scprism.errors import noted_warnings

__all__ = ["keeps_warnings", "warnings_of"]

P = ParamSpec("P")
Result = TypeVar("Result")


def keeps_warnings(function: Callable[P, Result]) -> Callable[P, Result]:
    """Let what a function returns keep the warnings of the call: a table in its ``attrs``, a record in ``warnings``."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        with noted_warnings() as messages:
            result = function(*args, **kwargs)
        if isinstance(result, pd.DataFrame):
            result.attrs["warnings"] = messages
            return result
        return cast("Result", replace(cast("Any", result), warnings=tuple(messages)))

    return call


def warnings_of(*results: object) -> list[str]:
    """Return the messages that results keep, each once, in the order of the results."""
    kept: list[Sequence[str]] = []
    for result in results:
        if isinstance(result, pd.DataFrame):
            kept.append(result.attrs.get("warnings", ()))
        elif is_dataclass(result):
            kept.append(cast("Any", result).warnings)
    return list(dict.fromkeys(str(message) for messages in kept for message in messages))
