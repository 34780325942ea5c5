"""Reference cells as another depth, gene list or platform would have measured them, for calibration.

Everything random is drawn by the gene's name and by the cell, never by where they stand in a file.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.special import ndtri

from scprism.prepare.draws import gene_draws, thin_by_cell
from scprism.prepare.stream import fill_row
from scprism.query.model_genes import in_model_genes
from scprism.query.view import Query
from scprism.types import FloatArray, IntArray

__all__ = ["simulated_platforms"]

DEPTHS = (0.5, 0.1)
"""Shares of the molecules that are kept."""
MISSING = (0.2, 0.5)
"""Shares of the genes that are left out."""
PLATFORM_SPREADS = (0.5, 1.0, 1.5, 2.0)
"""Standard deviations of the log efficiency with which another platform, or species, captures each gene."""
FULL_CAPTURE = 2.3
"""Standard deviations above the usual gene from which on nothing of a gene is lost: one gene in a hundred."""


def simulated_platforms(query: Query, cells: IntArray, *, keys: IntArray) -> Iterator[Query]:
    """Yield some cells of `query` as other laboratories might have measured them, in the order of the file.

    Values that are no counts cannot be thinned: for these, only genes are left out.

    Parameters
    ----------
    query
        A data set as the model sees it.
    cells
        Row numbers, ascending.
    keys
        A number of each of these cells (`scprism.prepare.draws.cell_keys`), uint64 (cells,).
    """
    query = in_model_genes(query, cells)
    genes = query.recipe.genes
    are_counts = query.recipe.normalise != "none"
    for share in DEPTHS if are_counts else ():
        yield _thinned(query, np.full(len(genes), share), keys, f"depth {share}")
    for share in MISSING:
        yield _without_genes(query, gene_draws(genes, f"missing {share}") < share)
    for spread in PLATFORM_SPREADS if are_counts else ():
        purpose = f"platform {spread}"
        efficiency = np.exp(spread * (ndtri(gene_draws(genes, purpose)) - FULL_CAPTURE))
        yield _thinned(query, np.minimum(efficiency, 1), keys, purpose)


def _thinned(query: Query, chance: FloatArray, keys: IntArray, purpose: str) -> Query:
    chances = np.append(chance, chance.mean())  # the other genes together lose as much as the model's
    return replace(query, matrix=thin_by_cell(query.matrix, chances, keys, purpose=purpose))


def _without_genes(query: Query, is_left_out: np.ndarray) -> Query:
    known = query.alignment.gene_map
    kept = (~is_left_out).astype(np.float32)
    selection = sparse.csr_matrix(known.selection @ sparse.diags(kept))
    selection.eliminate_zeros()
    in_library = known.in_library * np.append(kept, 1.0)
    gene_map = replace(known, selection=selection, in_library=in_library)
    fill = np.zeros_like(query.fill) if query.random_missing else fill_row(query.recipe, gene_map)
    return replace(query, alignment=replace(query.alignment, gene_map=gene_map), fill=fill)
