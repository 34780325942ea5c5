"""Mean expression of each label, and how far cells deviate from the nearest."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy import sparse
from scipy.special import logsumexp

from scprism.model.first_layer import sparse_product
from scprism.types import FloatArray, IntArray

__all__ = ["Profiles", "learn_profiles"]

PRIOR_MOLECULES = 2000.0
"""A label's profile is mixed with that of all cells as if so many of its molecules came from there."""


@dataclass(frozen=True)
class Profiles:
    """Mean expression of each label that has cells: logarithm of each gene's share, float32 (genes, labels)."""

    log_share: FloatArray

    def within(self, present: np.ndarray) -> Self:
        """Return the profiles over some of the genes: their shares add up to 1, the others have none, bool (genes,)."""
        over = logsumexp(self.log_share[present].astype(np.float64), axis=0)
        within = np.where(present[:, None], self.log_share - over, 0).astype(np.float32)
        return replace(self, log_share=within)

    def deviance(self, counts: sparse.csr_matrix) -> FloatArray:
        """Return each cell's deviance from the nearest label's profile, nats a molecule, float64 (cells,).

        The cross entropy between the cell's shares and the profile, less the cell's own entropy (Kullback–Leibler
        divergence). Depth matters: few molecules lie far from any profile (`scprism.label.novelty.DepthTrend`). 0
        without molecules.

        Parameters
        ----------
        counts
            Raw counts, csr (cells, genes).
        """
        total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
        scaled = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        cross = -sparse_product(counts, self.log_share).astype(np.float64) * scaled[:, None]
        cells = np.repeat(np.arange(len(total)), np.diff(counts.indptr))
        terms = counts.data * np.log(np.maximum(counts.data, 1e-300), dtype=np.float64)
        own = np.log(np.maximum(total, 1)) - np.bincount(cells, weights=terms, minlength=len(total)) * scaled
        result: FloatArray = np.where(total > 0, cross.min(axis=1) - own, 0.0)
        return result


def learn_profiles(counts: sparse.csr_matrix, codes: IntArray) -> Profiles:
    """Return the profiles of the labels that have cells.

    Parameters
    ----------
    counts
        Raw counts, csr (cells, genes).
    codes
        Label numbers, (cells,).
    """
    present, codes = np.unique(codes, return_inverse=True)
    shape = len(present), len(codes)
    member = sparse.csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=shape)
    sums = np.asarray((member @ counts).todense(), dtype=np.float64)
    everything = sums.sum(axis=0) + 0.5
    common = everything / everything.sum()
    sums += PRIOR_MOLECULES * common
    return Profiles(np.log(sums / sums.sum(axis=1, keepdims=True)).T.astype(np.float32))
