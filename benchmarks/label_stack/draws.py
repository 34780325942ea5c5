"""Random draws that belong to a gene or to a cell, so that the order of genes and cells changes nothing."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import ndtri

from scprism.types import FloatArray, IntArray

__all__ = ["cell_keys", "gene_keys", "normal_of_genes", "row_order", "uniform_draws"]

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP = np.uint64(0x9E3779B97F4A7C15)


def gene_keys(genes: Sequence[str], *, draw: str = "") -> NDArray[np.uint64]:
    """Return a number for each gene that depends on its name and on `draw` alone, (genes,).

    Examples
    --------
    >>> bool((gene_keys(["CD3E", "MS4A1"]) == gene_keys(["MS4A1", "CD3E"])[::-1]).all())
    True
    """
    digests = b"".join(hashlib.blake2b(f"{draw}\0{gene}".encode(), digest_size=8).digest() for gene in genes)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def cell_keys(counts: sparse.csr_matrix, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a number for each cell that depends on its counts and on the names of their genes alone, (cells,).

    Parameters
    ----------
    counts
        Raw counts, (cells, genes). Zeros that are stored count as if they were not.
    keys
        Of the genes (`gene_keys`), (genes,).
    """
    values = np.ascontiguousarray(counts.data, dtype=np.float64)
    terms = _mixed(keys[counts.indices] ^ _mixed(values.view(np.uint64)))
    terms[values == 0] = 0
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return _mixed(sums[counts.indptr[1:]] - sums[counts.indptr[:-1]])


def row_order(keys: NDArray[np.uint64]) -> IntArray:
    """Return the places of the cells in the order of their keys; those of equal cells in the order they came."""
    return np.argsort(keys, kind="stable")


def uniform_draws(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> FloatArray:
    """Return a number strictly between 0 and 1 for each pair of keys, evenly spread, float64 of their shape."""
    bits = _mixed(first ^ _mixed(second + _STEP)) >> np.uint64(11)
    uniform: FloatArray = (bits.astype(np.float64) + 0.5) * 2.0**-53
    return uniform


def normal_of_genes(genes: Sequence[str], *, draw: str) -> FloatArray:
    """Return a standard normal number for each gene, by its name and the name of the draw, float64 (genes,)."""
    keys = gene_keys(genes, draw=draw)
    values: FloatArray = ndtri(uniform_draws(keys, keys))
    return values


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return keys whose bits depend on all bits of the old ones (the finaliser of SplitMix64).

    References
    ----------
    Steele, Lea and Flood, OOPSLA (2014), 453–472.
    """
    mixed = keys + _STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    return mixed ^ (mixed >> np.uint64(31))
