"""What a model was asked to be, as its user said it."""

from dataclasses import dataclass, field
from typing import Any

from scprism.types import Organism, UnitKind

__all__ = ["Asked"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a user asked for when a model was trained.

    Attributes
    ----------
    preset
        The name of the preset, or ``"custom"`` for a `Config`.
    settings
        The settings that were given in place of the preset's.
    layer
        Where the counts were; data that the model is applied to are read there too, unless told otherwise.
    organism
        The organism that was told, if any.
    seed
        The seed, None if it was a generator or none was given.
    device
        Where it was to be trained.
    units, runs
        The kind of units, and the number of factorisations that find them.
    """

    preset: str = "custom"
    settings: dict[str, Any] = field(default_factory=dict)
    layer: str | None = None
    organism: Organism | None = None
    seed: int | None = None
    device: str = "auto"
    units: UnitKind | None = None
    runs: int | None = None
