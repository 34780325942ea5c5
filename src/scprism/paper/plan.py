"""What there is to compute: an experiment names its cells, a cell what it needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scprism.paper.data_sets import Source, comparable, shared_types
from scprism.paper.networks import NetworkSpec, NetworkStore
from scprism.paper.results import Rows, Scalar
from scprism.paper.scale import Scale, scaled_config
from scprism.paper.section import Section

__all__ = ["Cell", "Experiment", "Plan"]


@dataclass(frozen=True)
class Cell:
    """One result of the grid: an experiment, its settings, the data and the networks it needs."""

    experiment: str
    settings: Mapping[str, Scalar]
    sources: tuple[Source, ...] = ()
    networks: tuple[NetworkSpec, ...] = ()

    def depends_on(self, max_cells: int) -> list[object]:
        """Return what the result depends on besides the content of the data and the code."""
        networks = [[network.key, network.readings] for network in self.networks]
        return [max_cells, dict(self.settings), [source.name for source in self.sources], networks]


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
    """An experiment: what there is to compute, how, and what the page says of it.

    Attributes
    ----------
    name
        For ``--only``, files of results and the page.
    title
        Of its section.
    plan
        Lists its cells.
    run
        Computes one of them: the rows of a table.
    section
        Makes the section of the page from the rows of all experiments that were asked for, by name.
    version
        Of `run`: raise it when it computes something else, so that kept results are not taken for its own. What it
        calls is noticed without.
    """

    name: str
    title: str
    plan: Callable[[Plan], list[Cell]]
    run: Callable[[Cell, NetworkStore], Rows]
    section: Callable[[Mapping[str, pd.DataFrame]], Section]
    version: int = 1
