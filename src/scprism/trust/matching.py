"""Whether another network has the same units: matched by what they do in the same cells, compared by their genes."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from scprism.errors import InputError
from scprism.trust.networks import NetworkView, gene_weights, paired_correlation, standard_ranks, unit_maps
from scprism.types import FloatArray, IntArray

__all__ = [
    "Matching",
    "UnitAgreement",
    "compare_views",
    "match_units",
    "paired_jaccard",
    "shuffled_matches",
    "top_genes",
]


@dataclass(frozen=True)
class Matching:
    """The partner of each unit: its number in the other network, and Spearman's correlation with it, signed."""

    partner: IntArray
    correlation: FloatArray


@dataclass(frozen=True)
class UnitAgreement:
    """How far each unit of one network is found again in another, all (units,).

    Attributes
    ----------
    matching
        The units' partners.
    maps
        Spearman's correlation of a unit's map with its partner's, times the sign of the matching: a unit that is
        turned about in the other network is still the same unit.
    jaccard
        Genes that lead both a unit and its partner, as a share of those that lead either.
    """

    matching: Matching
    maps: FloatArray
    jaccard: FloatArray


def match_units(first: FloatArray, second: FloatArray) -> Matching:
    """Return a partner in `second` for each unit of `first`, no two with the same partner.

    The assignment with the largest sum of |Spearman's correlation| of activations over the same cells (Hungarian
    method). Both are (cells, units); `second` needs at least as many units.
    """
    if len(first) != len(second) or first.shape[1] > second.shape[1]:
        msg = f"Units are matched over the same cells and to no fewer units, got {first.shape} and {second.shape}."
        raise InputError(msg)
    correlation = standard_ranks(first.T) @ standard_ranks(second.T).T  # (units, units)
    rows, partner = linear_sum_assignment(-np.abs(correlation))
    return Matching(partner, correlation[rows, partner])


def shuffled_matches(first: FloatArray, second: FloatArray, *, n_shuffles: int, rng: np.random.Generator) -> FloatArray:
    """Return |correlation| of units that are matched after the cells of `second` are shuffled, (shuffles, units).

    What the matching finds where there is nothing to find.
    """
    draws = [match_units(first, second[rng.permutation(len(second))]).correlation for _ in range(n_shuffles)]
    return np.asarray(np.abs(np.array(draws).reshape(n_shuffles, first.shape[1])))


def top_genes(weights: FloatArray, n: int) -> np.ndarray:
    """Return which are each unit's `n` genes of largest weight, bool (units, genes); ties in the order of the genes."""
    top = np.zeros(weights.shape, dtype=bool)
    np.put_along_axis(top, np.argsort(-weights, axis=1, kind="stable")[:, :n], values=True, axis=1)
    return top


def paired_jaccard(first: np.ndarray, second: np.ndarray) -> FloatArray:
    """Return for each pair of rows what both mark as a share of what either marks, NaN where neither marks anything."""
    both, either = (first & second).sum(axis=1), (first | second).sum(axis=1)
    return np.asarray(np.divide(both, either, out=np.full(len(first), np.nan), where=either > 0))


def compare_views(first: NetworkView, second: NetworkView, *, n_top: int) -> UnitAgreement:
    """Return how far the units of `first` are found again in `second`, which sees the same cells.

    Parameters
    ----------
    n_top
        Genes that lead a unit.
    """
    matching = match_units(first.latent, second.latent)
    maps, others = unit_maps(first.explanation), unit_maps(second.explanation)[matching.partner]
    top = top_genes(gene_weights(first.explanation), n_top)
    top_others = top_genes(gene_weights(second.explanation), n_top)[matching.partner]
    agreement = paired_correlation(maps, others) * np.where(matching.correlation < 0, -1.0, 1.0)
    return UnitAgreement(matching, agreement, paired_jaccard(top, top_others))
