"""What a reference says of cells: how probable each label is, and how strange the cells are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from scprism.prepare.stream import PreparedChunk
from scprism.query.view import Query
from scprism.types import FloatArray, IntArray

__all__ = ["LEAST_DISTANCE", "Evidence", "Rule", "joined_evidence"]

LEAST_DISTANCE = 1e-6
"""Distances are raised to this before a logarithm: cells may be equal."""


@dataclass(frozen=True)
class Evidence:
    """What a reference says of cells.

    Attributes
    ----------
    log_probabilities
        Logarithm of each label's probability, float64 (cells, labels).
    scores
        How strange each cell is by several measures, higher for stranger cells, float64 (scores, cells).
    distance
        Mean distance to the nearest reference cells, float64 (cells,).
    depth
        Counts in the genes that labels are told by, float64 (cells,).
    """

    log_probabilities: FloatArray
    scores: FloatArray
    distance: FloatArray
    depth: FloatArray


class Rule(Protocol):
    """What was learned from labelled cells."""

    def seen_by(self, query: Query) -> Self:
        """Return the rule for a query that may lack some of its genes."""
        ...

    def evidence(self, chunk: PreparedChunk) -> Evidence:
        """Return what it says of cells."""
        ...


def joined_evidence(parts: Sequence[Evidence], rows: Sequence[IntArray]) -> Evidence:
    """Return the evidence of several parts of the cells as one, in the order of the row numbers of each part."""
    order = np.argsort(np.concatenate(rows))
    return Evidence(
        np.concatenate([part.log_probabilities for part in parts])[order],
        np.concatenate([part.scores for part in parts], axis=1)[:, order],
        np.concatenate([part.distance for part in parts])[order],
        np.concatenate([part.depth for part in parts])[order],
    )
