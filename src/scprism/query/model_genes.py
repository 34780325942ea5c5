"""Some cells of a data set in a model's genes, to be changed and seen through the model again."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from scprism.query.view import Query
from scprism.read.chunks import picked_rows
from scprism.types import IntArray

__all__ = ["in_model_genes"]


def in_model_genes(query: Query, rows: IntArray) -> Query:
    """Return some cells of a query, counts in the model's genes; one column more holds the rest of their library.

    The result is the same whatever the order of the genes in the file, and whatever empty genes it has beside.

    Parameters
    ----------
    query
        A data set as a model sees it.
    rows
        Row numbers of the cells, ascending.
    """
    known, counts = query.alignment.gene_map, picked_rows(query.matrix, rows)
    picked = sparse.csr_matrix(known.pick(counts))
    picked.eliminate_zeros()
    library = np.asarray(counts @ known.in_library, dtype=np.float64)
    others = np.maximum(library - np.asarray(picked.sum(axis=1), dtype=np.float64).ravel(), 0)
    matrix = sparse.hstack([picked, sparse.csr_matrix(others.reshape(-1, 1))], format="csr", dtype=np.float32)
    present = known.present.astype(np.float32)
    selection = sparse.csr_matrix(sparse.vstack([sparse.diags(present), sparse.csr_matrix((1, len(present)))]))
    selection.eliminate_zeros()
    gene_map = replace(known, selection=selection, in_library=np.ones(len(present) + 1), zero=None)
    return replace(query, matrix=matrix, alignment=replace(query.alignment, gene_map=gene_map))
