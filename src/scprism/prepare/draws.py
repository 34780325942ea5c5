"""Random numbers drawn by a gene's name and by a cell's expression, never by where they stand in a file."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import sparse
from scipy.special import ndtri

from scprism.prepare.cell_hashes import cell_marks
from scprism.prepare.stream import PreparedChunk
from scprism.types import FloatArray, IntArray

__all__ = [
    "cell_keys",
    "count_keys",
    "gene_draws",
    "gene_keys",
    "keys_of_hashes",
    "normal_of_genes",
    "thin_by_cell",
    "uniform_draws",
]

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP = np.uint64(0x9E3779B97F4A7C15)


def cell_keys(chunks: Iterable[PreparedChunk]) -> IntArray:
    """Return a number for each cell that its expression in the model's genes decides alone, uint64 (cells,).

    What is drawn by it, or put in its order, changes neither with the order of cells and genes nor with genes that the
    model does not read.
    """
    return keys_of_hashes([name for chunk in chunks for name in cell_marks(chunk.inputs)])


def keys_of_hashes(hashes: Sequence[str]) -> IntArray:
    """Return hashes of cells (`scprism.prepare.cell_hashes`) as numbers, uint64 (cells,)."""
    return np.array([int(name, 16) for name in hashes], dtype=np.uint64)


def gene_draws(genes: Sequence[str], purpose: str) -> FloatArray:
    """Return a number between 0 and 1 for each gene that depends on its name and the purpose alone, (genes,).

    Examples
    --------
    >>> a, b = gene_draws(["Cd3e", "Cd19"], "depth"), gene_draws(["Cd19", "Cd3e"], "depth")
    >>> bool((a == b[::-1]).all())
    True
    """
    return (np.array([_number(f"{purpose}:{gene}") for gene in genes], dtype=np.float64) + 0.5) / 2**64


def gene_keys(genes: Sequence[str], *, draw: str = "") -> IntArray:
    """Return a number for each gene that depends on its name and on `draw` alone, uint64 (genes,).

    Examples
    --------
    >>> bool((gene_keys(["CD3E", "MS4A1"]) == gene_keys(["MS4A1", "CD3E"])[::-1]).all())
    True
    """
    return np.array([_number(f"{draw}:{gene}") for gene in genes], dtype=np.uint64)


def normal_of_genes(genes: Sequence[str], *, draw: str) -> FloatArray:
    """Return a standard normal number for each gene, by its name and the name of the draw, float64 (genes,)."""
    normal: FloatArray = ndtri(gene_draws(genes, draw))
    return normal


def uniform_draws(first: IntArray, second: IntArray) -> FloatArray:
    """Return a number strictly between 0 and 1 for each pair of keys (uint64), evenly spread, float64 of their shape.

    References
    ----------
    Steele, Lea and Flood, OOPSLA (2014), 453–472: SplitMix64.
    """
    bits = _mixed(first ^ _mixed(second + _STEP)) >> np.uint64(11)
    uniform: FloatArray = (bits.astype(np.float64) + 0.5) * 2.0**-53
    return uniform


def count_keys(counts: sparse.csr_matrix, keys: IntArray) -> IntArray:
    """Return a number for each cell that depends on its counts and on the names of their genes alone, uint64 (cells,).

    Parameters
    ----------
    counts
        Raw counts, csr (cells, genes), without stored zeros.
    keys
        Of the genes (`gene_keys`), (genes,).
    """
    values = np.ascontiguousarray(counts.data, dtype=np.float64)
    terms = _mixed(keys[counts.indices] ^ _mixed(values.view(np.uint64)))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return _mixed(sums[counts.indptr[1:]] - sums[counts.indptr[:-1]])


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
        A number of each cell (`cell_keys`), uint64 (cells,).
    purpose
        Draws for different purposes are independent.

    Examples
    --------
    >>> counts = sparse.csr_matrix(np.array([[5.0, 0.0], [0.0, 7.0]]))
    >>> thin_by_cell(counts, np.array([1.0, 0.0]), np.array([1, 2], dtype=np.uint64)).toarray()
    array([[5., 0.],
           [0., 0.]], dtype=float32)
    """
    stream = _number(purpose)
    whole, kept = np.rint(counts.data).astype(np.int64), np.empty(counts.nnz, dtype=np.float32)
    for cell, key in enumerate(keys):
        span = slice(counts.indptr[cell], counts.indptr[cell + 1])
        rng = np.random.Generator(np.random.PCG64([stream, int(key)]))
        kept[span] = rng.binomial(whole[span], chance[counts.indices[span]])
    thinned = sparse.csr_matrix((kept, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)
    thinned.eliminate_zeros()
    return thinned


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _mixed(keys: IntArray) -> IntArray:
    mixed = keys + _STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    return mixed ^ (mixed >> np.uint64(31))
