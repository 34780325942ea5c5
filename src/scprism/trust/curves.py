"""Deletion and insertion curves: whether the genes that an explanation names move the unit more than others do."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scprism._random import random_generator
from scprism.errors import InputError
from scprism.explain.encoder import Encoder, prepare_encoder
from scprism.explain.softplus import softplus
from scprism.model.weights import Weights
from scprism.types import FloatArray, IntArray, RNGLike

__all__ = ["SIZES", "Curves", "curve_gains", "gene_curves", "ranked_genes", "stand_ins"]

SIZES = (1, 2, 5, 10, 20, 50, 100, 200)
"""Numbers of genes at which the curves are taken; evenly spaced on a logarithmic scale, the first genes count most."""
N_BINS = 20
"""Genes of like expression are those of one twentieth of all genes, ordered by mean expression."""
N_BOOTSTRAPS = 200


@dataclass(frozen=True)
class Curves:
    """How far units are from where they should end, cell by cell; all float64.

    Attributes
    ----------
    sizes
        Numbers of genes, (sizes,).
    deletion
        |activation − that of the baseline| after the genes are set to their baseline, (units, cells, sizes).
    insertion
        |activation − that of the cell| after the genes of the baseline are set to the cell's.
    distance
        |activation of the cell − that of the baseline|, (units, cells): where both begin.
    """

    sizes: IntArray
    deletion: FloatArray
    insertion: FloatArray
    distance: FloatArray


def gene_curves(
    weights: Weights, cells: FloatArray, *, baseline: FloatArray, order: IntArray, sizes: tuple[int, ...] = SIZES
) -> Curves:
    """Return the curves of each unit for genes taken in a given order.

    Parameters
    ----------
    weights
        The network.
    cells, baseline
        Normalised expression, (cells, genes) and (genes,).
    order
        Each unit's genes, the first to go first, (units, at least the largest size).
    sizes
        Ascending numbers of genes.
    """
    encoder = prepare_encoder(weights)
    if len(order) != encoder.n_units or order.shape[1] < sizes[-1]:
        msg = f"`order` must have a row a unit ({encoder.n_units}) of at least {sizes[-1]} genes, got {order.shape}."
        raise InputError(msg)
    change = np.asarray(cells - baseline, dtype=np.float64)
    start = baseline @ encoder.by_gene.astype(np.float64) + encoder.hidden_bias  # (hidden,)
    full = start + change @ encoder.by_gene
    shape = (encoder.n_units, len(cells), len(sizes))
    deletion, insertion, distance = np.empty(shape), np.empty(shape), np.empty(shape[:2])
    for unit in range(encoder.n_units):
        from_baseline, in_cells = _activation(encoder, start[None], unit), _activation(encoder, full, unit)
        distance[unit] = np.abs(in_cells - from_baseline)
        moved, done = np.zeros_like(full), 0
        for i, size in enumerate(sizes):
            genes = order[unit, done:size]
            moved += change[:, genes] @ encoder.by_gene[genes]
            done = size
            deletion[unit, :, i] = np.abs(_activation(encoder, full - moved, unit) - from_baseline)
            insertion[unit, :, i] = np.abs(_activation(encoder, start + moved, unit) - in_cells)
    return Curves(np.array(sizes), deletion, insertion, distance)


def ranked_genes(weights: FloatArray, measured: np.ndarray, n: int) -> IntArray:
    """Return each unit's `n` genes of largest weight among those measured, (units, n); `weights` (units, genes)."""
    return np.argsort(-np.where(measured, weights, -np.inf), axis=1, kind="stable")[:, :n]


def stand_ins(expression: FloatArray, measured: np.ndarray, *, matched: bool, rng: np.random.Generator) -> IntArray:
    """Return a gene to take in place of each gene, (genes,), no two genes with the same stand-in.

    Parameters
    ----------
    expression
        The genes' mean expression.
    measured
        Genes that the cells have; the others stand for themselves.
    matched
        Whether a stand-in comes from genes of like mean expression, or from all.
    """
    places = np.flatnonzero(measured)
    by_expression = places[np.argsort(expression[places], kind="stable")]
    n_bins = min(N_BINS, max(1, len(places) // 10)) if matched else 1
    chosen = np.arange(len(expression))
    for genes in np.array_split(by_expression, n_bins):
        chosen[genes] = rng.permutation(genes)
    return chosen


def curve_gains(
    weights: Weights, cells: FloatArray, *, baseline: FloatArray, attributed: FloatArray, n_draws: int, rng: RNGLike
) -> pd.DataFrame:
    """Return one row a unit: how much sooner its leading genes move it than other genes do.

    Curves are shares of the distance between cell and baseline, summed over cells, so that they start at 1 and end at
    0; a gain is the area between the curve of other genes and that of the leading genes, the mean over `SIZES`. Below 0
    the leading genes do worse.

    Parameters
    ----------
    weights, cells, baseline
        As in `gene_curves`.
    attributed
        What ranks the genes, (units, genes), none below 0.
    n_draws
        Draws of other genes.

    Returns
    -------
    DataFrame
        ``deletion_gain`` and ``insertion_gain``, the mean over draws of genes of like expression; ``…_low`` and
        ``…_high``, between which lie 95 % of the gains over single draws, each on a bootstrap of the cells: leading
        genes that are no better than a draw come out above 0 in one case of 20 at most, given 20 draws;
        ``…_random``, the mean gain over draws of any genes.
    """
    generator = random_generator(rng)
    measured = (cells != baseline).any(axis=0)
    sizes = tuple(size for size in SIZES if size <= measured.sum() // 2)
    if not sizes:
        msg = "Deletion curves need at least two genes in which the cells differ from the baseline."
        raise InputError(msg)
    order = ranked_genes(attributed, measured, sizes[-1])
    leading = gene_curves(weights, cells, baseline=baseline, order=order, sizes=sizes)
    expression = cells.mean(axis=0)
    gains: dict[str, FloatArray] = {}
    for matched in (True, False):
        others = [stand_ins(expression, measured, matched=matched, rng=generator) for _ in range(n_draws)]
        drawn = [gene_curves(weights, cells, baseline=baseline, order=other[order], sizes=sizes) for other in others]
        for name in ("deletion", "insertion"):
            areas = np.array([getattr(c, name).mean(axis=2) for c in drawn]) - getattr(leading, name).mean(axis=2)
            if not matched:
                gains[f"{name}_random"] = _share(areas.mean(axis=0), leading.distance)
                continue
            gains[f"{name}_gain"] = _share(areas.mean(axis=0), leading.distance)
            bounds = _interval(areas, leading.distance, rng=generator)
            gains[f"{name}_low"], gains[f"{name}_high"] = bounds
    return pd.DataFrame(gains)


def _activation(encoder: Encoder, hidden: FloatArray, unit: int) -> FloatArray:
    """Return one unit's activation, (cells,), from the hidden layer's input, (cells, hidden)."""
    latent = softplus(hidden, beta=encoder.hidden_beta) @ encoder.latent_weight[unit] + encoder.latent_bias[unit]
    return softplus(latent, beta=encoder.latent_beta)


def _share(area: FloatArray, distance: FloatArray) -> FloatArray:
    """Return the sum of areas over cells as a share of their distance, (units,); 0 for a unit that never moves."""
    total = distance.sum(axis=1)
    return np.asarray(np.divide(area.sum(axis=1), total, out=np.zeros(len(total)), where=total > 0))


def _interval(areas: FloatArray, distance: FloatArray, *, rng: np.random.Generator) -> FloatArray:
    """Return the 2.5th and the 97.5th percentile of gains over single draws, (2, units); areas (draws, units, cells).

    A mean over draws would hide how much one choice of genes differs from another, and the leading genes are one.
    """
    n_draws, _, n_cells = areas.shape
    gains = []
    for i in range(N_BOOTSTRAPS):
        cells = rng.integers(n_cells, size=n_cells)
        gains.append(_share(areas[i % n_draws][:, cells], distance[:, cells]))
    return np.asarray(np.percentile(gains, [2.5, 97.5], axis=0))
