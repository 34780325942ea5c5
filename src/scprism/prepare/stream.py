"""Cells as the network sees them, chunk by chunk: a gene map picks and orders the genes, the recipe normalises."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from scprism.errors import InputError
from scprism.prepare.normalise import log_counts_per, log_counts_per_gene
from scprism.prepare.pick_genes import pick_columns
from scprism.prepare.recipe import Recipe
from scprism.read.chunks import row_chunks
from scprism.types import FloatArray, IntArray, Matrix

__all__ = ["CHUNK_SIZE", "GeneMap", "PreparedChunk", "Totals", "column_totals", "fill_row", "prepared_chunks"]

CHUNK_SIZE = 2048


@dataclass(frozen=True)
class GeneMap:
    """Where the recipe's genes lie among a file's genes.

    Attributes
    ----------
    selection
        1 where a gene of the file counts for a gene of the recipe; csr (genes of the file, genes of the recipe).
    in_library
        1 for the genes whose counts make up a cell's library, 0 for spike-ins; float64 (genes of the file,).
    zero
        Genes of the recipe that the file lacks because no cell had a count of them, bool (genes of the recipe,); None
        for no gene.
    """

    selection: sparse.csr_matrix
    in_library: FloatArray
    zero: np.ndarray | None = None

    @property
    def present(self) -> np.ndarray:
        """Which genes of the recipe the file has or is known to have no count of, bool (genes of the recipe,)."""
        has = np.asarray(self.selection.sum(axis=0)).ravel() > 0
        return has if self.zero is None else has | self.zero

    @cached_property
    def target(self) -> IntArray | None:
        """The recipe's gene that each gene of the file is alone in counting for, −1 for none; None if not so simple."""
        per_gene = np.diff(self.selection.indptr)
        if per_gene.max(initial=0) > 1 or self.selection.getnnz(axis=0).max(initial=0) > 1:
            return None
        target = np.full(self.selection.shape[0], -1, dtype=np.int64)
        target[per_gene == 1] = self.selection.indices
        return target

    def pick(self, chunk: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return the counts (cells, genes of the file) in the recipe's genes, indices sorted."""
        if self.target is None:
            picked = (chunk @ self.selection).tocsr()
            picked.sort_indices()
            return picked
        kept = np.empty_like(chunk.data), np.empty_like(chunk.indices), np.zeros_like(chunk.indptr)
        n = pick_columns(chunk.data, chunk.indices, chunk.indptr, self.target, *kept)
        data, indices, indptr = kept[0][:n], kept[1][:n], kept[2]
        picked = sparse.csr_matrix((data, indices, indptr), shape=(chunk.shape[0], self.selection.shape[1]))
        if not self.is_ordered:
            picked.sort_indices()
        return picked

    @cached_property
    def is_ordered(self) -> bool:
        """Whether the recipe's genes come in the same order in the file."""
        return self.target is not None and bool((np.diff(self.target[self.target >= 0]) > 0).all())


@dataclass(frozen=True)
class PreparedChunk:
    """A few cells in the recipe's genes.

    Attributes
    ----------
    rows
        The cells' places in the data set.
    counts
        Their counts, csr (cells, genes of the recipe).
    inputs
        Their normalised expression, float32 csr of the same shape; genes that the file lacks are zero.
    """

    rows: slice
    counts: sparse.csr_matrix
    inputs: sparse.csr_matrix


@dataclass(frozen=True)
class Totals:
    """Sums over a data set in the recipe's genes: counts, mean share of a cell's library, highest count; (genes,)."""

    counts: FloatArray
    share: FloatArray
    maximum: FloatArray
    n_cells: int


def column_totals(matrix: Matrix, gene_map: GeneMap) -> Totals:
    """Return each recipe gene's total, mean share of a library and highest value, in one pass."""
    n_genes = gene_map.selection.shape[1]
    counts, share = np.zeros(n_genes), np.zeros(n_genes)
    maximum = np.full(n_genes, -np.inf)
    n_cells = n_with_counts = 0
    for _, chunk in row_chunks(matrix, size=CHUNK_SIZE):
        picked = gene_map.pick(chunk)
        library = np.asarray(chunk @ gene_map.in_library, dtype=np.float64)
        inverse = np.divide(1.0, library, out=np.zeros_like(library), where=library > 0)
        counts += np.asarray(picked.sum(axis=0)).ravel()
        share += picked.T @ inverse
        maximum = np.maximum(maximum, picked.max(axis=0).toarray().ravel())
        n_cells += chunk.shape[0]
        n_with_counts += int((library > 0).sum())
    return Totals(counts=counts, share=share / max(n_with_counts, 1), maximum=maximum, n_cells=n_cells)


def fill_row(recipe: Recipe, gene_map: GeneMap) -> FloatArray:
    """Return what a gene that the file lacks is set to: the reference's mean; 0 for genes that are there, (genes,)."""
    return np.where(gene_map.present, 0.0, recipe.mean).astype(np.float32)


def prepared_chunks(
    matrix: Matrix, gene_map: GeneMap, recipe: Recipe, *, size: int = CHUNK_SIZE
) -> Iterator[PreparedChunk]:
    """Yield the cells of `matrix` in order, normalised by the recipe.

    Parameters
    ----------
    matrix
        Counts as they came, cells by genes of the file: dense, sparse, a view or backed.
    gene_map
        Where the recipe's genes are.
    recipe
        How to normalise. Totals per gene, which the released code's "CPM" needs, are those of `matrix` itself.
    size
        Cells in a chunk; it changes speed and memory only.
    """
    gene_totals = column_totals(matrix, gene_map).counts if recipe.normalise == "per_gene" else None
    measured_share = float(recipe.share[gene_map.present].sum())
    for rows, chunk in row_chunks(matrix, size=size):
        counts = gene_map.pick(chunk)
        if recipe.normalise == "none":
            inputs = _corrected(counts, negative_values=recipe.negative_values)
        elif gene_totals is not None:
            inputs = log_counts_per_gene(counts, gene_totals=gene_totals, target_sum=recipe.target_sum)
        else:
            if recipe.library == "all":
                library = np.asarray(chunk @ gene_map.in_library, dtype=np.float64)
            else:
                library = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel() / max(measured_share, 1e-12)
            inputs = log_counts_per(counts, library=library, target_sum=recipe.target_sum)
        yield PreparedChunk(rows=rows, counts=counts, inputs=inputs)


def _corrected(values: sparse.csr_matrix, *, negative_values: str) -> sparse.csr_matrix:
    values = values.astype(np.float32)
    lowest = values.data.min(initial=0.0)
    if lowest < 0 and negative_values == "refuse":
        msg = (
            f"Corrected expression must not be negative here, got {lowest:.3g}: the Poisson loss has no meaning "
            f"below 0. "
            "Set negative_values='clip' to raise such values to 0, or 'keep' to leave them as the released code does."
        )
        raise InputError(msg)
    if negative_values == "clip":
        values.data = np.maximum(values.data, 0)
    return values
