"""Rankings in the order in which a gene set is walked through."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scprism._check import some
from scprism.errors import InputError
from scprism.types import FloatArray

__all__ = ["Rankings", "rank_genes"]

# Keeps a set whose members all score 0 walkable: its hits then count equally, as they do at weight 0.
LEAST_WEIGHT = 1e-20


@dataclass(frozen=True)
class Rankings:
    """Rankings of the same genes; a *place* is a gene's position in one ranking, 0 for the highest score.

    Attributes
    ----------
    names
        One name a ranking.
    genes
        Gene names in alphabetical order; a gene's number is its position here.
    gene_at, place_of
        Gene number at each place, and place of each gene number; int32 (rankings, genes).
    weights
        ``|score| ** weight`` at each place, the largest of a ranking 1; float64 (rankings, genes).
    flat
        Rankings in which all genes score the same, so that there is no order to test, (rankings,).
    """

    names: pd.Index
    genes: NDArray[np.str_]
    gene_at: NDArray[np.int32]
    place_of: NDArray[np.int32]
    weights: NDArray[np.float64]
    flat: NDArray[np.bool_]


def rank_genes(scores: pd.DataFrame, *, weight: float) -> Rankings:
    """Return the rankings of a table of rankings by genes, from the highest score to the lowest.

    Genes that score the same stand in alphabetical order, so nothing depends on the order of the columns.
    """
    _check_scores(scores)
    genes = np.asarray([str(gene) for gene in scores.columns])
    by_name = np.argsort(genes, kind="stable")
    values = scores.to_numpy(dtype=np.float64)[:, by_name]
    gene_at = np.argsort(-values, axis=1, kind="stable").astype(np.int32)
    place_of = np.empty_like(gene_at)
    np.put_along_axis(place_of, gene_at, np.arange(values.shape[1], dtype=np.int32)[None, :], axis=1)
    return Rankings(
        names=scores.index,
        genes=genes[by_name],
        gene_at=gene_at,
        place_of=place_of,
        weights=_weights(np.take_along_axis(values, gene_at, axis=1), weight=weight),
        flat=np.ptp(values, axis=1) == 0,
    )


def _weights(ordered: FloatArray, *, weight: float) -> NDArray[np.float64]:
    """Return ``|score| ** weight`` with each row's largest at 1, so that a factor on the scores changes nothing."""
    size = np.abs(ordered)
    largest = size.max(axis=1, keepdims=True)
    np.divide(size, largest, out=size, where=largest > 0)
    np.power(size, weight, out=size)
    return np.maximum(size, LEAST_WEIGHT, out=size)


def _check_scores(scores: pd.DataFrame) -> None:
    if not isinstance(scores, pd.DataFrame) or scores.shape[0] == 0 or scores.shape[1] < 3:
        msg = "`scores` must be a DataFrame of rankings by genes with at least one row and three genes, got "
        raise InputError(msg + (f"shape {scores.shape}." if isinstance(scores, pd.DataFrame) else f"{type(scores)}."))
    for axis, names in (("rankings (rows)", scores.index), ("genes (columns)", scores.columns.astype(str))):
        twice = names[names.duplicated()].unique()
        if len(twice):
            msg = f"The {axis} of `scores` must have distinct names; more than once: {some(map(str, twice))}."
            raise InputError(msg)
    wrong = [str(name) for name, kind in zip(scores.columns, scores.dtypes, strict=True) if kind.kind not in "fiub"]
    if wrong:
        msg = f"`scores` must hold numbers only; these columns do not: {some(wrong)}."
        raise InputError(msg)
    bad = ~np.isfinite(scores.to_numpy(dtype=np.float64))
    if bad.any():
        rows = [str(name) for name in scores.index[bad.any(axis=1)]]
        msg = (
            f"`scores` has {bad.sum():,} missing or infinite values, in the rankings {some(rows)}. "
            "Drop those genes or rankings."
        )
        raise InputError(msg)
