"""Embeddings on disk, `embedding.h5ad`, and the keys under which an AnnData has them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._files import STORE_SUFFIXES, TABLE_SUFFIXES, check_suffix, write_table
from scprism._stores import write_anndata
from scprism.types import FloatArray, PathLike

__all__ = ["ACTIVITY_KEY", "EMBEDDING_KEY", "EMBEDDING_SUFFIXES", "write_embedding"]

EMBEDDING_KEY = "X_prism"
ACTIVITY_KEY = "X_prism_units"
EMBEDDING_SUFFIXES = (*STORE_SUFFIXES, *TABLE_SUFFIXES)


def write_embedding(
    path: PathLike,
    embedding: FloatArray,
    *,
    cells: AnnData,
    fingerprint: str,
    activity: pd.DataFrame | None = None,
    messages: Sequence[str] = (),
) -> None:
    """Write a latent: with the cells' ``obs`` as h5ad or zarr, or alone as a table, as the name says.

    An AnnData has the latent in ``obsm["X_prism"]`` and no expression; a table has the columns ``cell``,
    ``latent_0``, ``latent_1``, … of the latent, a column for each unit of `activity`, and ``PATH.json`` beside it with
    what an AnnData has in ``uns["scprism"]``.

    Parameters
    ----------
    path
        A name that ends in ``.h5ad``, ``.zarr``, ``.csv``, ``.tsv`` or ``.parquet``.
    embedding
        Latent, (cells, latent values).
    cells
        The cells it belongs to.
    fingerprint
        Of the model's weights.
    activity
        Of the units, cells × units, for ``obsm["X_prism_units"]`` and, by name, ``uns["scprism"]["units"]``.
    messages
        Warnings that came up on the way; kept as ``uns["scprism"]["warnings"]``.

    Raises
    ------
    InputError
        If the name ends otherwise.
    """
    record: dict[str, Any] = {"fingerprint": fingerprint}
    if check_suffix(path, EMBEDDING_SUFFIXES) in TABLE_SUFFIXES:
        columns = [f"latent_{number}" for number in range(embedding.shape[1])]
        table = pd.DataFrame(embedding, columns=columns)
        if activity is not None:
            table[activity.columns] = activity.to_numpy()
        table.insert(0, "cell", np.asarray(cells.obs_names, dtype=object))
        write_table(table, path, record={**record, "warnings": list(messages)})
        return
    values = np.zeros((len(embedding), 0), dtype=np.float32)
    names = pd.DataFrame(index=pd.Index([], dtype=object))
    result = AnnData(X=values, obs=cells.obs, var=names, obsm={EMBEDDING_KEY: embedding})
    if activity is not None:
        result.obsm[ACTIVITY_KEY] = activity.to_numpy(dtype=np.float32)
        record["units"] = np.array(activity.columns, dtype=object)
    result.uns["scprism"] = {**record, "warnings": np.array(list(messages), dtype=object)}
    write_anndata(result, path)
