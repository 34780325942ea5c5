"""Conditions compared by the activity of units."""

from typing import Any

import pandas as pd
from anndata import AnnData

from scprism._check import closest
from scprism._warnings import keeps_warnings, note, warn
from scprism.errors import InputError
from scprism.estimator.model import Model
from scprism.estimator.view import View
from scprism.units.comparison import Comparison, compare_activity

__all__ = ["cell_column", "compare"]


@keeps_warnings
def compare(
    model: Model,
    cells: AnnData | View,
    *,
    groupby: str,
    reference: str,
    replicate: str | None = None,
    within: str | None = None,
) -> Comparison:
    """Return which units are more or less active in each group of cells than in the reference group.

    Parameters
    ----------
    model
        A trained model.
    cells
        Raw counts, or a view of them (`Model.view`, which takes their layer and organism).
    groupby
        A column of ``cells.obs``, such as the condition.
    reference
        The group that the others are compared with, such as ``"control"``.
    replicate
        The column of samples or donors. Their means are compared then, by a t-test, paired where every sample has cells
        in both groups. Without it cells count as replicates, which makes p-values far too small, and a warning says so.
    within
        A column of labels: the comparison is made within each label too.

    Raises
    ------
    InputError
        If there is no such column or group.

    Examples
    --------
    >>> from scprism import Prism, compare, make_cells
    >>> cells = make_cells(rng=0)
    >>> cells.obs["day"] = ["first", "second"] * 150
    >>> cells.obs["donor"] = ["a", "b", "c", "d", "e", "f"] * 50
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> result = compare(model, cells, groupby="day", reference="first", replicate="donor")
    >>> result.table["group"].unique().tolist()
    ['second']
    """
    view = model.view(cells)
    note(view.warnings)
    result = compare_activity(
        view.activity(),
        cell_column(view.cells, "groupby", groupby),
        reference=str(reference),
        replicates=None if replicate is None else cell_column(view.cells, "replicate", replicate),
        within=None if within is None else cell_column(view.cells, "within", within),
    )
    for message in result.warnings:
        warn(message)
    columns = {"groupby": groupby, "replicate": replicate, "within": within}
    return Comparison(result.table, {**columns, **result.settings, "fingerprint": model.fingerprint}, result.warnings)


def cell_column(cells: AnnData, argument: str, column: str) -> "pd.Series[Any]":
    """Return a column of the cells' table with its values as text, categories in their order.

    Raises
    ------
    InputError
        If there is no such column; `argument` is what the message calls it.
    """
    obs = cells.obs
    if column not in obs:
        msg = f"`{argument}` must be a column of `.obs`, got {column!r}. Closest: {closest(column, obs)}."
        raise InputError(msg)
    values: pd.Series[Any] = obs[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        named: pd.Series[Any] = values.cat.rename_categories([str(name) for name in values.cat.categories])
        return named
    return values.map(str, na_action="ignore")
