"""What there is to compute: an experiment names its cells, a cell what it needs."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from scprism.paper.experiments.scale import Scale, scaled_config
from scprism.paper.experiments.sources import Source
from scprism.paper.experiments.workshop import NetworkSpec, Workshop

__all__ = ["Cell", "Experiment", "Plan", "Rows", "Scalar", "comparable", "shared_types"]

Scalar: TypeAlias = str | int | float | bool | None
Rows: TypeAlias = list[dict[str, Scalar]]
MIN_CELLS = 5
"""A type is shared if both sides have this many cells of it."""


@dataclass(frozen=True)
class Cell:
    """One result of the grid: an experiment, its settings, the data and the networks it needs."""

    experiment: str
    settings: Mapping[str, Scalar]
    sources: tuple[Source, ...] = ()
    networks: tuple[NetworkSpec, ...] = ()

    def key(self, *, version: int, max_cells: int) -> str:
        """Return a hash of all that the result depends on; `version` is that of the experiment's code."""
        record = [
            self.experiment,
            version,
            max_cells,
            sorted(self.settings.items()),
            [[source.name, source.fingerprint] for source in self.sources],
            [[network.key, network.readings] for network in self.networks],
        ]
        return hashlib.sha256(json.dumps(record).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Plan:
    """What an experiment may choose its cells from.

    Attributes
    ----------
    sources
        All data.
    presets
        Presets to run.
    scale
        Repetitions and lengths.
    data
        The folder that the sources are from, for what may lie beside them (gene lists of tissues, annotations); None
        for bundled data.
    """

    sources: Sequence[Source]
    presets: Sequence[str]
    scale: Scale
    data: Path | None = None

    @property
    def singles(self) -> list[Source]:
        """Data sets and their parts, uncombined."""
        return [source for source in self.sources if not source.is_combined]

    @property
    def wholes(self) -> list[Source]:
        """Whole data sets, uncombined."""
        return [source for source in self.singles if not source.is_part]

    def network(self, source: Source, preset: str, seed: int = 0) -> NetworkSpec:
        """Return the network of a preset on a source."""
        return NetworkSpec(source, scaled_config(preset, self.scale), seed)

    def untrained(self, source: Source, preset: str, seed: int) -> NetworkSpec:
        """Return the network of a preset on a source as it was drawn."""
        return NetworkSpec(source, scaled_config(preset, self.scale), seed, is_trained=False)

    def pairs(self, sources: Sequence[Source], *, least_types: int = 2) -> list[tuple[Source, Source]]:
        """Return the ordered pairs that share at least so many types: of whole data sets, and of parts of one."""
        return [
            (a, b)
            for a in sources
            for b in sources
            if a != b and comparable(a, b) and len(shared_types(a, b)) >= least_types
        ]


@dataclass(frozen=True)
class Experiment:
    """An experiment: its name for ``--only``, its cells, and how one of them is computed.

    Attributes
    ----------
    version
        Of `run`: raise it when it computes something else, so that kept results are not taken for its own.
    """

    name: str
    title: str
    plan: Callable[[Plan], list[Cell]]
    run: Callable[[Cell, Workshop], Rows]
    version: int = 1


def shared_types(first: Source, second: Source) -> list[str]:
    """Return the types of which both have at least `MIN_CELLS` cells."""
    return [name for name, n in first.types if n >= MIN_CELLS and second.n_of(name) >= MIN_CELLS]


def comparable(first: Source, second: Source) -> bool:
    """Return whether two sources have no cells in common, and are both whole or parts by the same column."""
    if first.is_combined or second.is_combined:
        return not set(_files(first)) & set(_files(second))
    if first.where is None or second.where is None:
        return first.where is None and second.where is None
    return first.path == second.path and first.where[0] == second.where[0]


def _files(source: Source) -> list[str]:
    return [path for member in source.members for path in _files(member)] if source.is_combined else [source.path]
