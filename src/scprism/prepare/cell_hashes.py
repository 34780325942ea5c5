"""Marks of cells: short hashes of what the network sees, to know a cell again without keeping its counts."""

import hashlib
from itertools import pairwise

import numpy as np
from scipy import sparse

__all__ = ["cell_marks"]


def cell_marks(inputs: sparse.csr_matrix) -> list[str]:
    """Return 12 hexadecimal digits for each cell, the same for the same normalised expression.

    Parameters
    ----------
    inputs
        Prepared cells, float32 csr with sorted indices, (cells, genes of the recipe).
    """
    indices, data = inputs.indices.astype(np.int64), inputs.data.astype(np.float32)
    ends = inputs.indptr
    return [
        hashlib.blake2b(indices[a:b].tobytes() + data[a:b].tobytes(), digest_size=6).hexdigest()
        for a, b in pairwise(ends)
    ]
