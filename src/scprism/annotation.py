"""The only code that writes into an AnnData, and the keys it writes."""

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import some
from scprism.errors import InputError
from scprism.types import FloatArray

__all__ = ["EMBEDDING_KEY", "LABEL_COLUMNS", "WARNINGS_KEY", "annotate"]

EMBEDDING_KEY = "X_prism"
WARNINGS_KEY = "prism_warnings"
LABEL_COLUMNS = {
    "label": "prism_label",
    "confidence": "prism_confidence",
    "distance": "prism_distance",
    "novel": "prism_novel",
}


def annotate(cells: AnnData, *, embedding: FloatArray | None = None, labels: pd.DataFrame | None = None) -> None:
    """Write an embedding and labels into `cells`, where scanpy finds them.

    Parameters
    ----------
    cells
        The cells that the results belong to, in the same order.
    embedding
        Latent values (cells, units), for ``cells.obsm["X_prism"]``: `scanpy.pp.neighbors(cells, use_rep="X_prism")`.
    labels
        The result of `Model.label`, for ``obs["prism_label"]`` (categorical), ``obs["prism_confidence"]``,
        ``obs["prism_distance"]`` and ``obs["prism_novel"]`` (categorical, so that plots colour it by value).
        Its warnings go to ``uns["prism_warnings"]``.

    Raises
    ------
    InputError
        If a result is not of these cells; nothing is written then.
    """
    if embedding is not None and len(embedding) != cells.n_obs:
        msg = f"`embedding` must have one row a cell: {cells.n_obs:,} cells, got {len(embedding):,} rows."
        raise InputError(msg)
    if labels is not None and not set(LABEL_COLUMNS) <= set(getattr(labels, "columns", ())):
        msg = f"`labels` must be the table that `Model.label` returns, columns {some(LABEL_COLUMNS)}."
        raise InputError(msg)
    if labels is not None and not labels.index.equals(pd.Index(cells.obs_names)):
        msg = "`labels` must be the labels of these cells in this order: its index differs from `cells.obs_names`."
        raise InputError(msg)
    if embedding is not None:
        cells.obsm[EMBEDDING_KEY] = np.asarray(embedding, dtype=np.float32)
    if labels is not None:
        for column, key in LABEL_COLUMNS.items():
            is_category = column in ("label", "novel")
            values = labels[column].astype(str) if column == "novel" else labels[column]
            cells.obs[key] = pd.Categorical(values) if is_category else values.to_numpy()
        cells.uns[WARNINGS_KEY] = np.array(labels.attrs.get("warnings", ()), dtype=object)
