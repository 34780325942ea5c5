"""Why cells were given their labels: the genes that speak for a label against the next likely one, exactly."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from scprism._check import closest
from scprism.errors import InputError
from scprism.label.centroids import TEMPERATURE
from scprism.label.expression_rule import WEIGHTS, ExpressionRule
from scprism.label.reference import LabelReference
from scprism.label.stacking import ranked
from scprism.query.view import Query, rows_of
from scprism.types import FloatArray

__all__ = ["N_GENES", "reasons"]

N_GENES = 20
"""Genes that are shown for each label or cell: those that count most, for or against."""
MOST_CELLS = 1000
"""Cells that the reasons for a label are the mean of, at most."""


def reasons(query: Query, reference: LabelReference, *, names: pd.Index, cells: Sequence[str] = ()) -> pd.DataFrame:
    """Return the genes that speak for each label, and for the labels of some cells, against the next likely label.

    Two of the three methods that decide a label are sums over genes, so that each gene's part is exact. What a gene
    adds is relative to the mean cell of the reference: a marker that the cell lacks speaks against.

    Parameters
    ----------
    query
        The cells, in the genes of the reference's recipe.
    reference
        What was learned from labelled cells by their expression.
    names
        Of the query cells.
    cells
        Names of cells that get reasons of their own, beside those of all cells of a label.

    Returns
    -------
    A row a label (or cell) and gene, those that count most first: ``cell`` (empty for all cells of the label),
    ``label``, ``against`` (the next likely label; for a label the commonest), ``n_cells``, ``gene``, ``expression``
    (mean log1p counts per 10,000), ``regressions`` and ``centroids`` (what the gene adds to the log odds of the label
    against the other by each method).

    Raises
    ------
    InputError
        If labels are told by the latent, or there is no cell of a name.
    """
    rule = reference.rule.seen_by(query)
    if not isinstance(rule, ExpressionRule):
        msg = "These labels are told by the network's latent, where no gene has a part of its own. Use model.explain."
        raise InputError(msg)
    wanted = names.get_indexer(pd.Index(list(cells)))
    if (wanted < 0).any():
        unknown = next(cell for cell, row in zip(cells, wanted, strict=True) if row < 0)
        raise InputError(f"There is no cell {unknown!r} among the cells to label. Closest: {closest(unknown, names)}.")
    evidence = np.concatenate([rule.evidence(chunk).log_probabilities for chunk in query.chunks()])
    best, parts = ranked(evidence), []
    for label in np.unique(best.label):
        own = np.flatnonzero(best.label == label)
        against = int(np.bincount(best.runner_up[own]).argmax())
        own = own[best.runner_up[own] == against]
        some = own[np.unique(np.linspace(0, len(own) - 1, MOST_CELLS).astype(int))]
        parts.append(_genes(rows_of(query, some), rule, int(label), against, reference))
    for cell, row in zip(cells, wanted, strict=True):
        one = _genes(rows_of(query, np.array([row])), rule, int(best.label[row]), int(best.runner_up[row]), reference)
        parts.append(one.assign(cell=cell))
    return pd.concat(parts, ignore_index=True)


def _genes(query: Query, rule: ExpressionRule, label: int, against: int, reference: LabelReference) -> pd.DataFrame:
    """Return the genes that count most for a label against another in a few cells, on average."""
    inputs = sparse.vstack([chunk.inputs for chunk in query.chunks()], format="csr")
    values = inputs.toarray() if rule.fill is None else inputs.toarray() + rule.fill
    apart = values - reference.recipe.mean
    slopes = sum(
        weight * (regression.weights[:, label] - regression.weights[:, against])
        for weight, regression in zip(WEIGHTS, rule.regressions, strict=False)
    )
    regressions = apart.mean(axis=0) * slopes
    coefficients, scale = _centroid_slopes(rule, values @ rule.loadings - rule.centre, label, against)
    centroids = (apart * scale[:, None]).mean(axis=0) * coefficients
    order = np.argsort(-np.abs(regressions + centroids), kind="stable")[:N_GENES]
    return pd.DataFrame(
        {
            "cell": "",
            "label": reference.names[label],
            "against": reference.names[against],
            "n_cells": len(values),
            "gene": np.asarray(reference.recipe.genes, dtype=object)[order],
            "expression": values.mean(axis=0)[order],
            "regressions": regressions[order],
            "centroids": centroids[order],
        }
    )


def _centroid_slopes(
    rule: ExpressionRule, points: FloatArray, label: int, against: int
) -> tuple[FloatArray, FloatArray]:
    """Return by how much a gene moves the log odds of two centroids, (genes,), times the scale of each cell, (cells,).

    The log odds are a difference of cosines over the temperature; with a cell's three lengths given, of its components,
    of these whitened, and of their distance from the middle of the centroids, that is a sum over genes.
    """
    space, centroids = rule.classifier.space, rule.classifier.centroids
    slopes, scale, current = rule.loadings.astype(np.float64), np.ones(len(points)), points.astype(np.float64)
    if space.scaling is not None:
        slopes, current = slopes / space.scaling.spread, (current - space.scaling.mean) / space.scaling.spread
    if space.metric == "cosine":
        scale = scale / _lengths(current)
        current = current / _lengths(current)[:, None]
    if space.whitening is not None:
        slopes, current = slopes @ space.whitening.turn, (current - space.whitening.middle) @ space.whitening.turn
        if space.metric == "cosine":
            scale = scale / _lengths(current)
            current = current / _lengths(current)[:, None]
    middle = np.nanmean(centroids, axis=0)
    directions = [(centroids[code] - middle) / np.linalg.norm(centroids[code] - middle) for code in (label, against)]
    scale = scale / _lengths(current - middle)
    return slopes @ (directions[0] - directions[1]) / TEMPERATURE, scale


def _lengths(points: FloatArray) -> FloatArray:
    lengths: FloatArray = np.maximum(np.linalg.norm(points, axis=1), 1e-12)
    return lengths
