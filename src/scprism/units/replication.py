"""How well programs of different factorisations agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scprism.types import FloatArray

__all__ = ["Candidates", "agreement", "correlations", "distinct", "replication"]


@dataclass(frozen=True)
class Candidates:
    """The programs of all factorisations, each of length 1, with their activities in all cells that were drawn.

    Attributes
    ----------
    programs
        Non-negative, weighted as in the fit (programs, genes).
    activities
        float32 (cells, programs), each column through the programs of its own factorisation.
    coherence, coherent
        How well the genes of each program move together in cells that its factorisation did not see, a correlation, and
        whether that is more than chance, float64 and bool (programs,); 0 and False where it saw all cells.
    run
        Number of the factorisation of each program, int (programs,).
    split, half
        Of each factorisation: which split of the cells it belongs to (-1: it saw all cells) and which half it saw.
    """

    programs: FloatArray
    activities: FloatArray
    coherence: FloatArray
    coherent: np.ndarray
    run: np.ndarray
    split: np.ndarray
    half: np.ndarray


def correlations(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the Pearson correlation of each column of `a` with each of `b`, 0 where a column is constant.

    Examples
    --------
    >>> correlations(np.array([[0.0], [1.0]]), np.array([[0.0, 2.0, 1.0], [3.0, 1.0, 1.0]]))
    array([[ 1., -1.,  0.]])
    """
    a, b = (np.asarray(part, dtype=np.float64) for part in (a, b))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    lengths = np.sqrt(np.outer((a**2).sum(axis=0), (b**2).sum(axis=0)))
    return np.divide(a.T @ b, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def agreement(
    programs: FloatArray, activities: FloatArray, candidates: Candidates, *, least_cosine: float
) -> FloatArray:
    """Return how alike each program is to each candidate, float64 (programs, candidates), 0 to 1.

    It is the correlation of their activities in the cells, or 0 where their genes' cosine is below `least_cosine`.
    """
    cosines = programs @ candidates.programs.T
    alike = correlations(activities, candidates.activities)
    return np.where(cosines >= least_cosine, np.clip(alike, 0.0, 1.0), 0.0)


def replication(alike: FloatArray, candidates: Candidates) -> FloatArray:
    """Return how well each program comes back in disjoint halves of the cells, float64 (programs,), 0 to 1.

    For each split of the cells: the best agreement with any program found in the one half and in the other, the lesser
    of the two; their mean over the splits. Only coherent programs count.
    """
    alike = np.where(candidates.coherent, alike, 0.0)
    split, half = candidates.split[candidates.run], candidates.half[candidates.run]
    splits = sorted(set(candidates.split.tolist()) - {-1})
    lesser = [
        np.minimum(*(alike[:, (split == number) & (half == side)].max(axis=1, initial=0.0) for side in (0, 1)))
        for number in splits
    ]
    return np.asarray(np.mean(lesser, axis=0))


def distinct(
    order: Sequence[int], programs: FloatArray, activities: FloatArray, *, largest_correlation: float
) -> list[int]:
    """Return those of `order` that resemble none before them.

    Two programs resemble each other if their activities correlate by `largest_correlation` or more, or their genes'
    cosine is 0.9 or more.
    """
    chosen: list[int] = []
    for index in order:
        near = correlations(activities[:, [index]], activities[:, chosen])[0] >= largest_correlation
        same_genes = programs[chosen] @ programs[index] >= 0.9
        if not (near | same_genes).any():
            chosen.append(index)
    return chosen
