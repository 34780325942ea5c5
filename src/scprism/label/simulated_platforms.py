"""Reference cells as another depth, gene list or platform would have measured them, for calibration.

Everything random is drawn by the gene's name and by the cell, never by where they stand in a file.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.special import ndtri

from scprism.prepare.stream import GeneMap, fill_row
from scprism.query.view import Query
from scprism.read.chunks import picked_rows
from scprism.types import FloatArray, IntArray

__all__ = ["gene_draws", "simulated_platforms", "thin_by_cell"]

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
        A number of each of these cells (`scprism.label.transfer.cell_keys`), uint64 (cells,).
    """
    query = _in_model_genes(query, cells)
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


def gene_draws(genes: Sequence[str], purpose: str) -> FloatArray:
    """Return a number between 0 and 1 for each gene that depends on its name and the purpose alone, (genes,).

    Examples
    --------
    >>> a, b = gene_draws(["Cd3e", "Cd19"], "depth"), gene_draws(["Cd19", "Cd3e"], "depth")
    >>> bool((a == b[::-1]).all())
    True
    """
    digests = (hashlib.blake2b(f"{purpose}:{gene}".encode(), digest_size=8).digest() for gene in genes)
    return (np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.float64) + 0.5) / 2**64


def thin_by_cell(
    counts: sparse.csr_matrix, chance: FloatArray, keys: IntArray, *, purpose: str = ""
) -> sparse.csr_matrix:
    """Return counts of which each molecule was kept by chance; a cell's draws depend on its key alone.

    Parameters
    ----------
    counts
        Raw counts in the model's genes, without stored zeros, indices sorted, (cells, genes).
    chance
        With which a molecule of each gene is kept, (genes,).
    keys
        A number of each cell, uint64 (cells,).
    purpose
        Draws for different purposes are independent.
    """
    stream = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    whole, kept = np.rint(counts.data).astype(np.int64), np.empty(counts.nnz, dtype=np.float32)
    for cell, key in enumerate(keys):
        span = slice(counts.indptr[cell], counts.indptr[cell + 1])
        rng = np.random.Generator(np.random.PCG64([stream, int(key)]))
        kept[span] = rng.binomial(whole[span], chance[counts.indices[span]])
    thinned = sparse.csr_matrix((kept, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)
    thinned.eliminate_zeros()
    return thinned


def _in_model_genes(query: Query, cells: IntArray) -> Query:
    """Return some cells in the model's genes, and one column more: the sum of what else makes up their library."""
    known, counts = query.alignment.gene_map, picked_rows(query.matrix, cells)
    picked = sparse.csr_matrix(known.pick(counts))
    picked.eliminate_zeros()
    library = np.asarray(counts @ known.in_library, dtype=np.float64)
    others = np.maximum(library - np.asarray(picked.sum(axis=1), dtype=np.float64).ravel(), 0)
    matrix = sparse.hstack([picked, sparse.csr_matrix(others.reshape(-1, 1))], format="csr", dtype=np.float32)
    present = known.present.astype(np.float32)
    selection = sparse.csr_matrix(sparse.vstack([sparse.diags(present), sparse.csr_matrix((1, len(present)))]))
    selection.eliminate_zeros()
    gene_map = replace(known, selection=selection, in_library=np.ones(len(present) + 1))
    return replace(query, matrix=matrix, alignment=replace(query.alignment, gene_map=gene_map))


def _thinned(query: Query, chance: FloatArray, keys: IntArray, purpose: str) -> Query:
    chances = np.append(chance, chance.mean())  # the other genes together lose as much as the model's
    return replace(query, matrix=thin_by_cell(query.matrix, chances, keys, purpose=purpose))


def _without_genes(query: Query, is_left_out: np.ndarray) -> Query:
    known = query.alignment.gene_map
    kept = (~is_left_out).astype(np.float32)
    selection = sparse.csr_matrix(known.selection @ sparse.diags(kept))
    selection.eliminate_zeros()
    in_library = known.in_library * np.append(kept, 1.0)
    gene_map = GeneMap(selection=selection, in_library=in_library)
    fill = np.zeros_like(query.fill) if query.random_missing else fill_row(query.recipe, gene_map)
    return replace(query, alignment=replace(query.alignment, gene_map=gene_map), fill=fill)
