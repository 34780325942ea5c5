"""Denoised expression as a file, written in blocks of cells."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData, read_h5ad
from anndata.io import read_zarr

from scprism._stores import write_by_rows
from scprism._warnings import kept_warnings, note
from scprism.denoise.adjust import denoised_chunks, is_adjusted
from scprism.errors import BundleError, InputError
from scprism.estimator.view import View
from scprism.query.files import ACTIVITY_KEY, EMBEDDING_KEY
from scprism.types import PathLike

__all__ = ["read_denoised", "write_denoised"]

SCALE = "log1p counts per million"


def write_denoised(
    path: PathLike, view: View, *, adjust: bool | None = None, made_by: Mapping[str, str] | None = None
) -> None:
    """Write what `View.denoise` returns as h5ad or zarr, in blocks of cells, so that it is never held whole.

    ``X`` is the denoised expression, float32 (cells, genes of the model), log1p counts per million; ``obs`` that of the
    cells; ``obsm["X_prism"]`` the latent, ``obsm["X_prism_units"]`` the units' activities; ``uns["scprism"]`` says
    whether the values were adjusted to these cells.

    Parameters
    ----------
    path
        A name that ends in ``.h5ad`` or ``.zarr``.
    view
        The cells as the model sees them, `Model.view`.
    adjust
        As in `View.denoise`.
    made_by
        More to keep in ``uns["scprism"]``, such as the command.

    Raises
    ------
    InputError
        If the name ends otherwise, or values are to be adjusted that are no shares of a cell's molecules.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import Prism, make_cells
    >>> reference, cells = make_cells(rng=0), make_cells(rng=1)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(reference)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_denoised(f"{folder}/denoised.h5ad", model.view(cells))
    ...     again = read_denoised(f"{folder}/denoised.h5ad")
    >>> np.allclose(again.X, model.denoise(cells), rtol=1e-5)
    True
    """
    model = view.model
    with kept_warnings() as messages:
        note(view.warnings)
        chunks = denoised_chunks(
            view.query, weights=model.weights, config=model.config, adjust=adjust, latent=view.embed
        )
        first = next(chunks, None)  # what is warned of comes up before the first block
    record: dict[str, Any] = {
        "kind": "denoised",
        "fingerprint": model.fingerprint,
        "scale": SCALE,
        "adjusted": is_adjusted(model.recipe, model.config, adjust=adjust),
        "warnings": np.array(messages, dtype=object),
        **(made_by or {}),
    }
    result = AnnData(
        obs=view.cells.obs,
        var=pd.DataFrame(index=pd.Index(list(model.genes), dtype=object)),
        obsm={EMBEDDING_KEY: view.embed()},
    )
    if model.named_units is not None:
        activity = view.activity()
        result.obsm[ACTIVITY_KEY] = activity.to_numpy()
        record["units"] = np.array(activity.columns, dtype=object)
    result.uns["scprism"] = record
    write_by_rows(result, path, () if first is None else (block for part in ((first,), chunks) for block in part))


def read_denoised(path: PathLike, *, backed: bool = False) -> AnnData:
    """Return the denoised expression that `write_denoised` or ``scprism denoise`` wrote.

    Parameters
    ----------
    path
        The file.
    backed
        Leave the values of an h5ad file on disk. Close it by ``cells.file.close()``.

    Raises
    ------
    BundleError
        If the file cannot be read, or holds something else.
    InputError
        If a zarr store is to be left on disk.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import Prism, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_denoised(f"{folder}/denoised.h5ad", model.view(cells))
    ...     read_denoised(f"{folder}/denoised.h5ad").shape == (300, len(model.genes))
    True
    """
    is_store = Path(path).suffix.lower() == ".zarr"
    if is_store and backed:
        msg = f"`backed` is for h5ad files, and {str(path)!r} is a zarr store. Leave it out."
        raise InputError(msg)
    try:
        result = read_zarr(path) if is_store else read_h5ad(path, backed="r" if backed else None)
    except (OSError, KeyError, ValueError) as error:
        msg = f"{str(path)!r} cannot be read as denoised expression ({error}). Write it again with `scprism denoise`."
        raise BundleError(msg) from error
    if dict(result.uns.get("scprism", {})).get("kind") != "denoised":
        msg = f"{str(path)!r} holds no denoised expression. Give a file that `scprism denoise --out` wrote."
        raise BundleError(msg)
    return result
