"""Embeddings and labels on disk: `embedding.h5ad` and `labels.csv`."""

import numpy as np
import pandas as pd
from anndata import AnnData, read_h5ad

from scprism._check import some
from scprism._files import replacing
from scprism.annotation import EMBEDDING_KEY
from scprism.errors import BundleError, InputError
from scprism.types import FloatArray, PathLike

__all__ = ["read_embedding", "read_labels", "write_embedding", "write_labels"]

LABEL_FILE_COLUMNS = ["cell", "label", "confidence", "distance", "novel"]


def write_embedding(
    path: PathLike,
    embedding: FloatArray,
    *,
    cells: AnnData,
    fingerprint: str,
    denoised: FloatArray | None = None,
    genes: tuple[str, ...] = (),
    adjusted: bool = False,
) -> None:
    """Write an h5ad with the latent in ``obsm["X_prism"]``, the cells' ``obs``, and denoised expression in ``X``.

    Parameters
    ----------
    path
        Where to write.
    embedding
        Latent, (cells, units).
    cells
        The cells it belongs to.
    fingerprint
        Of the model's weights.
    denoised, genes
        log1p counts per million (cells, genes), and these genes; without them ``X`` has no columns.
    adjusted
        Whether these values are fitted to the cells at hand; kept as ``uns["scprism"]["adjusted"]``.
    """
    values = np.zeros((len(embedding), 0), dtype=np.float32) if denoised is None else denoised
    names = pd.DataFrame(index=pd.Index(list(genes) if denoised is not None else [], dtype=object))
    result = AnnData(X=values, obs=cells.obs.copy(), var=names, obsm={EMBEDDING_KEY: embedding})
    result.uns["scprism"] = {"fingerprint": fingerprint, "scale": "log1p counts per million", "adjusted": adjusted}
    with replacing(path) as scratch:
        result.write_h5ad(scratch)


def read_embedding(path: PathLike) -> AnnData:
    """Return what `write_embedding` wrote.

    Raises
    ------
    BundleError
        If the file is not such an embedding.
    """
    try:
        result = read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        msg = f"{str(path)!r} cannot be read as an embedding ({error}). Give a file that `scprism embed --out` wrote."
        raise BundleError(msg) from error
    if EMBEDDING_KEY not in result.obsm:
        msg = f"{str(path)!r} has no `.obsm[{EMBEDDING_KEY!r}]`. Give a file that `scprism embed --out` wrote."
        raise BundleError(msg)
    return result


def write_labels(path: PathLike, labels: pd.DataFrame) -> None:
    """Write the result of `Model.label` as CSV: ``cell label confidence distance novel``."""
    with replacing(path) as scratch:
        labels.reset_index(names="cell")[LABEL_FILE_COLUMNS].to_csv(scratch, index=False)


def read_labels(path: PathLike) -> pd.DataFrame:
    """Return what `write_labels` wrote, index ``cell``.

    Raises
    ------
    InputError
        If the file has other columns.
    """
    table = pd.read_csv(path, dtype={"cell": str, "label": str}, keep_default_na=False)
    if list(table.columns) != LABEL_FILE_COLUMNS:
        msg = f"{str(path)!r} must have the columns {some(LABEL_FILE_COLUMNS)}, got {some(table.columns)}."
        raise InputError(f"{msg} Give a file that `scprism label --out` wrote.")
    return table.set_index("cell")
