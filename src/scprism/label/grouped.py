"""One label for a group of cells, and none for cells of low confidence."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import closest
from scprism.errors import InputError
from scprism.types import FloatArray

__all__ = ["UNASSIGNED", "check_threshold", "groups_of", "one_label_a_group", "unassigned_below"]

UNASSIGNED = "unassigned"
RESOLUTION = 3.0
"""Of the clusters by Leiden: many small ones, so that few hold cells of two types."""


def check_threshold(threshold: float | None) -> None:
    """Raise `InputError` if a threshold is no probability."""
    if threshold is not None and not 0 <= threshold <= 1:
        msg = f"`threshold` is a probability, between 0 and 1, got {threshold!r}. Try threshold=0.5."
        raise InputError(msg)


def groups_of(over: str, cells: AnnData, *, latent: Callable[[], FloatArray]) -> "pd.Series[str]":
    """Return the group of each cell: a column of ``cells.obs``, or clusters of the latent for ``"leiden"``.

    Raises
    ------
    InputError
        If there is no such column, a cell has no group, or the library that finds clusters is not there.
    """
    if over in cells.obs:
        groups = cells.obs[over]
        if groups.isna().any():
            msg = f"Each cell needs a group for `over`, and {int(groups.isna().sum()):,} have none in {over!r}."
            raise InputError(f"{msg} Name these, or choose another column.")
        named: pd.Series[str] = groups.astype(str)
        return named
    if over != "leiden":
        msg = f"`over` must be a column of the cells' `.obs`, or 'leiden', got {over!r}. Closest: "
        raise InputError(f"{msg}{closest(over, [*cells.obs, 'leiden'])}.")
    return _clusters(latent(), cells.obs_names)


def one_label_a_group(table: pd.DataFrame, probabilities: pd.DataFrame, groups: "pd.Series[str]") -> pd.DataFrame:
    """Return a table of labels in which each group of cells has one: that of the highest mean probability.

    The column ``cell_label`` keeps each cell's own label; confidence, margin and runner-up stay those of the cell.
    """
    means = probabilities.groupby(groups.to_numpy()).mean()
    best = means.idxmax(axis=1)
    return table.assign(cell_label=table["label"], label=groups.map(best).to_numpy(dtype=object))


def unassigned_below(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Return a table of labels in which cells of lower confidence are called ``"unassigned"``."""
    return table.assign(label=table["label"].where(table["confidence"] >= threshold, UNASSIGNED))


def _clusters(latent: FloatArray, names: pd.Index) -> "pd.Series[str]":
    try:
        import igraph  # noqa: F401  (scanpy's Leiden needs it)
    except ImportError as error:
        msg = "Clusters by over='leiden' (--over leiden) need the library igraph: pip install igraph. "
        raise InputError(f"{msg}Or name a column of the cells' `.obs` that holds clusters.") from error
    import scanpy

    cells = AnnData(np.asarray(latent))
    scanpy.pp.neighbors(cells, use_rep="X")
    scanpy.tl.leiden(cells, resolution=RESOLUTION, flavor="igraph", n_iterations=2, directed=False)
    return pd.Series(cells.obs["leiden"].astype(str).to_numpy(), index=names)
