"""The first layer's product, which takes most of an embedding's time."""

import numpy as np
from scipy import sparse

from scprism._compiled import compiled
from scprism.types import FloatArray, IntArray

__all__ = ["sparse_product"]

WIDTH = 64
"""Units computed at once: their weights of some thousand genes stay in a core's cache while cells pass, which those of
all units do not. A constant, so that the compiler writes out the loop over units."""


def sparse_product(inputs: sparse.csr_matrix, columns: FloatArray) -> FloatArray:
    """Return inputs (cells, genes) times columns (genes, units), float32."""
    n_genes, n_units = columns.shape
    blocks = np.zeros((-(-n_units // WIDTH), n_genes, WIDTH), dtype=np.float32)
    for block, start in zip(blocks, range(0, n_units, WIDTH), strict=True):
        part = columns[:, start : start + WIDTH]
        block[:, : part.shape[1]] = part
    result = np.zeros((inputs.shape[0], len(blocks) * WIDTH), dtype=np.float32)
    _add_rows(inputs.data.astype(np.float32, copy=False), inputs.indices, inputs.indptr, blocks, result)
    return result[:, :n_units]


@compiled
def _add_rows(data: FloatArray, indices: IntArray, indptr: IntArray, blocks: FloatArray, result: FloatArray) -> None:
    for block in range(len(blocks)):
        weights = blocks[block]
        for row in range(len(indptr) - 1):
            total = result[row, block * WIDTH : (block + 1) * WIDTH]
            i, stop = indptr[row], indptr[row + 1]
            while i + 8 <= stop:  # eight at once: the sums are read and written an eighth as often
                a, to_a = data[i], weights[indices[i]]
                b, to_b = data[i + 1], weights[indices[i + 1]]
                c, to_c = data[i + 2], weights[indices[i + 2]]
                d, to_d = data[i + 3], weights[indices[i + 3]]
                e, to_e = data[i + 4], weights[indices[i + 4]]
                f, to_f = data[i + 5], weights[indices[i + 5]]
                g, to_g = data[i + 6], weights[indices[i + 6]]
                h, to_h = data[i + 7], weights[indices[i + 7]]
                for unit in range(WIDTH):
                    first = a * to_a[unit] + b * to_b[unit] + c * to_c[unit] + d * to_d[unit]
                    total[unit] += first + e * to_e[unit] + f * to_f[unit] + g * to_g[unit] + h * to_h[unit]
                i += 8
            while i < stop:
                value, row_weights = data[i], weights[indices[i]]
                for unit in range(WIDTH):
                    total[unit] += value * row_weights[unit]
                i += 1
