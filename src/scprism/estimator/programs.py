"""A query through the units of a model: their activity in each cell, and which genes make it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism._check import closest
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.explain.explanation import ALL, Explanation
from scprism.explain.grouping import group_codes
from scprism.label.labels import labels_as_text
from scprism.query.view import Query
from scprism.types import FloatArray
from scprism.units.attribution import sum_attributions
from scprism.units.inference import activity_through, per_ten_thousand, unit_system, warn_of_lacking, why
from scprism.units.named import NamedUnits
from scprism.units.record import Units

__all__ = ["cell_labels", "cell_parts", "explain_programs", "program_activity", "program_chunks"]

EXACT = "exact"
"""The name of the method: among cells with the same active units, activities are linear in the expression."""
BASELINE = "zero expression"


def program_activity(query: Query, units: Units) -> FloatArray:
    """Return the activity of each unit in each cell of a query, float32 (cells, units)."""
    loadings, gram = unit_system(units, query.alignment.gene_map.present)
    parts = [activity_through(loadings, gram, values) for _, values in program_chunks(query)]
    return np.concatenate(parts) if parts else np.zeros((0, len(units.names)), dtype=np.float32)


def explain_programs(
    query: Query, cells: AnnData, named: NamedUnits, *, groupby: "str | pd.Series[str] | None", fingerprint: str
) -> Explanation:
    """Return what each gene adds to the activity of each unit, on average over the cells of each group and over all.

    Parameters
    ----------
    query, cells
        The query as the model sees it, and as the user gave it.
    named
        The model's units.
    groupby
        As in `scprism.explain.grouping.group_codes`.
    fingerprint
        Of the model's weights.
    """
    warn_of_lacking(named.units, query.alignment.gene_map.present)
    groups, codes = group_codes(cells, groupby)
    signed, absolute, n_cells, gap = sum_attributions(
        named.units,
        ((values, codes[rows]) for rows, values in program_chunks(query)),
        n_groups=len(groups),
        present=query.alignment.gene_map.present,
    )
    counts = np.append(n_cells[:-1], n_cells.sum())
    is_kept = counts > 0
    if not is_kept.all():
        empty = ", ".join(repr(name) for name, kept in zip(groups, is_kept, strict=False) if not kept)
        warn(f"No cell is in group {empty}; left out of the explanation.")
    divisor = np.maximum(counts, 1)[:, None, None]
    means = [
        (np.concatenate([sums[:-1], sums.sum(axis=0, keepdims=True)]) / divisor).astype(np.float32)[is_kept]
        for sums in (signed, absolute)
    ]
    return Explanation(
        signed=means[0],
        absolute=means[1],
        groups=tuple(np.append(groups, ALL)[is_kept].tolist()),
        units=named.units.names,
        genes=named.genes,
        n_cells=counts[is_kept],
        method=EXACT,
        completeness_error=gap,
        baseline=BASELINE,
        fingerprint=fingerprint,
    )


def cell_parts(query: Query, named: NamedUnits, cell: int) -> FloatArray:
    """Return how much of one cell's activities comes from each gene, float64 (units, genes)."""
    alone = replace(query, matrix=query.matrix[cell : cell + 1])
    _, values = next(program_chunks(alone))
    return why(named.units, values, query.alignment.gene_map.present)


def cell_labels(cells: AnnData, labels: "str | pd.Series[str]") -> "pd.Series[str]":
    """Return a label for each cell as text, missing where it has none.

    Raises
    ------
    InputError
        If there is no such column, or the labels are not as many as the cells.
    """
    if isinstance(labels, str) and labels not in cells.obs:
        msg = f"`labels` must be a column of `.obs`, got {labels!r}. Closest: {closest(labels, cells.obs)}."
        raise InputError(msg)
    given: pd.Series[str] = cells.obs[labels] if isinstance(labels, str) else labels
    if len(given) != cells.n_obs:
        msg = f"`labels` must be one a cell, {cells.n_obs:,}, got {len(given):,}."
        raise InputError(msg)
    return labels_as_text(given)


def program_chunks(query: Query) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """Yield log1p counts per 10,000 of a query's cells, CSR (cells, genes), with their rows."""
    for chunk in query.chunks():
        yield chunk.rows, per_ten_thousand(chunk.inputs, target_sum=query.recipe.target_sum)
