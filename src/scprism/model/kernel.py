"""The first layer's product, which takes most of an embedding's time."""

import numpy as np
from scipy import sparse

from scprism._compiled import compiled
from scprism.types import FloatArray, IntArray

__all__ = ["sparse_product"]


def sparse_product(inputs: sparse.csr_matrix, columns: FloatArray) -> FloatArray:
    """Return inputs (cells, genes) times columns (genes, units), float32."""
    result = np.zeros((inputs.shape[0], columns.shape[1]), dtype=np.float32)
    contiguous = np.ascontiguousarray(columns, dtype=np.float32)
    _add_rows(inputs.data.astype(np.float32, copy=False), inputs.indices, inputs.indptr, contiguous, result)
    return result


@compiled
def _add_rows(data: FloatArray, indices: IntArray, indptr: IntArray, columns: FloatArray, result: FloatArray) -> None:
    n_units = columns.shape[1]
    for row in range(len(indptr) - 1):
        total = result[row]
        for i in range(indptr[row], indptr[row + 1]):
            value, weights = data[i], columns[indices[i]]
            for unit in range(n_units):
                total[unit] += value * weights[unit]
