"""The encoder half of a network, laid out for explaining: inputs of its two layers from sparse or dense cells."""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scprism._threads import compiled, spread
from scprism.errors import InputError
from scprism.explain.softplus import softplus
from scprism.model.weights import Weights
from scprism.types import FloatArray, IntArray, Matrix

__all__ = ["Encoder", "as_rows", "hidden_input", "latent_input", "latents", "prepare_encoder"]


@dataclass(frozen=True)
class Encoder:
    """The encoder's arrays: `by_gene` (genes, hidden) and `by_hidden` (hidden, genes) float32, the rest float64."""

    by_gene: FloatArray
    by_hidden: FloatArray
    hidden_bias: FloatArray
    latent_weight: FloatArray
    latent_bias: FloatArray
    hidden_beta: float | None
    latent_beta: float | None

    @property
    def n_genes(self) -> int:
        """The number of input genes."""
        return int(self.by_gene.shape[0])

    @property
    def n_units(self) -> int:
        """The number of bottleneck units."""
        return int(self.latent_weight.shape[0])

    @property
    def is_bent_once(self) -> bool:
        """Whether at most one of the two layers is nonlinear."""
        return self.hidden_beta is None or self.latent_beta is None


def prepare_encoder(weights: Weights) -> Encoder:
    """Return the encoder of `weights`."""
    return Encoder(
        by_gene=np.ascontiguousarray(weights.hidden_weight.T, dtype=np.float32),
        by_hidden=np.ascontiguousarray(weights.hidden_weight, dtype=np.float32),
        hidden_bias=np.asarray(weights.hidden_bias, dtype=np.float64),
        latent_weight=np.asarray(weights.latent_weight, dtype=np.float64),
        latent_bias=np.asarray(weights.latent_bias, dtype=np.float64),
        hidden_beta=weights.hidden_beta,
        latent_beta=weights.latent_beta,
    )


def as_rows(x: Matrix, *, n_genes: int, name: str) -> FloatArray | sparse.csr_matrix:
    """Return `x` as float32 rows, dense or CSR with sorted indices; one dense row may come as a vector."""
    shape = np.shape(x) if sparse.issparse(x) else np.atleast_2d(x).shape
    if len(shape) != 2 or shape[1] != n_genes:
        msg = f"`{name}` must have the model's {n_genes:,} genes as columns, got shape {np.shape(x)}."
        raise InputError(msg)
    if not sparse.issparse(x):
        return np.ascontiguousarray(np.atleast_2d(x), dtype=np.float32)
    rows = sparse.csr_matrix(x, dtype=np.float32)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def hidden_input(
    encoder: Encoder,
    rows: FloatArray | sparse.csr_matrix,
    *,
    constant: FloatArray | None = None,
    pool: Executor | None = None,
) -> FloatArray:
    """Return the hidden layer's input ``W1 (row + constant) + b1`` as float64 (cells, hidden).

    Summed in float64 because a softplus with a beta of thousands turns the rounding of float32 into visible
    differences; zeros cost nothing, and a cell's result depends on neither its neighbours nor its storage.
    """
    start = encoder.hidden_bias
    if constant is not None:
        start = start + np.asarray(constant, dtype=np.float64) @ encoder.by_gene
    out = np.tile(start, (rows.shape[0], 1))
    if isinstance(rows, np.ndarray):
        spread(_add_dense_rows, (rows, encoder.by_gene, out), n_tasks=len(out), pool=pool)
    else:
        arguments = (rows.data, rows.indices, rows.indptr, encoder.by_gene, out)
        spread(_add_sparse_rows, arguments, n_tasks=len(out), pool=pool)
    if not np.isfinite(out).all():
        msg = "The cells to explain hold NaN or infinite values. Pass normalised, finite values."
        raise InputError(msg)
    return out


def latent_input(encoder: Encoder, hidden: FloatArray) -> FloatArray:
    """Return the bottleneck's input, (…, units), from the hidden layer's input, (…, hidden)."""
    return softplus(hidden, beta=encoder.hidden_beta) @ encoder.latent_weight.T + encoder.latent_bias


def latents(encoder: Encoder, hidden: FloatArray) -> FloatArray:
    """Return the units' activations, (…, units), from the hidden layer's input, (…, hidden)."""
    return softplus(latent_input(encoder, hidden), beta=encoder.latent_beta)


@compiled
def _add_row(values: FloatArray, columns: IntArray, by_gene: FloatArray, out: FloatArray) -> None:
    # Four genes at a time: the row of sums is read and written once for four.
    n, n_hidden = len(values), len(out)
    whole = n - n % 4
    for p in range(0, whole, 4):
        v0, v1 = np.float64(values[p]), np.float64(values[p + 1])
        v2, v3 = np.float64(values[p + 2]), np.float64(values[p + 3])
        w0, w1 = by_gene[columns[p]], by_gene[columns[p + 1]]
        w2, w3 = by_gene[columns[p + 2]], by_gene[columns[p + 3]]
        for h in range(n_hidden):
            out[h] += (v0 * w0[h] + v1 * w1[h]) + (v2 * w2[h] + v3 * w3[h])
    for p in range(whole, n):
        v0, w0 = np.float64(values[p]), by_gene[columns[p]]
        for h in range(n_hidden):
            out[h] += v0 * w0[h]


@compiled
def _add_sparse_rows(
    data: FloatArray,
    indices: IntArray,
    indptr: IntArray,
    by_gene: FloatArray,
    out: FloatArray,
    start: int,
    stop: int,
) -> None:
    for i in range(start, stop):
        a, b = indptr[i], indptr[i + 1]
        _add_row(data[a:b], indices[a:b], by_gene, out[i])


@compiled
def _add_dense_rows(rows: FloatArray, by_gene: FloatArray, out: FloatArray, start: int, stop: int) -> None:
    columns = np.empty(rows.shape[1], np.int32)
    values = np.empty(rows.shape[1], np.float32)
    for i in range(start, stop):
        n = 0
        for g in range(rows.shape[1]):
            columns[n], values[n] = g, rows[i, g]
            n += rows[i, g] != 0
        _add_row(values[:n], columns[:n], by_gene, out[i])
