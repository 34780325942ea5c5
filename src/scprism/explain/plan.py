"""An attribution made ready for a network: its baseline passed through the first layer, its directions checked."""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scprism.errors import InputError
from scprism.explain.attribution import GRADIENTS, Attribution, check_attribution
from scprism.explain.coefficients import Head, expand, path_coefficients, secant_gates, slope_gates
from scprism.explain.encoder import Encoder, as_rows, hidden_input, latents, prepare_encoder
from scprism.model.weights import Weights
from scprism.types import AttributionMethod, FloatArray

__all__ = ["Plan", "cell_coefficients", "differences", "flows", "gains", "hidden_of", "make_plan"]

_SPARSE_BELOW = 0.4  # share of stored values up to which skipping the others is faster than whole tiles


@dataclass(frozen=True)
class Plan:
    """What every pass over cells needs.

    Attributes
    ----------
    encoder, head, method
        The network up to and after the hidden layer, and how it is explained.
    fill
        What is added to every cell, float32 (genes,), or None.
    offset
        Fill minus baseline, float32 (genes,): what is added to a cell to get its difference from the baseline; None
        where it is zero.
    start
        The hidden layer's input at the baselines, float64 (baselines, hidden); no rows for gradients.
    others
        The baselines of expected gradients, CSR (baselines, genes); None for other methods.
    baseline
        The baseline in words.
    """

    encoder: Encoder
    head: Head
    method: AttributionMethod
    fill: FloatArray | None
    offset: FloatArray | None
    start: FloatArray
    others: sparse.csr_matrix | None
    baseline: str


def make_plan(weights: Weights, attribution: Attribution, *, fill: FloatArray | None = None) -> Plan:
    """Return the plan, or raise `InputError` where its parts do not fit."""
    encoder = prepare_encoder(weights)
    check_attribution(attribution, encoder)
    n_genes, method, given = encoder.n_genes, attribution.method, attribution.baseline
    if fill is not None and np.shape(fill) != (n_genes,):
        msg = f"`fill` must hold one value for each of the model's {n_genes:,} genes, got shape {np.shape(fill)}."
        raise InputError(msg)
    filled = np.asarray(fill, dtype=np.float32) if fill is not None and np.any(fill) else None
    head = _head(encoder, attribution)
    if method in GRADIENTS:
        nothing = np.empty((0, len(encoder.hidden_bias)))
        return Plan(encoder, head, method, filled, None, nothing, None, "none, a gradient")
    if method == "expected_gradients":
        others = sparse.csr_matrix(as_rows(given, n_genes=n_genes, name="baseline"))
        start = hidden_input(encoder, others)
        return Plan(encoder, head, method, filled, filled, start, others, f"{len(start):,} cells, averaged")
    if given is None:
        start = hidden_input(encoder, np.zeros((1, n_genes), np.float32), constant=filled)
        kept = "" if filled is None else ", genes that the cells lack at the value they are filled with"
        return Plan(encoder, head, method, filled, None, start, None, f"zero expression{kept}")
    row = as_rows(given, n_genes=n_genes, name="baseline")
    offset = (0.0 if filled is None else filled) - row[0]
    start = hidden_input(encoder, row)
    return Plan(encoder, head, method, filled, offset if np.any(offset) else None, start, None, "one given profile")


def cell_coefficients(plan: Plan, hidden: FloatArray, *, pool: Executor | None = None) -> FloatArray:
    """Return what is multiplied with ``W1``, float32 (cells, directions, hidden).

    For expected gradients there is one for each baseline: (cells, baselines, directions, hidden).
    """
    if plan.method in (*GRADIENTS, "gradient_x_input"):
        return expand(slope_gates(plan.encoder, hidden), plan.head, pool=pool)
    if plan.method == "deeplift":
        return expand(secant_gates(plan.encoder, hidden, plan.start), plan.head, pool=pool)
    n_cells, n_starts = len(hidden), len(plan.start)
    ends, starts = np.repeat(hidden, n_starts, axis=0), np.tile(plan.start, (n_cells, 1))
    pairs = path_coefficients(plan.encoder, plan.head, ends, starts, pool=pool)
    return pairs if plan.others is None else pairs.reshape(n_cells, n_starts, *pairs.shape[1:])


def differences(plan: Plan, rows: FloatArray | sparse.csr_matrix) -> FloatArray | sparse.csr_matrix:
    """Return what each map is multiplied by: cells minus baseline, or cells for expected gradients.

    CSR where that is worth it, else dense.
    """
    if plan.offset is not None:
        return np.asarray((rows if isinstance(rows, np.ndarray) else rows.toarray()) + plan.offset)
    cells = sparse.csr_matrix(rows)
    return cells if cells.nnz <= _SPARSE_BELOW * np.prod(cells.shape) else np.asarray(cells.toarray())


def flows(plan: Plan, hidden: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Return the sum over genes of each cell's attributions, (cells, directions), from `cell_coefficients`.

    It is taken behind the first weights, where a sum over genes is a difference of the hidden layer's input.
    """
    if plan.others is None:
        step = (hidden - plan.start).astype(np.float32)
        return np.asarray((coefficients @ step[:, :, None])[:, :, 0])
    steps = (hidden[:, None, :] - plan.start).astype(np.float32)  # (cells, baselines, hidden)
    return np.asarray((coefficients @ steps[..., None]).mean(axis=1)[:, :, 0])


def gains(plan: Plan, hidden: FloatArray) -> FloatArray:
    """Return what each cell's directions differ from the baseline, float64 (cells, directions)."""
    change = latents(plan.encoder, hidden) - latents(plan.encoder, plan.start).mean(axis=0)
    return change if plan.head.directions is None else np.asarray(change @ plan.head.directions.T)


def hidden_of(plan: Plan, rows: FloatArray | sparse.csr_matrix, *, pool: Executor | None = None) -> FloatArray:
    """Return the hidden layer's input of cells, float64 (cells, hidden)."""
    return hidden_input(plan.encoder, rows, constant=plan.fill, pool=pool)


def _head(encoder: Encoder, attribution: Attribution) -> Head:
    directions = attribution.directions
    return Head(
        weight=encoder.latent_weight,
        directions=None if directions is None else np.asarray(directions, dtype=np.float64),
        clamped=attribution.clamped(encoder.n_units),
        hidden_is_linear=encoder.hidden_beta is None,
        latent_is_linear=encoder.latent_beta is None,
    )
