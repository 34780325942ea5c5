"""What a fit of units leaves behind, and its settings."""

from dataclasses import dataclass

import numpy as np

from scprism.errors import InputError
from scprism.types import FloatArray

__all__ = ["ACTIVITY_QUANTILES", "UnitSettings", "Units", "unit_names"]

ACTIVITY_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Of each unit's activity in the training cells, kept with the units; at the last of them the activity is 1."""


@dataclass(frozen=True)
class UnitSettings:
    """How units are found.

    Attributes
    ----------
    runs
        Number of factorisations of half of the cells, an even number from 4: in pairs that have no cell in common.
        More runs make replication and ranges finer, and cost proportionally.
    ranks
        Numbers of programs that the runs ask for, in turn. A small program needs a large number, a broad one a small.
    least_replication
        Programs that come back less well than this are dropped.
    largest_correlation
        Of two programs whose activities correlate more than this, the better replicated one is kept.
    least_cosine
        Two programs of different runs are the same only if the cosine of their genes reaches this.
    weight_power
        Residuals of a gene count ``mean ** -weight_power`` times: 0 counts all genes alike, so a few abundant genes
        decide; 1 makes rare genes count as much as abundant ones.
    max_cells
        A run sees this many cells at most, drawn without replacement from its half.
    max_iterations
        Of each factorisation.
    """

    runs: int = 12
    ranks: tuple[int, ...] = (10, 15, 20)
    least_replication: float = 0.6
    largest_correlation: float = 0.5
    least_cosine: float = 0.6
    weight_power: float = 0.5
    max_cells: int = 3000
    max_iterations: int = 80

    def __post_init__(self) -> None:
        if self.runs < 4 or self.runs % 2:
            msg = f"`runs` must be an even number from 4, got {self.runs}."
            raise InputError(msg)
        if not self.ranks or min(self.ranks) < 2:
            msg = f"`ranks` must be one or more numbers from 2, got {self.ranks}."
            raise InputError(msg)


@dataclass(frozen=True)
class Units:
    """Programs of genes that come back, in the order of how well they do.

    Attributes
    ----------
    names
        ``U01``, ``U02``, …
    programs
        What a unit adds to the expression of each gene (log1p counts per 10,000) where its activity is 1,
        non-negative float32 (units, genes).
    gene_weights
        How much each gene's residual counts when activities are found, float32 (genes,).
    replication
        Mean over the splits of the cells of the correlation between a unit's activity and that of its counterpart in
        the half where it comes back less well, float32 (units,), 0 to 1.
    low, high
        The range of each weight over the runs in which the unit came back, float32 (units, genes).
    quantiles
        Of each unit's activity in the training cells at `ACTIVITY_QUANTILES`, float32 (units, quantiles).
    n_runs_found
        Number of runs in which each unit came back, int (units,).
    coherence
        Correlation between the activities read from two disjoint halves of the unit's genes, in the cells that a run
        did not see: the median over the runs in which it came back, float32 (units,).
    overlap
        Share of the unit's 20 leading genes that lead the programs of those runs too: the median, float32 (units,).
    shuffled_overlap
        The largest such share with a program of gene-shuffled cells, float32 (units,).
    n_cells
        Number of cells that the units were found in; a run saw half of them.
    n_dropped
        Number of programs that were found and did not come back.
    settings
        How the units were found.
    """

    names: tuple[str, ...]
    programs: FloatArray
    gene_weights: FloatArray
    replication: FloatArray
    low: FloatArray
    high: FloatArray
    quantiles: FloatArray
    n_runs_found: np.ndarray
    coherence: FloatArray
    overlap: FloatArray
    shuffled_overlap: FloatArray
    n_cells: int
    n_dropped: int
    settings: UnitSettings

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.gene_weights))
        for name in ("programs", "low", "high"):
            if getattr(self, name).shape != shape:
                msg = f"`{name}` must be units × genes, {shape}, got {getattr(self, name).shape}."
                raise InputError(msg)
        if (self.programs < 0).any():
            msg = "`programs` must not be negative."
            raise InputError(msg)


def unit_names(n_units: int) -> tuple[str, ...]:
    """Return the names of units in order.

    Examples
    --------
    >>> unit_names(2)
    ('U01', 'U02')
    """
    width = max(2, len(str(n_units)))
    return tuple(f"U{number:0{width}d}" for number in range(1, n_units + 1))
