"""What single runs say of a unit: its programs in them, and programs of cells whose genes were shuffled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scprism.types import FloatArray
from scprism.units.replication import Candidates

__all__ = ["N_LEADING", "RunPrograms", "gene_shuffled", "leading_overlap", "run_programs"]

N_LEADING = 20
"""Genes that lead a program."""


@dataclass(frozen=True)
class RunPrograms:
    """Programs of single runs, each gene less its mean over the programs of the same run.

    Attributes
    ----------
    scores
        float32 (programs, genes).
    unit
        The number of the unit that each program is in its run, int (programs,).
    shuffled
        The same of programs of gene-shuffled cells, which are no unit's: float32 (programs, genes).
    """

    scores: FloatArray
    unit: np.ndarray
    shuffled: FloatArray


def run_programs(members: Sequence[Sequence[int]], candidates: Candidates, shuffled: FloatArray) -> RunPrograms:
    """Return the programs of the runs in which each unit came back.

    Parameters
    ----------
    members
        For each unit the numbers of its candidates.
    shuffled
        Programs of gene-shuffled cells, each of length 1 (programs, genes).
    """
    chosen = np.array([number for own in members for number in own], dtype=np.int64)
    means = {run: candidates.programs[candidates.run == run].mean(axis=0) for run in np.unique(candidates.run[chosen])}
    scores = np.zeros((len(chosen), candidates.programs.shape[1]), dtype=np.float32)
    for row, number in enumerate(chosen):
        scores[row] = candidates.programs[number] - means[candidates.run[number]]
    usual = shuffled.mean(axis=0) if len(shuffled) else 0.0
    return RunPrograms(
        scores=scores,
        unit=np.repeat(np.arange(len(members)), [len(own) for own in members]),
        shuffled=np.asarray(shuffled - usual, dtype=np.float32),
    )


def leading_overlap(program: FloatArray, others: FloatArray) -> FloatArray:
    """Return the share of a program's 20 leading genes that also lead each of others, float64 (others,).

    Examples
    --------
    >>> leading_overlap(np.arange(40.0), np.stack([np.arange(40.0), -np.arange(40.0)]))
    array([1., 0.])
    """
    own = set(np.argsort(-program, kind="stable")[:N_LEADING].tolist())
    theirs = np.argsort(-others, axis=1, kind="stable")[:, :N_LEADING]
    return np.array([len(own.intersection(row.tolist())) for row in theirs]) / max(len(own), 1)


def gene_shuffled(values: sparse.csr_matrix, rng: np.random.Generator) -> sparse.csr_matrix:
    """Return cells (cells, genes) in which each gene's values are dealt out anew: genes keep them, not their company.

    Examples
    --------
    >>> cells = sparse.csr_matrix(np.array([[1.0, 2.0], [0.0, 3.0], [4.0, 0.0]]))
    >>> np.sort(gene_shuffled(cells, np.random.default_rng(0)).toarray(), axis=0)
    array([[0., 0.],
           [1., 2.],
           [4., 3.]])
    """
    columns = sparse.csc_matrix(values, copy=True)
    n_cells = values.shape[0]
    for start, stop in zip(columns.indptr[:-1], columns.indptr[1:], strict=True):
        columns.indices[start:stop] = rng.permutation(n_cells)[: stop - start]
    columns.has_sorted_indices = False
    return columns.tocsr()
