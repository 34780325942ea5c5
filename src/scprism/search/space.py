"""What a search may change: the paper's two spaces, and one in which every dimension acts."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from scprism._check import check_choice
from scprism.errors import InputError
from scprism.model.config import Config

__all__ = ["SPACES", "STARTS", "Settings", "Space", "Span", "resolve_space"]

Settings: TypeAlias = dict[str, int | float]


class Span(NamedTuple):
    """From where to where a setting is searched, on a logarithmic or an even scale; whole numbers stay whole."""

    low: float
    high: float
    scale: Literal["log", "even"] = "log"


Space: TypeAlias = Mapping[str, Span]

_SIMPLE = {
    "learning_rate": Span(1e-5, 1e-3),
    "penalty_weight": Span(1e-25, 1e-5),
    "hidden_size": Span(50, 140, "even"),
    "bottleneck_size": Span(35, 75, "even"),
}
SPACES: dict[str, Space] = {
    "simple": _SIMPLE,
    "complex": {**_SIMPLE, "l1_weight": Span(1e-25, 1e-5), "weight_decay": Span(1e-25, 1e-5)},
    "effective": {
        "learning_rate": Span(1e-4, 1e-2),
        "hidden_size": Span(32, 400),
        "input_dropout": Span(0.0, 0.9, "even"),
        "l1_weight": Span(1e-8, 1e-3),
        "weight_decay": Span(1e-7, 1e-2),
    },
}
"""``"simple"`` and ``"complex"`` are the paper's, to the number; ``"effective"`` is ours (`docs/search.md`)."""
_STARTS = [
    # learning rate, hidden units, input dropout, L1, weight decay
    (1.0e-3, 140, 0.0, 2.0e-6, 1.0e-4),
    (1.6e-3, 400, 0.0, 4.0e-8, 1.0e-7),
    (6.0e-4, 400, 0.0, 1.0e-8, 1.0e-4),
    (1.0e-3, 400, 0.4, 1.5e-5, 1.0e-7),
    (4.5e-3, 200, 0.05, 7.0e-6, 1.0e-4),
    (1.0e-3, 290, 0.0, 1.5e-6, 5.0e-7),
]
STARTS: dict[str, list[Settings]] = {
    "effective": [dict(zip(SPACES["effective"], values, strict=True)) for values in _STARTS]
}
"""Settings of a space that a quick search begins with: together they came nearest to the ends of thorough searches on
four data sets (`benchmarks/search_starts.py`)."""


def resolve_space(space: str | Space) -> tuple[str, Space]:
    """Return the name of a space, ``"custom"`` for one that was given, and its spans.

    Raises
    ------
    InputError
        If the name is unknown, or a span names no setting that can be searched or has no extent.
    """
    if isinstance(space, str):
        check_choice("space", space, SPACES)
        return space, SPACES[space]
    for name, span in space.items():
        if not isinstance(getattr(Config(), name, None), int | float) or isinstance(getattr(Config(), name), bool):
            msg = f"The space has {name!r}, which is not a setting with a number. Spaces look like: {SPACES['simple']}"
            raise InputError(msg)
        if not span.low < span.high or (span.scale == "log" and span.low <= 0):
            msg = f"The span of {name!r} must go from low to high, above 0 on a logarithmic scale, got {span}."
            raise InputError(msg)
    if not space:
        msg = f"The space is empty: there is nothing to search. Spaces look like: {SPACES['simple']}"
        raise InputError(msg)
    return "custom", space
