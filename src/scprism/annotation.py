"""The only code that writes into a user's AnnData, and the keys it writes."""

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import some
from scprism._warnings import warnings_of
from scprism.errors import InputError
from scprism.label.result import Labels
from scprism.query.files import ACTIVITY_KEY, EMBEDDING_KEY
from scprism.types import FloatArray

__all__ = ["LABEL_COLUMNS", "UNITS_KEY", "WARNINGS_KEY", "annotate"]

UNITS_KEY = "prism_units"
WARNINGS_KEY = "prism_warnings"
LABEL_COLUMNS = {
    "label": "prism_label",
    "confidence": "prism_confidence",
    "distance": "prism_distance",
    "novel": "prism_novel",
}


def annotate(
    cells: AnnData,
    *,
    embedding: FloatArray | None = None,
    labels: Labels | pd.DataFrame | None = None,
    activity: pd.DataFrame | None = None,
    units: pd.DataFrame | None = None,
) -> None:
    """Write an embedding, labels and activities into `cells`, where scanpy finds them.

    Parameters
    ----------
    cells
        The cells that the results belong to, in the same order.
    embedding
        Latent, (cells, latent values), for ``cells.obsm["X_prism"]``; then
        `scanpy.pp.neighbors(cells, use_rep="X_prism")`.
    labels
        The result of `Model.label`, or its table, for ``obs["prism_label"]`` (categorical),
        ``obs["prism_confidence"]``, ``obs["prism_distance"]`` and ``obs["prism_novel"]`` (categorical, so that plots
        colour it by value).
        Its warnings, which the table alone lacks, go to ``uns["prism_warnings"]``.
    activity
        The result of `Model.activity`: each unit becomes a column of ``obs`` under its name, for
        ``scanpy.pl.umap(cells, color="U01")``, and all of them ``obsm["X_prism_units"]``.
    units
        `Model.units`, for ``uns["prism_units"]``.

    Raises
    ------
    InputError
        If a result is not of these cells, or ``obs`` has columns of the units' names that are not from here; nothing is
        written then.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> annotate(cells, embedding=model.embed(cells), activity=model.activity(cells))
    >>> cells.obsm["X_prism"].shape
    (300, 50)
    >>> set(model.units.index) <= set(cells.obs)
    True
    """
    if embedding is not None and len(embedding) != cells.n_obs:
        msg = f"`embedding` must have one row a cell: {cells.n_obs:,} cells, got {len(embedding):,} rows."
        raise InputError(msg)
    table = labels.table if isinstance(labels, Labels) else labels
    if table is not None and not set(LABEL_COLUMNS) <= set(getattr(table, "columns", ())):
        msg = f"`labels` must be what `Model.label` returns, or its table, columns {some(LABEL_COLUMNS)}."
        raise InputError(msg)
    if table is not None and not table.index.equals(pd.Index(cells.obs_names)):
        msg = "`labels` must be the labels of these cells in this order: its index differs from their `.obs_names`."
        raise InputError(msg)
    if activity is not None and not activity.index.equals(pd.Index(cells.obs_names)):
        msg = "`activity` must be of these cells in this order: its index differs from their `.obs_names`."
        raise InputError(f"{msg} Give the result of model.activity(cells).")
    taken = [] if activity is None else [str(unit) for unit in activity.columns if str(unit) in cells.obs]
    if taken and ACTIVITY_KEY not in cells.obsm:
        msg = f"`activity` would write over the columns {some(taken)} of `cells.obs`. Rename or delete them first."
        raise InputError(msg)
    if activity is not None:
        for unit in activity.columns:
            cells.obs[str(unit)] = activity[unit].to_numpy()
        cells.obsm[ACTIVITY_KEY] = activity.to_numpy(dtype=np.float32)
    if units is not None:
        cells.uns[UNITS_KEY] = units.reset_index()
    if embedding is not None:
        cells.obsm[EMBEDDING_KEY] = np.asarray(embedding, dtype=np.float32)
    if table is not None:
        for column, key in LABEL_COLUMNS.items():
            is_category = column in ("label", "novel")
            values = table[column].astype(str) if column == "novel" else table[column]
            cells.obs[key] = pd.Categorical(values) if is_category else values.to_numpy()
        cells.uns[WARNINGS_KEY] = np.array(warnings_of(labels), dtype=object)
