"""Training cells: kept sparse, in memory or in a scratch file, taken a batch at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy import sparse

from scprism.prepare.stream import PreparedChunk
from scprism.train.stored import ScratchRows, StoredRows
from scprism.types import FloatArray, IntArray

__all__ = [
    "AnyCells",
    "Batch",
    "Dropout",
    "StoredCells",
    "TrainingCells",
    "batches",
    "collect_cells",
    "gather_cells",
    "split_cells",
]


@dataclass(frozen=True)
class TrainingCells:
    """A data set in the recipe's genes.

    Attributes
    ----------
    inputs
        Normalised expression, float32 csr (cells, genes).
    targets
        What the network's output is compared with, csr of the same shape: the inputs, or the counts.
    strata
        A number for each cell's type, (cells,), if training and held-out cells are to have the same mix of types.
    """

    inputs: sparse.csr_matrix
    targets: sparse.csr_matrix
    strata: IntArray | None = None

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return int(self.inputs.shape[0])


@dataclass(frozen=True, eq=False)
class StoredCells:
    """Training cells in a scratch file; attributes as in `TrainingCells`."""

    inputs: StoredRows
    targets: StoredRows
    strata: IntArray | None = None

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return self.inputs.shape[0]


AnyCells: TypeAlias = TrainingCells | StoredCells


@dataclass(frozen=True)
class Batch:
    """Some of the training cells: inputs, with dropout in a training step, and targets, float32 csr (cells, genes).

    `fill` is what is added to each cell's inputs, float32 (genes,), or None.
    """

    inputs: sparse.csr_matrix
    targets: sparse.csr_matrix
    fill: FloatArray | None = None

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return int(self.targets.shape[0])


def collect_cells(chunks: Iterable[PreparedChunk], *, counts_as_targets: bool) -> TrainingCells:
    """Return all chunks as one record; only the recipe's genes are held, sparse."""
    parts = list(chunks)
    inputs = sparse.vstack([part.inputs for part in parts], format="csr", dtype=np.float32)
    if not counts_as_targets:
        return TrainingCells(inputs, inputs)
    counts = np.concatenate([part.counts.data for part in parts]).astype(np.float32)
    return TrainingCells(inputs, sparse.csr_matrix((counts, inputs.indices, inputs.indptr), shape=inputs.shape))


def gather_cells(
    chunks: Iterable[PreparedChunk], *, counts_as_targets: bool, max_bytes: float, folder: Path | None = None
) -> AnyCells:
    """Return all chunks as one record: in memory as `collect_cells` does, or from `max_bytes` on in a scratch file.

    Parameters
    ----------
    folder
        Where the file lies, and takes up to as much room as the cells in memory would; it has no name and is gone when
        the record is, or the process. None for the system's folder for temporary files.

    Raises
    ------
    InputError
        If there is no room for the file.
    """
    parts: list[PreparedChunk] = []
    scratch: ScratchRows | None = None
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += chunk.inputs.nnz * (12 if counts_as_targets else 8)  # places, inputs, counts
        if scratch is None and size > max_bytes:
            scratch = ScratchRows(folder, with_counts=counts_as_targets)
        if scratch is not None:
            for part in parts:
                scratch.add(part.inputs, part.counts)
            parts.clear()
    return StoredCells(*scratch.rows()) if scratch else collect_cells(parts, counts_as_targets=counts_as_targets)


def split_cells(
    n_cells: int, shares: tuple[float, float, float], rng: np.random.Generator, *, strata: IntArray | None = None
) -> tuple[IntArray, IntArray, IntArray]:
    """Return shuffled cell numbers for training, early stopping and the report; the second gets at least one cell.

    With `strata` each part has its share of each stratum, give or take a cell or two.
    """
    order: IntArray = rng.permutation(n_cells)
    n_test = int(n_cells * shares[2])
    n_validation = max(1, int(n_cells * shares[1]))
    n_train = n_cells - n_test - n_validation
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
        order = _evenly_last(order, n_validation + n_test)
        held = _evenly_last(order[n_train:], n_test)
        order = np.concatenate([rng.permutation(order[:n_train]), held])
    return order[:n_train], order[n_train : n_train + n_validation], order[n_train + n_validation :]


def _evenly_last(values: IntArray, number: int) -> IntArray:
    """Return the same values, `number` of them, taken at even distances, moved to the end."""
    places = ((np.arange(number) + 0.5) * len(values) / max(number, 1)).astype(int)
    taken = np.zeros(len(values), dtype=bool)
    taken[places] = True
    return np.concatenate([values[~taken], values[taken]])


@dataclass(frozen=True)
class Dropout:
    """What training hides from the network.

    Attributes
    ----------
    values
        Share of the input values that are set to zero, the rest scaled up.
    genes
        Of each batch a share of the genes, drawn between 0 and this, is set to its mean in all of the batch's cells.
    mean
        Each gene's mean, float32 (genes,).
    rng
        What it is drawn from.
    """

    values: float
    genes: float
    mean: FloatArray
    rng: np.random.Generator

    def apply(self, inputs: sparse.csr_matrix) -> tuple[sparse.csr_matrix, FloatArray | None]:
        """Return inputs with less in them, and what is to be added to each cell. It acts on non-zero values alone."""
        kept, fill = np.ones(inputs.nnz, dtype=bool), None
        if self.values > 0:
            kept = self.rng.random(inputs.nnz, dtype=np.float32) >= self.values
        if self.genes > 0:
            is_missing = self.rng.random(inputs.shape[1]) < self.rng.uniform(0, self.genes)
            kept &= ~is_missing[inputs.indices]
            fill = np.where(is_missing, self.mean, np.float32(0))
        return _drop(inputs, kept, share=self.values), fill


def batches(cells: AnyCells, rows: IntArray, *, batch_size: int, dropout: Dropout | None = None) -> Iterator[Batch]:
    """Yield `batch_size` cells at a time in the order of `rows`."""
    for start in range(0, len(rows), batch_size):
        chosen = rows[start : start + batch_size]
        inputs = cells.inputs[chosen]
        targets = inputs if cells.targets is cells.inputs else cells.targets[chosen]
        if dropout is None:
            yield Batch(inputs, targets)
        else:
            inputs, fill = dropout.apply(inputs)
            yield Batch(inputs, targets, fill)


def _drop(inputs: sparse.csr_matrix, kept: np.ndarray, *, share: float) -> sparse.csr_matrix:
    """Return the kept values, scaled up; the others are no longer stored."""
    before = np.concatenate([[0], np.cumsum(kept, dtype=inputs.indptr.dtype)])
    data = inputs.data[kept] / np.float32(1 - share) if share < 1 else inputs.data[kept]
    return sparse.csr_matrix((data, inputs.indices[kept], before[inputs.indptr]), shape=inputs.shape)
