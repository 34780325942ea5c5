"""Units found by non-negative matrix factorisation over several starts and halves of the cells."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy import sparse

from scprism._random import random_generator
from scprism.errors import InputError
from scprism.types import FloatArray, RNGLike
from scprism.units.factorise import factorised, random_starts
from scprism.units.inference import activity, activity_through
from scprism.units.record import ACTIVITY_QUANTILES, Units, UnitSettings, unit_names
from scprism.units.replication import Candidates, agreement, distinct, replication
from scprism.units.runs import RunPrograms, gene_shuffled, leading_overlap, run_programs

__all__ = ["LEAST_COHERENCE_Z", "coherence", "fit_units", "fit_with_runs", "gene_weights"]

REFINING_ITERATIONS = 30
LEAST_COHERENCE_Z = 4.0
"""Of the correlation between activities read from two halves of the genes, times √cells: standard normal where genes
are independent, so that one in 30,000 programs of shuffled cells passes."""


def fit_units(
    values: sparse.csr_matrix,
    *,
    n_units: int | Literal["auto"] = "auto",
    settings: UnitSettings | None = None,
    rng: RNGLike = None,
    threads: int = 1,
) -> Units:
    """Return units: programs of genes that come back in disjoint halves of the cells, from other starts.

    The cells are split in halves several times and each half is factorised into non-negative programs and activities
    (least squares, random start, several numbers of programs; Lee and Seung 1999). A program is kept if both halves of
    the splits hold it (`replication`), if its genes move together (`coherence`), and if no better one resembles it.
    The kept programs are refined together on all the cells drawn. Which programs come back is thus decided by cells
    and starts that have nothing in common, as in Kotliar et al. 2019 (several starts) and Yip et al. 2023 (halves).

    Parameters
    ----------
    values
        log1p counts per 10,000 of the model's genes, CSR (cells, genes). Never made dense.
    n_units
        ``"auto"``: all that come back. A number: that many at most, the best.
    settings
        How they are found; None: the defaults.
    threads
        Factorisations side by side; the result is the same for any number.

    Raises
    ------
    InputError
        If values are negative or not finite, or there are fewer than 20 cells for each program of the smallest rank.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> amounts = rng.gamma(0.3, 1.0, (400, 3))  # three programs, in 400 cells
    >>> means = amounts @ np.kron(np.eye(3), np.ones(20))  # of 20 genes each
    >>> cells = sparse.csr_matrix(np.log1p(rng.poisson(3 * means)))
    >>> units = fit_units(cells, settings=UnitSettings(runs=4, ranks=(3, 5)), rng=0)
    >>> units.names
    ('U01', 'U02', 'U03')
    """
    return fit_with_runs(values, n_units=n_units, settings=settings, rng=rng, threads=threads)[0]


def fit_with_runs(
    values: sparse.csr_matrix,
    *,
    n_units: int | Literal["auto"] = "auto",
    settings: UnitSettings | None = None,
    rng: RNGLike = None,
    threads: int = 1,
) -> tuple[Units, RunPrograms]:
    """Return what `fit_units` does, and the programs of the single runs."""
    settings = settings or UnitSettings()
    generator = random_generator(rng)
    _check(values, n_units, settings)
    n_drawn = min(values.shape[0], 2 * settings.max_cells)
    drawn = np.sort(generator.choice(values.shape[0], n_drawn, replace=False))
    cells = sparse.csr_matrix(values[drawn], dtype=np.float32)
    weights = gene_weights(cells, power=settings.weight_power)
    weighted = sparse.csr_matrix(cells.multiply(weights[None]), dtype=np.float32)
    candidates = _candidates(weighted, settings, generator, threads)
    shuffled = _shuffled_programs(weighted, settings, generator)
    alike = agreement(candidates.programs, candidates.activities, candidates, least_cosine=settings.least_cosine)
    score = replication(alike, candidates)
    order = [index for index in np.argsort(-score, kind="stable") if score[index] >= settings.least_replication]
    n_distinct_all = len(_distinct(np.argsort(-score, kind="stable").tolist(), candidates, settings))
    kept = _distinct(order, candidates, settings)
    programs = np.stack([_mean_program(alike[index], candidates, settings) for index in kept]) if kept else None
    programs, alike, score = _refined(weighted, programs, candidates, settings)
    number = len(programs) if n_units == "auto" else n_units
    programs, alike, score = programs[:number], alike[:number], score[:number]
    in_halves = candidates.split[candidates.run] >= 0
    members = [_members(np.where(in_halves, row, 0.0), candidates, settings.least_replication) for row in alike]
    units = _record(programs, score, members, shuffled, candidates, (weights, settings))
    units = replace(_scaled(units, cells), n_cells=len(drawn), n_dropped=max(n_distinct_all - len(programs), 0))
    return units, run_programs(members, candidates, shuffled)


def gene_weights(values: sparse.csr_matrix, *, power: float) -> FloatArray:
    """Return the square root of how much each gene's residual counts, ``mean ** (-power / 2)``, 0 for absent genes.

    float32 (genes,). The variance of counts grows with their mean, so with power 0 a few abundant genes decide.
    """
    mean = np.asarray(values.mean(axis=0), dtype=np.float64).ravel()
    return np.power(mean, -power / 2, out=np.zeros_like(mean), where=mean > 0).astype(np.float32)


def coherence(programs: FloatArray, weighted: sparse.csr_matrix) -> FloatArray:
    """Return the correlation between each program's activity read from two disjoint halves of the genes.

    In cells that played no part in finding the programs it is 0 where genes are independent of each other, as in
    gene-shuffled cells: one abundant gene comes back in every run, and is no program. Genes are dealt to the halves in
    turn, in the order of their sum of squares.

    Parameters
    ----------
    programs
        Non-negative, float64 (programs, genes).
    weighted
        Weighted expression, CSR (cells, genes).
    """
    order = np.argsort(-np.asarray(weighted.multiply(weighted).sum(axis=0)).ravel(), kind="stable")
    readings = []
    for start in (0, 1):
        part = np.zeros(weighted.shape[1], dtype=bool)
        part[order[start::2]] = True
        readings.append(_activities(programs * part, weighted).astype(np.float64))
    one, other = (reading - reading.mean(axis=0) for reading in readings)
    lengths = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    together = (one * other).sum(axis=0)
    return np.asarray(np.divide(together, lengths, out=np.zeros_like(lengths), where=lengths > 0))


def _activities(programs: FloatArray, weighted: sparse.csr_matrix) -> FloatArray:
    loadings = np.ascontiguousarray(programs.T, dtype=np.float64)
    return activity_through(loadings, loadings.T @ loadings, weighted, tell=False)


def _candidates(
    weighted: sparse.csr_matrix, settings: UnitSettings, rng: np.random.Generator, threads: int
) -> Candidates:
    """Return the programs of runs on halves of the cells, and of one run a rank on all cells."""
    n_cells, n_splits = weighted.shape[0], max(1, settings.runs // (2 * len(settings.ranks)))
    jobs: dict[tuple[int, int], list[tuple[int, int]]] = {}  # (split, half): ranks and seeds
    shuffled = [rng.permutation(n_cells) for _ in range(n_splits)]
    for pair in range(settings.runs // 2):
        rank = settings.ranks[pair % len(settings.ranks)]
        split = min(pair // len(settings.ranks), n_splits - 1)
        for half in (0, 1):
            jobs.setdefault((split, half), []).append((rank, int(rng.integers(2**31))))
    jobs[-1, 0] = [(rank, int(rng.integers(2**31))) for rank in settings.ranks]

    def run(place: tuple[int, int]) -> list[tuple[FloatArray, FloatArray, FloatArray, np.ndarray]]:
        split, half = place
        seen = np.arange(n_cells) if split < 0 else np.sort(shuffled[split][half::2])
        found = _factorised(weighted[seen], jobs[place], settings.max_iterations)
        return [(part, _activities(part, weighted), *_coherent(part, weighted, seen)) for part in found]

    with ThreadPoolExecutor(threads) as pool:
        working = {place: pool.submit(run, place) for place in sorted(jobs)}  # all cells, the longest, first
        runs = [(place, *one) for place in jobs for one in working[place].result()]
    return Candidates(
        programs=np.concatenate([programs for _, programs, *_ in runs]),
        activities=np.concatenate([activities for _, _, activities, *_ in runs], axis=1),
        coherence=np.concatenate([moves for *_, moves, _ in runs]),
        coherent=np.concatenate([coherent for *_, coherent in runs]),
        run=np.repeat(np.arange(len(runs)), [len(programs) for _, programs, *_ in runs]),
        split=np.array([split for (split, _), *_ in runs]),
        half=np.array([half for (_, half), *_ in runs]),
    )


def _shuffled_programs(weighted: sparse.csr_matrix, settings: UnitSettings, rng: np.random.Generator) -> FloatArray:
    """Return the programs of a run of the largest rank on half of the cells, their genes shuffled."""
    half = np.sort(rng.permutation(weighted.shape[0])[::2])
    cells = gene_shuffled(weighted[half], rng)
    return _factorised(cells, [(max(settings.ranks), int(rng.integers(2**31)))], settings.max_iterations)[0]


def _coherent(programs: FloatArray, weighted: sparse.csr_matrix, seen: np.ndarray) -> tuple[FloatArray, np.ndarray]:
    """Return how well each program's genes move together in cells that its run did not see, and if more than by chance.

    float64 and bool (programs,).
    """
    others = np.setdiff1d(np.arange(weighted.shape[0]), seen)
    if not len(others):
        return np.zeros(len(programs)), np.zeros(len(programs), dtype=bool)
    found = coherence(programs, weighted[others])
    return found, np.asarray(found * np.sqrt(len(others)) >= LEAST_COHERENCE_Z)


def _factorised(weighted: sparse.csr_matrix, runs: Sequence[tuple[int, int]], iterations: int) -> list[FloatArray]:
    """Return the programs of factorisations of a rank from the start of a seed, of length 1, empty ones left out."""
    starts = [random_starts(weighted, rank, seed) for rank, seed in runs]
    found = []
    for _, programs in factorised(weighted, starts, iterations=iterations):
        lengths = np.linalg.norm(programs, axis=1)
        found.append(programs[lengths > 0] / lengths[lengths > 0, None])
    return found


def _distinct(order: list[int], candidates: Candidates, settings: UnitSettings) -> list[int]:
    largest = settings.largest_correlation
    return distinct(order, candidates.programs, candidates.activities, largest_correlation=largest)


def _members(alike: FloatArray, candidates: Candidates, least: float) -> list[int]:
    """Return the nearest candidate of each run in which a program came back; `alike` is (candidates,)."""
    best = [np.flatnonzero(candidates.run == run)[np.argmax(alike[candidates.run == run])] for run in _runs(candidates)]
    return [int(index) for index in best if alike[index] >= least]


def _runs(candidates: Candidates) -> np.ndarray:
    return np.unique(candidates.run)


def _mean_program(alike: FloatArray, candidates: Candidates, settings: UnitSettings) -> FloatArray:
    members = _members(alike, candidates, settings.least_replication)
    return np.asarray(candidates.programs[members].mean(axis=0))


def _refined(
    weighted: sparse.csr_matrix, programs: FloatArray | None, candidates: Candidates, settings: UnitSettings
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the programs after some steps together on all cells, without those that no longer come back.

    Beside them how alike each is to each candidate, and its replication; the best replicated first.
    """
    while programs is not None and len(programs):
        start = _activities(programs, weighted), programs
        _, programs = factorised(weighted, [start], iterations=REFINING_ITERATIONS)[0]
        lengths = np.linalg.norm(programs, axis=1, keepdims=True)
        programs = np.divide(programs, lengths, out=np.zeros_like(programs), where=lengths > 0)
        alike = agreement(programs, _activities(programs, weighted), candidates, least_cosine=settings.least_cosine)
        score = replication(alike, candidates)
        comes_back = score >= settings.least_replication
        if comes_back.all():
            order = np.argsort(-score, kind="stable")
            return programs[order], alike[order], score[order]
        programs = programs[comes_back]
    empty = np.zeros((0, weighted.shape[1]), dtype=np.float32)
    return empty, np.zeros((0, len(candidates.programs))), np.zeros(0)


def _record(
    programs: FloatArray,
    score: FloatArray,
    members: list[list[int]],
    shuffled: FloatArray,
    candidates: Candidates,
    fitted: tuple[FloatArray, UnitSettings],
) -> Units:
    """Return the units with what the runs on halves of the cells say of them; `fitted` are gene weights, settings."""
    weights, settings = fitted
    per_gene = np.divide(1.0, weights, out=np.zeros_like(weights), where=weights > 0)
    low, high = programs.copy(), programs.copy()
    moves, overlap, by_chance = (np.zeros(len(programs), dtype=np.float32) for _ in range(3))
    for row, (program, own) in enumerate(zip(programs, members, strict=True)):
        runs = np.vstack([program, candidates.programs[own]])
        low[row], high[row] = runs.min(axis=0), runs.max(axis=0)
        by_chance[row] = leading_overlap(program, shuffled).max(initial=0.0)
        if own:
            moves[row] = np.median(candidates.coherence[own])
            overlap[row] = np.median(leading_overlap(program, candidates.programs[own]))
    return Units(
        names=unit_names(len(programs)),
        programs=programs * per_gene,
        gene_weights=weights,
        replication=score.astype(np.float32),
        low=low * per_gene,
        high=high * per_gene,
        quantiles=np.zeros((len(programs), len(ACTIVITY_QUANTILES)), dtype=np.float32),
        n_runs_found=np.array([len(own) for own in members], dtype=int),
        coherence=moves,
        overlap=overlap,
        shuffled_overlap=by_chance,
        n_cells=0,
        n_dropped=0,
        settings=settings,
    )


def _scaled(units: Units, cells: sparse.csr_matrix) -> Units:
    """Return the units with programs scaled so that the most active hundredth of the cells begins at 1."""
    amounts = activity(units, cells)
    if not len(units.names):
        return units
    top = np.quantile(amounts, ACTIVITY_QUANTILES[-1], axis=0)
    scale = np.where(top > 0, top, amounts.max(axis=0)).astype(np.float32)
    programs, low, high = (part * scale[:, None] for part in (units.programs, units.low, units.high))
    quantiles = np.quantile(amounts / scale, ACTIVITY_QUANTILES, axis=0).T.astype(np.float32)
    return replace(units, programs=programs, low=low, high=high, quantiles=quantiles)


def _check(values: sparse.csr_matrix, n_units: int | str, settings: UnitSettings) -> None:
    if not np.isfinite(values.data).all() or (values.data < 0).any():
        msg = "`values` must be finite and not negative: log1p counts per 10,000, not scaled or centred."
        raise InputError(msg)
    least = 20 * min(settings.ranks)
    if values.shape[0] < least:
        msg = (
            f"Units need at least {least:,} cells (20 for each program of the smallest rank), got {values.shape[0]:,}."
        )
        raise InputError(msg)
    if n_units != "auto" and (isinstance(n_units, str) or n_units < 1):
        msg = f"`n_units` must be 'auto' or a number from 1, got {n_units!r}."
        raise InputError(msg)
