"""Embeddings on disk, `embedding.h5ad`, and the keys under which an AnnData has them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData, read_h5ad
from anndata.io import read_zarr

from scprism._files import STORE_SUFFIXES, TABLE_SUFFIXES, check_suffix, write_table
from scprism._stores import write_anndata
from scprism.errors import BundleError
from scprism.types import FloatArray, PathLike

__all__ = ["ACTIVITY_KEY", "EMBEDDING_KEY", "EMBEDDING_SUFFIXES", "read_embedding", "write_embedding"]

EMBEDDING_KEY = "X_prism"
ACTIVITY_KEY = "X_prism_units"
EMBEDDING_SUFFIXES = (*STORE_SUFFIXES, *TABLE_SUFFIXES)


def write_embedding(
    path: PathLike,
    embedding: FloatArray,
    *,
    cells: AnnData,
    fingerprint: str,
    denoised: FloatArray | None = None,
    genes: tuple[str, ...] = (),
    adjusted: bool = False,
    activity: pd.DataFrame | None = None,
    messages: Sequence[str] = (),
) -> None:
    """Write a latent: with the cells' ``obs`` as h5ad or zarr, or alone as a table, as the name says.

    An AnnData has the latent in ``obsm["X_prism"]`` and denoised expression in ``X``; a table has the columns ``cell``,
    ``latent_0``, ``latent_1``, … of the latent, a column for each unit of `activity`, and ``PATH.json`` beside it with what
    an AnnData has in ``uns["scprism"]``.

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
    denoised, genes
        log1p counts per million (cells, genes), and these genes; without them ``X`` has no columns.
    adjusted
        Whether these values are fitted to the cells at hand; kept as ``uns["scprism"]["adjusted"]``.
    activity
        Of the units, cells × units, for ``obsm["X_prism_units"]`` and, by name, ``uns["scprism"]["units"]``.
    messages
        Warnings that came up on the way; kept as ``uns["scprism"]["warnings"]``.

    Raises
    ------
    InputError
        If the name ends otherwise, or is that of a table and there are denoised values, which need an AnnData.
    """
    record: dict[str, Any] = {"fingerprint": fingerprint, "scale": "log1p counts per million", "adjusted": adjusted}
    if check_suffix(path, EMBEDDING_SUFFIXES if denoised is None else STORE_SUFFIXES) in TABLE_SUFFIXES:
        columns = [f"latent_{number}" for number in range(embedding.shape[1])]
        table = pd.DataFrame(embedding, columns=columns)
        if activity is not None:
            table[activity.columns] = activity.to_numpy()
        table.insert(0, "cell", np.asarray(cells.obs_names, dtype=object))
        write_table(table, path, record={**record, "warnings": list(messages)})
        return
    values = np.zeros((len(embedding), 0), dtype=np.float32) if denoised is None else denoised
    names = pd.DataFrame(index=pd.Index(list(genes) if denoised is not None else [], dtype=object))
    result = AnnData(X=values, obs=cells.obs, var=names, obsm={EMBEDDING_KEY: embedding})
    if activity is not None:
        result.obsm[ACTIVITY_KEY] = activity.to_numpy(dtype=np.float32)
        record["units"] = np.array(activity.columns, dtype=object)
    result.uns["scprism"] = {**record, "warnings": np.array(list(messages), dtype=object)}
    write_anndata(result, path)


def read_embedding(path: PathLike) -> AnnData:
    """Return what `write_embedding` wrote as h5ad or zarr.

    Raises
    ------
    BundleError
        If the file is not such an embedding.
    """
    try:
        result = read_zarr(path) if Path(path).suffix.lower() == ".zarr" else read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        msg = f"{str(path)!r} cannot be read as an embedding ({error}). Give a file that `scprism embed --out` wrote."
        raise BundleError(msg) from error
    if EMBEDDING_KEY not in result.obsm:
        msg = f"{str(path)!r} has no `.obsm[{EMBEDDING_KEY!r}]`. Give a file that `scprism embed --out` wrote."
        raise BundleError(msg)
    return result
