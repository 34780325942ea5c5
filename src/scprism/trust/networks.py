"""One set of cells seen through several networks: the units' activations, and the maps that their names rest on."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.stats import rankdata

from scprism.explain.attribution import Attribution
from scprism.explain.explanation import ALL, Explanation
from scprism.explain.groups import explain_groups
from scprism.explain.randomise import Layers, redraw_weights
from scprism.model.forward import encode
from scprism.model.weights import Weights
from scprism.types import FloatArray, IntArray

__all__ = [
    "NetworkView",
    "SeenCells",
    "gene_weights",
    "paired_correlation",
    "randomised_views",
    "unit_maps",
    "view_network",
]


@dataclass(frozen=True)
class SeenCells:
    """Cells, and the way in which they are explained.

    Attributes
    ----------
    inputs
        Normalised expression, float32 csr (cells, genes).
    fill
        Values added to every cell, (genes,): those of genes that the cells lack.
    genes, groups
        Names.
    codes
        Each cell's number among the groups, −1 for a cell in none.
    attribution
        Method and baseline.
    """

    inputs: sparse.csr_matrix
    fill: FloatArray
    genes: tuple[str, ...]
    groups: tuple[str, ...]
    codes: IntArray
    attribution: Attribution

    def dense(self, rows: IntArray) -> FloatArray:
        """Return some cells as the network sees them, float64 (cells, genes)."""
        return np.asarray(self.inputs[rows].toarray() + self.fill, dtype=np.float64)


@dataclass(frozen=True)
class NetworkView:
    """Cells through one network: the latent, (cells, units), and the explanation."""

    latent: FloatArray
    explanation: Explanation


def view_network(weights: Weights, cells: SeenCells) -> NetworkView:
    """Return what a network makes of the cells."""
    explanation = explain_groups(
        weights,
        [(cells.inputs, cells.codes)],
        genes=cells.genes,
        groups=cells.groups,
        attribution=cells.attribution,
        fill=cells.fill,
    )
    return NetworkView(encode(weights, cells.inputs, fill=cells.fill), explanation)


def randomised_views(
    weights: Weights,
    cells: SeenCells,
    *,
    layers: Layers,
    n_draws: int,
    rng: np.random.Generator,
) -> list[NetworkView]:
    """Return what networks make of the cells whose weights are drawn anew (see `redraw_weights`)."""
    return [view_network(redraw_weights(weights, layers=layers, rng=rng), cells) for _ in range(n_draws)]


def unit_maps(explanation: Explanation) -> FloatArray:
    """Return each unit's map, float32 (units, groups × genes): the mean signed attributions in every group.

    These are what gene sets are tested on. The whole data set counts as a group only where it is alone.
    """
    counted = [i for i, group in enumerate(explanation.groups) if group != ALL] or [0]
    maps = explanation.signed[counted].transpose(1, 0, 2)  # (units, groups, genes)
    return np.ascontiguousarray(maps.reshape(len(maps), -1))


def gene_weights(explanation: Explanation) -> FloatArray:
    """Return how much each gene weighs in each unit, (units, genes): the sum over groups of |mean attribution|."""
    maps = unit_maps(explanation).reshape(len(explanation.units), -1, len(explanation.genes))
    return np.asarray(np.abs(maps).sum(axis=1))


def standard_ranks(rows: FloatArray) -> FloatArray:
    """Return the ranks in each row, centred and of length 1, so that products are Spearman correlations.

    A row that does not vary becomes 0: it correlates with nothing.
    """
    ranks = rankdata(rows, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.asarray(np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0))


def paired_correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return Spearman's correlation of each row with the same row of the other, (rows,)."""
    return np.asarray((standard_ranks(first) * standard_ranks(second)).sum(axis=1))
