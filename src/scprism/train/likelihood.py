"""The multinomial likelihood of sparse counts, in the memory of a batch's output."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from scprism._torch import torch

__all__ = ["SparseShares"]


@dataclass(frozen=True)
class SparseShares:
    """Of some cells, the share of each gene in a cell's counts, as places and values.

    Attributes
    ----------
    places
        Where a value stands in a contiguous matrix (cells, genes): cell × genes + gene.
    values
        Shares, float32; those of a cell add up to 1.
    empty
        Numbers of the cells that have no counts.
    """

    places: torch.Tensor
    values: torch.Tensor
    empty: torch.Tensor

    @classmethod
    def of_counts(cls, counts: sparse.csr_matrix, *, device: torch.device) -> Self:
        """Return the shares of float32 counts, (cells, genes)."""
        n_cells, n_genes = counts.shape
        n_values = np.diff(counts.indptr)
        totals = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
        scales = np.divide(1.0, totals, out=np.zeros(n_cells), where=totals > 0).astype(np.float32)
        rows = np.arange(n_cells, dtype=np.int32 if n_cells * n_genes < 2**31 else np.int64) * n_genes
        places = np.repeat(rows, n_values)
        places += counts.indices
        arrays = (places, np.repeat(scales, n_values) * counts.data, np.flatnonzero(totals == 0))
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    def replace_by_slopes(self, z: torch.Tensor) -> float:
        """Return the sum of the cells' multinomial losses; `z` is overwritten by their derivatives.

        A cell's loss is log Σ exp(z) − Σ share · z, its derivative softmax(z) − share. A cell without counts has
        neither.

        Parameters
        ----------
        z
            The output before softmax, contiguous, (cells, genes).
        """
        flat = z.view(-1)
        inside = torch.dot(flat.index_select(0, self.places), self.values)
        largest = z.amax(dim=1)
        torch.softmax(z, dim=1, out=z)
        losses = largest - z.amax(dim=1).log()  # the largest share is exp(largest) / Σ exp(z)
        flat.index_add_(0, self.places, self.values, alpha=-1)
        if len(self.empty):
            z[self.empty] = 0
            losses[self.empty] = 0
        return float(sum(losses.tolist())) - float(inside)  # Apple's GPUs have no float64
