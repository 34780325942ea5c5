"""Training cells: kept sparse, densified a batch at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from scprism.prepare.stream import PreparedChunk
from scprism.types import IntArray

__all__ = ["TrainingCells", "batches", "collect_cells", "split_cells"]


@dataclass(frozen=True)
class TrainingCells:
    """A data set in the recipe's genes.

    Attributes
    ----------
    inputs
        Normalised expression, float32 csr (cells, genes).
    targets
        What the network's output is compared with, csr of the same shape: the inputs, or the counts.
    """

    inputs: sparse.csr_matrix
    targets: sparse.csr_matrix

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return int(self.inputs.shape[0])


def collect_cells(chunks: Iterable[PreparedChunk], *, counts_as_targets: bool) -> TrainingCells:
    """Return all chunks as one record; only the recipe's genes are held, sparse."""
    parts = list(chunks)
    inputs = sparse.vstack([part.inputs for part in parts], format="csr", dtype=np.float32)
    if not counts_as_targets:
        return TrainingCells(inputs, inputs)
    counts = np.concatenate([part.counts.data for part in parts]).astype(np.float32)
    return TrainingCells(inputs, sparse.csr_matrix((counts, inputs.indices, inputs.indptr), shape=inputs.shape))


def split_cells(
    n_cells: int, shares: tuple[float, float, float], rng: np.random.Generator
) -> tuple[IntArray, IntArray, IntArray]:
    """Return shuffled cell numbers for training, early stopping and the report; the second gets at least one cell."""
    order = rng.permutation(n_cells)
    n_test = int(n_cells * shares[2])
    n_validation = max(1, int(n_cells * shares[1]))
    n_train = n_cells - n_test - n_validation
    return order[:n_train], order[n_train : n_train + n_validation], order[n_train + n_validation :]


def batches(
    cells: TrainingCells,
    rows: IntArray,
    *,
    batch_size: int,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield dense inputs and targets, float32 (cells, genes), of `batch_size` cells in the order of `rows`.

    Input dropout acts on the non-zero values, which is all that it can change.
    """
    for start in range(0, len(rows), batch_size):
        chosen = rows[start : start + batch_size]
        inputs, targets = cells.inputs[chosen], cells.targets[chosen]
        target = torch.from_numpy(targets.toarray())
        if dropout > 0 and rng is not None:
            kept = rng.random(len(inputs.data), dtype=np.float32) >= dropout
            inputs.data = inputs.data * kept / np.float32(1 - dropout)
            yield torch.from_numpy(inputs.toarray()), target
        else:
            yield (target if cells.targets is cells.inputs else torch.from_numpy(inputs.toarray())), target
