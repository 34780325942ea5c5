"""The loop that picks a recipe's genes out of sparse cells."""

from scprism._compiled import compiled
from scprism.types import FloatArray, IntArray

__all__ = ["pick_columns"]


@compiled
def pick_columns(
    data: FloatArray,
    indices: IntArray,
    indptr: IntArray,
    target: IntArray,
    kept_data: FloatArray,
    kept_indices: IntArray,
    kept_indptr: IntArray,
) -> int:
    """Return how many values of a csr matrix lie in columns with a target of 0 or more; they are written to `kept_…`.

    Their new columns are the targets; the order within a row stays.
    """
    n = 0
    for row in range(len(indptr) - 1):
        for i in range(indptr[row], indptr[row + 1]):
            place = target[indices[i]]
            if place >= 0:
                kept_data[n] = data[i]
                kept_indices[n] = place
                n += 1
        kept_indptr[row + 1] = n
    return n
