"""Mean attributions of groups of cells, streamed: memory does not grow with the number of cells."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import sparse

from scprism._check import some
from scprism._threads import one_thread_products, worker_pool
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.explain.attribution import GRADIENTS, SUMMING, Attribution
from scprism.explain.coefficients import Gates, expand, secant_gates, slope_gates, sum_expanded
from scprism.explain.dense_sums import add_absolute_maps, add_dense_maps
from scprism.explain.encoder import as_rows
from scprism.explain.explanation import ALL, Explanation
from scprism.explain.plan import Plan, cell_coefficients, differences, flows, gains, hidden_of, make_plan
from scprism.explain.sparse_sums import add_outer_products, add_scaled_differences, add_scaled_maps
from scprism.model.weights import Weights
from scprism.types import FloatArray, IntArray, Matrix

__all__ = ["explain_groups"]

_CELLS = 512  # whose coefficients are held at a time
_COEFFICIENTS = 4_000_000  # held at a time for expected gradients, where each cell has one set a baseline

_Way: TypeAlias = Literal["slopes", "slope maps", "scaled maps", "differences", "outer products"]


def explain_groups(
    weights: Weights,
    chunks: Iterable[tuple[Matrix, IntArray]],
    *,
    genes: Sequence[str],
    groups: Sequence[str] = (),
    attribution: Attribution = Attribution(),  # noqa: B008  frozen
    fill: FloatArray | None = None,
    threads: int | None = None,
) -> Explanation:
    """Return the mean maps of each group of cells and of all cells, in one pass.

    Parameters
    ----------
    weights
        The network.
    chunks
        Pairs of normalised cells, (cells, genes), dense or sparse, and the group of each, its number in `groups` or -1
        for a cell that counts for ``"all"`` only. The result does not depend on how cells are cut into chunks.
    genes, groups
        Names. Groups without cells are left out, with a warning. ``"all"`` is added as the last group.
    attribution
        Method, directions and baseline. Signed means of gradients cost one product a cell with its hidden units;
        absolute means, and the methods that multiply with the cell's values, one map a cell. The latter skip the
        genes where a cell equals the baseline. Expected gradients cost one map for each pair of cell and baseline.
    fill
        Values added to every cell, (genes,): those of genes that the cells lack.
    threads
        Threads to use; all cores if None.
    """
    plan = make_plan(weights, attribution, fill=fill)
    _check_names(genes, groups, n_genes=plan.encoder.n_genes)
    sums = _empty_sums(plan, attribution, n_bins=len(groups) + 1)
    with worker_pool(threads) as pool:
        for x, codes in chunks:
            rows = as_rows(x, n_genes=plan.encoder.n_genes, name="chunks")
            bins = _bins(codes, n_cells=rows.shape[0], n_groups=len(groups))
            sums.n_cells += np.bincount(bins, minlength=len(sums.n_cells))
            order = np.argsort(bins, kind="stable")  # one group after the other: its totals stay in the cache
            hidden, bins = hidden_of(plan, rows, pool=pool)[order], bins[order]
            rows = rows if plan.method in GRADIENTS else rows[order]
            with one_thread_products():
                if sums.way == "slopes":
                    _add_signed_slopes(sums, plan, hidden, bins=bins, pool=pool)
                    continue
                for block in _blocks(plan, n_cells=len(bins)):
                    if plan.method in GRADIENTS:
                        _add_slopes(sums, plan, hidden[block], bins=bins[block], pool=pool)
                    else:
                        _add_scaled(sums, plan, rows[block], hidden=hidden[block], bins=bins[block], pool=pool)
    with one_thread_products():  # its few products do not repay threads that wait for each other
        return _explanation(plan, attribution, sums, genes=genes, groups=groups, fingerprint=weights.fingerprint())


@dataclass
class _Sums:
    """Sums over cells by bin: one a group, a last one for cells in none. Arrays that a way does not use are empty."""

    way: _Way
    n_cells: IntArray  # (bins,)
    gain: FloatArray  # (bins, directions)
    coefficients: FloatArray  # (bins, directions, hidden)
    absolute: FloatArray  # (bins, directions, genes)
    maps: FloatArray  # (2, bins, genes, directions), signed and absolute
    outer: FloatArray  # (bins, genes, hidden)
    worst_gap: float = 0.0
    largest_gain: float = 0.0


def _empty_sums(plan: Plan, attribution: Attribution, *, n_bins: int) -> _Sums:
    way = _way(plan, attribution)
    n_genes, n_hidden = plan.encoder.by_gene.shape
    n_directions, nothing = len(plan.head.clamped), np.empty(0)
    return _Sums(
        way,
        n_cells=np.zeros(n_bins, dtype=np.int64),
        gain=np.zeros((n_bins, n_directions)),
        coefficients=np.zeros((n_bins, n_directions, n_hidden)) if way in ("slopes", "slope maps") else nothing,
        absolute=np.zeros((n_bins, n_directions, n_genes)) if way == "slope maps" else nothing,
        maps=np.zeros((2, n_bins, n_genes, n_directions)) if way in ("scaled maps", "differences") else nothing,
        outer=np.zeros((n_bins, n_genes, n_hidden)) if way == "outer products" else nothing,
    )


def _way(plan: Plan, attribution: Attribution) -> _Way:
    """Return the cheapest way to the sums that are wanted."""
    if plan.method in GRADIENTS:
        return "slope maps" if attribution.absolute else "slopes"
    if plan.others is not None:
        return "differences"
    return "outer products" if plan.head.latent_is_linear and not attribution.absolute else "scaled maps"


def _blocks(plan: Plan, *, n_cells: int) -> Iterator[slice]:
    size = _CELLS
    if plan.others is not None:
        n_each = plan.others.shape[0] * len(plan.head.clamped) * plan.encoder.by_gene.shape[1]
        size = max(1, min(size, _COEFFICIENTS // n_each))
    for start in range(0, n_cells, size):
        yield slice(start, start + size)


def _add_scaled(
    sums: _Sums,
    plan: Plan,
    rows: FloatArray | sparse.csr_matrix,
    *,
    hidden: FloatArray,
    bins: IntArray,
    pool: Executor | None,
) -> None:
    if sums.way == "outer products":
        flow = _add_outer(sums, plan, rows, hidden=hidden, bins=bins, pool=pool)
    else:
        coefficients, change = cell_coefficients(plan, hidden, pool=pool), differences(plan, rows)
        flow = flows(plan, hidden, coefficients) if plan.method in SUMMING else np.empty(0)
        if plan.others is not None:
            cells = sparse.csr_matrix(change)
            add_scaled_differences(
                sums.maps, coefficients, plan.encoder.by_gene, codes=bins, rows=cells, others=plan.others, pool=pool
            )
        elif isinstance(change, np.ndarray):
            add_dense_maps(sums.maps, coefficients, plan.encoder.by_hidden, codes=bins, rows=change, pool=pool)
        else:
            add_scaled_maps(sums.maps, coefficients, plan.encoder.by_gene, codes=bins, rows=change, pool=pool)
    if plan.method in SUMMING:
        gain = gains(plan, hidden)
        sums.worst_gap = max(sums.worst_gap, float(np.abs(flow - gain).max()))
        sums.largest_gain = max(sums.largest_gain, float(np.abs(gain).max()))
        np.add.at(sums.gain, bins, gain)


def _add_outer(
    sums: _Sums,
    plan: Plan,
    rows: FloatArray | sparse.csr_matrix,
    *,
    hidden: FloatArray,
    bins: IntArray,
    pool: Executor | None,
) -> FloatArray:
    """Add outer products of cells with their gates, and return what flows to the directions, (cells, directions)."""
    is_slope = plan.method == "gradient_x_input"
    gates = (slope_gates(plan.encoder, hidden) if is_slope else secant_gates(plan.encoder, hidden, plan.start)).hidden
    cells = sparse.csr_matrix(rows)
    add_outer_products(sums.outer, gates.astype(np.float32), codes=bins, rows=cells, pool=pool)
    if plan.offset is not None:  # the part that all cells share needs their summed gates only
        for group in np.unique(bins):
            sums.outer[group] += np.outer(plan.offset, gates[bins == group].sum(axis=0))
    return np.asarray((gates * (hidden - plan.start)) @ plan.head.factor.T)


def _add_slopes(sums: _Sums, plan: Plan, hidden: FloatArray, *, bins: IntArray, pool: Executor | None) -> None:
    gates = slope_gates(plan.encoder, hidden)
    _add_gates(sums.coefficients, plan, gates, bins=bins)
    if sums.way == "slope maps":
        add_absolute_maps(
            sums.absolute, expand(gates, plan.head, pool=pool), plan.encoder.by_hidden, codes=bins, pool=pool
        )


def _add_signed_slopes(sums: _Sums, plan: Plan, hidden: FloatArray, *, bins: IntArray, pool: Executor | None) -> None:
    """Add the slopes of all cells, blocks of cells side by side; blocks are added in order, whatever the threads."""

    def block_sums(block: slice) -> FloatArray:
        part = np.zeros_like(sums.coefficients)
        _add_gates(part, plan, slope_gates(plan.encoder, hidden[block]), bins=bins[block])
        return part

    run = map if pool is None else pool.map
    for part in run(block_sums, _blocks(plan, n_cells=len(bins))):
        sums.coefficients += part


def _add_gates(totals: FloatArray, plan: Plan, gates: Gates, *, bins: IntArray) -> None:
    edges = np.searchsorted(bins, np.arange(len(totals) + 1))
    for group in np.unique(bins):
        run = slice(edges[group], edges[group + 1])
        totals[group] += sum_expanded(Gates(gates.hidden[run], gates.latent[run]), plan.head)


def _total_maps(sums: _Sums, plan: Plan) -> tuple[FloatArray, FloatArray]:
    """Return the signed and the absolute sums, (bins, directions, genes); the latter empty where not taken."""
    if sums.way in ("scaled maps", "differences"):
        signed, absolute = sums.maps.transpose(0, 1, 3, 2)
        return signed, absolute
    if sums.way == "outer products":
        by_hidden = (sums.outer * plan.encoder.by_gene).transpose(0, 2, 1)
        return np.asarray(plan.head.factor @ by_hidden), sums.absolute
    return sums.coefficients.astype(np.float32) @ plan.encoder.by_hidden, sums.absolute


def _explanation(
    plan: Plan,
    attribution: Attribution,
    sums: _Sums,
    *,
    genes: Sequence[str],
    groups: Sequence[str],
    fingerprint: str,
) -> Explanation:
    if not sums.n_cells.any():
        msg = "There are no cells to explain: `chunks` is empty."
        raise InputError(msg)
    signed, absolute = _total_maps(sums, plan)
    n_cells = np.append(sums.n_cells[:-1], sums.n_cells.sum())
    is_kept = n_cells > 0
    if not is_kept.all():
        empty = some(np.array(groups)[~is_kept[:-1]])
        warn(f"No cell is in group {empty}; left out of the explanation.")
    means = _means(signed, n_cells)
    return Explanation(
        signed=means[is_kept],
        absolute=(_means(absolute, n_cells) if attribution.absolute else np.full_like(means, np.nan))[is_kept],
        groups=tuple(np.append(groups, ALL)[is_kept].tolist()),
        units=attribution.direction_names(plan.encoder.n_units),
        genes=tuple(genes),
        n_cells=n_cells[is_kept],
        method=plan.method,
        completeness_error=_completeness_error(sums, signed) if plan.method in SUMMING else float("nan"),
        baseline=plan.baseline,
        fingerprint=fingerprint,
    )


def _means(sums: FloatArray, n_cells: IntArray) -> FloatArray:
    """Return the means of the groups and, from all sums, of all cells; float32."""
    means = np.empty(sums.shape, dtype=np.float32)
    for i, n in enumerate(n_cells):
        total = sums.sum(axis=0) if i == len(n_cells) - 1 else sums[i]
        means[i] = total / max(int(n), 1)
    return means


def _completeness_error(sums: _Sums, signed: FloatArray) -> float:
    """Return the largest gap of a cell or of a group's sum over genes, relative to the largest gain of a cell."""
    if sums.largest_gain == 0:
        return 0.0
    group_gap = np.abs(signed.sum(axis=2) - sums.gain) / np.maximum(sums.n_cells, 1)[:, None]
    return float(max(sums.worst_gap, group_gap.max()) / sums.largest_gain)


def _bins(codes: IntArray, *, n_cells: int, n_groups: int) -> IntArray:
    """Return the row of the sums that each cell is added to."""
    codes = np.asarray(codes)
    if codes.shape != (n_cells,):
        msg = f"Each chunk needs one group code a cell: got {codes.shape} codes for {n_cells:,} cells."
        raise InputError(msg)
    if not np.issubdtype(codes.dtype, np.integer) or (n_cells and not -1 <= codes.min() <= codes.max() < n_groups):
        msg = f"Group codes must be integers from -1 (no group) to {n_groups - 1}, got {some(np.unique(codes))}."
        raise InputError(msg)
    return np.where(codes < 0, n_groups, codes).astype(np.int64)


def _check_names(genes: Sequence[str], groups: Sequence[str], *, n_genes: int) -> None:
    if len(genes) != n_genes:
        msg = f"`genes` must name the model's {n_genes:,} genes, got {len(genes):,} names."
        raise InputError(msg)
    if ALL in groups or len(set(groups)) != len(groups):
        msg = f"`groups` must be different names other than {ALL!r}, which stands for all cells, got {some(groups)}."
        raise InputError(msg)
