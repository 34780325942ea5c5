"""Reference cells made foreign: what another depth, gene list or platform does to them, for calibration."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import sparse

from scprism.prepare.stream import GeneMap, fill_row
from scprism.query.view import Query
from scprism.read.chunks import picked_rows
from scprism.types import IntArray

__all__ = ["foreign_versions"]

DEPTHS = (0.5, 0.1)
"""Shares of the molecules that are kept."""
MISSING = (0.2, 0.5)
"""Shares of the genes that are left out."""
PLATFORM_SPREADS = (0.5, 1.0, 1.5, 2.0)
"""Standard deviations of the log efficiency with which another platform, or species, captures each gene."""
FULL_CAPTURE = 2.3
"""Standard deviations above the usual gene from which on nothing of a gene is lost: one gene in a hundred."""


def foreign_versions(query: Query, cells: IntArray) -> Iterator[Query]:
    """Yield the cells at some places of `query` as another laboratory might have measured them, in their order.

    Values that are no counts cannot be thinned: for these, only genes are left out.
    """
    counts = picked_rows(query.matrix, cells)
    rng = np.random.default_rng(0)
    n_genes = counts.shape[1]
    are_counts = query.recipe.normalise != "none"
    for share in DEPTHS if are_counts else ():
        yield replace(query, matrix=_thinned(counts, np.full(n_genes, share), rng))
    for share in MISSING:
        yield _without_genes(replace(query, matrix=counts), rng.random(n_genes) < share)
    for spread in PLATFORM_SPREADS if are_counts else ():
        efficiency = np.exp(spread * (rng.normal(size=n_genes) - FULL_CAPTURE))
        yield replace(query, matrix=_thinned(counts, np.minimum(efficiency, 1), rng))


def _thinned(matrix: sparse.csr_matrix, chance: np.ndarray, rng: np.random.Generator) -> sparse.csr_matrix:
    kept = rng.binomial(np.rint(matrix.data).astype(np.int64), chance[matrix.indices]).astype(np.float32)
    return sparse.csr_matrix((kept, matrix.indices, matrix.indptr), shape=matrix.shape)


def _without_genes(query: Query, is_left_out: np.ndarray) -> Query:
    known = query.alignment.gene_map
    kept = sparse.diags((~is_left_out).astype(np.float32))
    gene_map = GeneMap(selection=sparse.csr_matrix(kept @ known.selection), in_library=known.in_library * ~is_left_out)
    fill = np.zeros_like(query.fill) if query.random_missing else fill_row(query.recipe, gene_map)
    return replace(query, alignment=replace(query.alignment, gene_map=gene_map), fill=fill)
