"""Explaining a query: which group each cell is in, and what the attributions are relative to."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism._check import closest, some
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.explain.attribution import MEAN_CELL, Attribution, baseline_row
from scprism.explain.explanation import ALL, Explanation
from scprism.explain.groups import explain_groups
from scprism.model.config import Config
from scprism.model.weights import Weights
from scprism.query.view import Query
from scprism.types import AttributionMethod, Baseline, FloatArray, IntArray

__all__ = ["asked_attribution", "explain_query", "group_codes"]

N_BASELINES = 100
"""Cells that stand for the training data in expected gradients."""
MAX_GROUPS = 300
"""With the usual 50 units and 4,000 genes, this many groups take a gigabyte."""
MAX_GROUPS_OF_FRACTIONS = 50
"""Numbers with fractions are doses or times if they are few, and otherwise a continuous value."""
NO_GROUP = frozenset({"", "na", "nan", "none", "<na>", "nat"})
"""Text, in small letters, that stands for a missing value."""


def group_codes(cells: AnnData, groupby: "str | pd.Series[str] | None") -> tuple[tuple[str, ...], IntArray]:
    """Return the groups' names in order, and each cell's number among them, −1 for a cell without a group.

    Parameters
    ----------
    cells
        The cells.
    groupby
        A column of ``cells.obs``, a Series of groups indexed by cell, or None for no groups.

    Raises
    ------
    InputError
        If there is no such column, the Series is not of these cells, there are more groups than `MAX_GROUPS`, or a
        group is called "all", which is all cells.

    Warns
    -----
    PrismWarning
        If text such as "nan" was taken for a missing group.

    Examples
    --------
    >>> cells = AnnData(np.zeros((3, 1)), obs=pd.DataFrame({"cluster": [10.0, 9.0, np.nan]}, index=list("abc")))
    >>> group_codes(cells, "cluster")
    (('9', '10'), array([ 1,  0, -1]))
    """
    if groupby is None:
        return (), np.full(cells.n_obs, -1, dtype=np.int64)
    if isinstance(groupby, str):
        if groupby not in cells.obs:
            msg = f"`groupby` must be a column of `.obs`, got {groupby!r}. Closest: {closest(groupby, cells.obs)}."
            raise InputError(msg)
        values = cells.obs[groupby]
    else:
        given: object = groupby  # users pass arrays and tables too
        if not isinstance(given, pd.Series):
            kind = type(given).__name__
            msg = f"`groupby` must be a column of `.obs` or a Series of groups, such as calls['label'], got {kind}."
            raise InputError(msg)
        values = groupby
        if not values.index.equals(pd.Index(cells.obs_names)):
            msg = (
                "`groupby` must hold one group a cell, in the order of the cells: its index "
                f"({some(values.index, limit=2)}) differs from `.obs_names` ({some(cells.obs_names, limit=2)})."
            )
            raise InputError(msg)
    names = _ordered_groups(values)
    is_continuous = pd.api.types.is_float_dtype(values.dtype) and any("." in name for name in names)
    limit = MAX_GROUPS_OF_FRACTIONS if is_continuous else MAX_GROUPS
    if len(names) > limit:
        msg = (
            f"`groupby` gives {len(names):,} groups of {cells.n_obs:,} cells ({some(names, limit=3)}), and each takes "
            f"the memory of a unit × gene table; at most {limit} are explained at once. Choose a column of labels "
            "or clusters. A continuous value can be cut into a few groups first: pandas.qcut(values, 5)."
        )
        raise InputError(msg)
    if ALL in names:
        msg = f"`groupby` has a group {ALL!r}, which is how all cells together are called. Rename that group."
        raise InputError(msg)
    codes = pd.Categorical(values.astype(object).map(_name_of), categories=names).codes.astype(np.int64)
    without = int(((codes < 0) & values.notna().to_numpy()).sum())
    if without:
        msg = (
            f"{without:,} of {cells.n_obs:,} cells have text such as 'NA', 'nan' or 'None' for a group: they count as "
            f"cells without a group, and for {ALL!r} only."
        )
        warn(msg)
    return tuple(names), codes


def _name_of(value: Any) -> str | None:
    """Return a group as text, None if it is missing."""
    if pd.isna(value):
        return None
    name = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return None if name.strip().lower() in NO_GROUP else name


def _ordered_groups(values: "pd.Series[str]") -> list[str]:
    """Return the groups that have cells: categories in their order, else numbers by size, else text by letters."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        used = values.cat.remove_unused_categories().cat.categories
        return list(dict.fromkeys(name for value in used if (name := _name_of(value)) is not None))
    names = {name for value in values.unique() if (name := _name_of(value)) is not None}
    try:
        return sorted(names, key=lambda name: (float(name), name))
    except ValueError:
        return sorted(names)


def explain_query(
    query: Query,
    cells: AnnData,
    *,
    weights: Weights,
    groupby: "str | pd.Series[str] | None",
    attribution: Attribution,
) -> Explanation:
    """Return which genes drive each unit, in each group of a query's cells and in all of them.

    Parameters
    ----------
    query, cells
        The query as the model sees it, and as the user gave it.
    weights
        The network.
    groupby
        As in `group_codes`.
    attribution
        From `asked_attribution`.

    Raises
    ------
    InputError
        If the groups cannot be had, or the directions are not of these units.
    """
    groups, codes = group_codes(cells, groupby)
    explanation = explain_groups(
        weights,
        ((chunk.inputs, codes[chunk.rows]) for chunk in query.chunks()),
        genes=query.recipe.genes,
        groups=groups,
        attribution=attribution,
        fill=query.fill,
    )
    if attribution.baseline is None or attribution.method == "expected_gradients":
        return explanation
    return replace(explanation, baseline=MEAN_CELL)


def asked_attribution(
    config: Config,
    *,
    method: AttributionMethod | None,
    baseline: Baseline | None,
    reference: Query | None,
    directions: pd.DataFrame | None,
    mean: FloatArray,
) -> Attribution:
    """Return the attribution that a user asked for; what is None comes from the model's settings.

    Parameters
    ----------
    config
        The model's settings.
    method, baseline
        Attribution method, and what it is relative to if it has one baseline: zero expression, or the mean of the cells
        that the model was trained on.
    reference
        For ``"expected_gradients"``: the data whose cells are the baselines.
    directions
        Directions to explain in place of single units: one row each, a column a unit, their names the index.
    mean
        The mean of the cells that the model was trained on, (genes,).

    Raises
    ------
    InputError
        If the directions are no DataFrame, or the method needs a reference and there is none.
    """
    chosen = method or config.attribution
    given: object = directions  # users pass arrays too
    if given is not None and not isinstance(given, pd.DataFrame):
        kind = type(given).__name__
        msg = f"`directions` must be a DataFrame, a row a direction and a column a unit, got {kind}."
        raise InputError(msg)
    row: FloatArray | sparse.csr_matrix | None = baseline_row(baseline or config.baseline, method=chosen, mean=mean)
    if chosen == "expected_gradients":
        if reference is None:
            msg = "method='expected_gradients' needs the cells that it averages over. Give them by `reference`."
            raise InputError(msg)
        row = _baseline_cells(reference)
    return Attribution(
        method=chosen,
        directions=None if directions is None else directions.to_numpy(np.float64),
        names=None if directions is None else tuple(directions.index.map(str)),
        baseline=row,
        first_unit_plain=config.first_unit_plain and chosen == "guided" and directions is None,
    )


def _baseline_cells(query: Query) -> sparse.csr_matrix:
    """Return up to 100 cells, evenly spaced over the data set, normalised, csr (cells, genes)."""
    n_cells = query.matrix.shape[0]
    chosen = np.unique(np.linspace(0, n_cells - 1, min(N_BASELINES, n_cells)).round().astype(np.int64))
    parts = []
    for chunk in query.chunks():
        rows = chosen[(chosen >= chunk.rows.start) & (chosen < chunk.rows.stop)] - chunk.rows.start
        parts.append(chunk.inputs[rows])
    baselines = sparse.vstack(parts, format="csr")
    return sparse.csr_matrix(baselines.toarray() + query.fill) if query.fill.any() else baselines
