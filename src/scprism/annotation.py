"""The only code that writes into a user's AnnData, the keys it writes, and the annotated file."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData, ImplicitModificationWarning, read_h5ad
from anndata.io import read_zarr

from scprism._check import some
from scprism._stores import write_anndata
from scprism._version import __version__
from scprism._warnings import kept_warnings, warn, warnings_of
from scprism.errors import BundleError, InputError
from scprism.estimator.model import Model
from scprism.estimator.view import View
from scprism.label.result import COLUMNS, Labels
from scprism.query.files import ACTIVITY_KEY, EMBEDDING_KEY
from scprism.report.palette import MUTED, label_styles
from scprism.report.projection import project_latent
from scprism.types import FloatArray, PathLike

__all__ = [
    "LABEL_COLUMNS",
    "MOST_CELLS_OF_UMAP",
    "PROBABILITIES_KEY",
    "RECORD_KEY",
    "UNITS_KEY",
    "WARNINGS_KEY",
    "annotate",
    "labels_of",
    "read_annotated",
    "write_annotated",
]

UNITS_KEY = "prism_units"
WARNINGS_KEY = "prism_warnings"
PROBABILITIES_KEY = "prism_label_probabilities"
RECORD_KEY = "scprism"
UMAP_KEY = "X_umap"
PREFIX = "prism_"
"""Of the columns of ``obs`` that hold the columns of a table of labels."""
LABEL_COLUMNS = ("label", "confidence", "distance", "novel")
"""The columns that a table of labels has at least."""
MOST_CELLS_OF_UMAP = 100_000
"""For more cells UMAP takes many minutes, so commands leave it out unless they are asked for it."""


def annotate(
    cells: AnnData,
    *,
    embedding: FloatArray | None = None,
    labels: Labels | pd.DataFrame | None = None,
    activity: pd.DataFrame | None = None,
    units: pd.DataFrame | None = None,
    umap: FloatArray | None = None,
    model: Model | None = None,
) -> None:
    """Write results into `cells`, where scanpy finds them: ``scanpy.pl.umap(cells, color=["prism_label", "U07"])``.

    Parameters
    ----------
    cells
        The cells that the results belong to, in the same order.
    embedding
        Latent, (cells, latent values), for ``cells.obsm["X_prism"]``; then
        `scanpy.pp.neighbors(cells, use_rep="X_prism")`.
    labels
        The result of `Model.label`, or its table: each column goes to ``obs`` under its name with ``prism_`` before it,
        ``obs["prism_label"]`` (categorical), ``obs["prism_confidence"]``, ``obs["prism_distance"]``,
        ``obs["prism_novel"]`` (bool) and so on. The colours of up to nine labels, those of the report, go to
        ``uns["prism_label_colors"]``. Warnings, which the table alone lacks, go to ``uns["prism_warnings"]``;
        probabilities, where there are some, to ``obsm["prism_label_probabilities"]``, with the labels that they are of
        in ``uns["scprism"]["probabilities_of"]``.
    activity
        The result of `Model.activity`: each unit becomes a column of ``obs`` under its name, and all of them
        ``obsm["X_prism_units"]``, with their names in ``uns["scprism"]["units"]``.
    units
        `Model.units`, for ``uns["prism_units"]``.
    umap
        Coordinates to draw the cells at, (cells, 2), for ``obsm["X_umap"]``.
    model
        The model that the results are of: what it is, and was trained on, goes to ``uns["scprism"]``.

    Raises
    ------
    InputError
        If a result is not of these cells, or ``obs`` has columns of the units' names that are not from here; nothing is
        written then.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> reference, cells = make_cells(rng=0), make_cells(rng=1)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(reference)
    >>> annotate(cells, embedding=model.embed(cells), activity=model.activity(cells), model=model)
    >>> cells.obsm["X_prism"].shape, list(cells.uns["scprism"]["units"]) == list(model.units.index)
    ((300, 50), True)
    """
    table = labels.table if isinstance(labels, Labels) else labels
    _check_rows(cells, embedding=embedding, umap=umap)
    _check_tables(cells, table, activity)
    with warnings.catch_warnings():
        # of a part of other cells, which becomes cells of its own when it is written to
        warnings.simplefilter("ignore", ImplicitModificationWarning)
        if activity is not None:
            _write_activity(cells, activity)
        if units is not None:
            cells.uns[UNITS_KEY] = _plain_text(units.reset_index())
        for key, values in ((EMBEDDING_KEY, embedding), (UMAP_KEY, umap)):
            if values is not None:
                cells.obsm[key] = np.asarray(values, dtype=np.float32)
        if table is not None:
            _write_labels(cells, table, labels)
        if model is not None:
            _record(cells, provenance(model))


def write_annotated(
    path: PathLike,
    view: View,
    *,
    labels: Labels | pd.DataFrame | None = None,
    umap: bool = True,
    made_by: Mapping[str, str] | None = None,
) -> None:
    """Write one file to go on with: the cells as they came, and all that a model says of them, as `annotate` has it.

    Expression, layers and everything else of the cells stays as it is; sparse stays sparse, and cells on disk are not
    read into memory as dense values. `read_annotated` and every tool that opens AnnData read the file.

    Parameters
    ----------
    path
        A name that ends in ``.h5ad`` or ``.zarr``.
    view
        The cells as the model sees them, `Model.view`.
    labels
        The result of `Model.label`.
    umap
        Draw the cells in two dimensions by UMAP of the latent (of these cells alone), for ``obsm["X_umap"]``. It takes
        about a minute for 20,000 cells.
    made_by
        More to keep in ``uns["scprism"]``, such as the command.

    Raises
    ------
    InputError
        If the name ends otherwise, or the labels are not of these cells.

    Warns
    -----
    PrismWarning
        If columns of ``obs`` were renamed, because units have their names or a file cannot hold them.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import Prism, make_cells
    >>> reference, cells = make_cells(rng=0), make_cells(rng=1)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(reference)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_annotated(f"{folder}/cells.h5ad", model.view(cells), umap=False)
    ...     again = read_annotated(f"{folder}/cells.h5ad")
    >>> again.shape == cells.shape, "X_prism" in again.obsm
    (True, True)
    """
    model, cells = view.model, view.cells
    activity = None if model.named_units is None else view.activity()
    with kept_warnings() as messages:
        result = _without_names(_shallow(cells), () if activity is None else activity.columns)
    drawn = project_latent(view.embed(), model.config) if umap else None
    annotate(
        result,
        embedding=view.embed(),
        labels=labels,
        activity=activity,
        units=model.units,
        umap=None if drawn is None else drawn.coordinates,
        model=model,
    )
    told = {} if drawn is None else {"umap": drawn.note or "UMAP of the latent of these cells"}
    _record(result, {**told, **(made_by or {})})
    known = dict.fromkeys([*view.warnings, *warnings_of(labels), *messages])
    result.uns[WARNINGS_KEY] = np.array(list(known), dtype=object)
    write_anndata(result, path)


def read_annotated(path: PathLike) -> AnnData:
    """Return the cells that `write_annotated` or a command with ``--out FILE.h5ad`` wrote.

    Raises
    ------
    BundleError
        If the file cannot be read, or was not annotated by scprism.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import Prism, make_cells, write_annotated
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_annotated(f"{folder}/cells.h5ad", model.view(cells))
    ...     read_annotated(f"{folder}/cells.h5ad").obsm["X_prism"].shape
    (300, 50)
    """
    try:
        result = read_zarr(path) if Path(path).suffix.lower() == ".zarr" else read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        msg = f"{str(path)!r} cannot be read as annotated cells ({error}). Write it again with `scprism label --out`."
        raise BundleError(msg) from error
    if EMBEDDING_KEY not in result.obsm or RECORD_KEY not in result.uns:
        msg = f"{str(path)!r} holds cells that scprism has not annotated. `scprism label MODEL QUERY --out FILE.h5ad` "
        raise BundleError(f"{msg}writes such files (in Python: scprism.write_annotated).")
    return result


def labels_of(cells: AnnData) -> Labels:
    """Return the labels that `annotate` wrote into cells: their table, where they are from, and their warnings.

    Raises
    ------
    InputError
        If the cells have none.
    """
    columns = [f"{PREFIX}{name}" for name in LABEL_COLUMNS]
    if not set(columns) <= set(cells.obs):
        msg = "These cells carry no labels of scprism. `scprism label MODEL QUERY --out FILE.h5ad` writes them "
        raise InputError(f"{msg}(in Python: scprism.annotate).")
    more = [name for name in cells.obs if str(name).startswith(PREFIX) and name not in columns]
    table = cells.obs[[*columns, *more]].rename(columns=lambda name: str(name).removeprefix(PREFIX))
    table = table[[*(name for name in COLUMNS if name in table), *(name for name in table if name not in COLUMNS)]]
    for name in ("label", "runner_up"):
        if name in table:
            table[name] = table[name].astype(object)
    record = cells.uns.get(RECORD_KEY, {}).get("labels", {})
    told = tuple(str(message) for message in cells.uns.get(WARNINGS_KEY, ()))
    return Labels(table.rename_axis("cell"), dict(record), told)


def provenance(model: Model) -> dict[str, Any]:
    """Return what a file says of the model that its values are from."""
    summary = model.summary
    return {
        "version": __version__,
        "fingerprint": model.fingerprint,
        "preset": model.asked.preset,
        "organism": model.organism or "unknown",
        "n_genes": len(model.genes),
        "n_training_cells": int(summary["n_cells"]),
        "data_fingerprint": str(summary["data_fingerprint"]),
        "seed": "" if summary["seed"] is None else str(summary["seed"]),
    }


def _check_rows(cells: AnnData, **results: FloatArray | None) -> None:
    for name, values in results.items():
        if values is not None and len(values) != cells.n_obs:
            msg = f"`{name}` must have one row a cell: {cells.n_obs:,} cells, got {len(values):,} rows."
            raise InputError(msg)


def _check_tables(cells: AnnData, table: pd.DataFrame | None, activity: pd.DataFrame | None) -> None:
    names = pd.Index(cells.obs_names)
    if table is not None and not set(LABEL_COLUMNS) <= set(getattr(table, "columns", ())):
        msg = f"`labels` must be what `Model.label` returns, or its table, columns {some(LABEL_COLUMNS)}."
        raise InputError(msg)
    if table is not None and not table.index.equals(names):
        msg = "`labels` must be the labels of these cells in this order: its index differs from their `.obs_names`."
        raise InputError(msg)
    if activity is None:
        return
    if not activity.index.equals(names):
        msg = "`activity` must be of these cells in this order: its index differs from their `.obs_names`."
        raise InputError(f"{msg} Give the result of model.activity(cells).")
    taken = _taken(cells, activity.columns)
    if taken:
        msg = f"`activity` would write over the columns {some(taken)} of `cells.obs`. Rename or delete them first."
        raise InputError(msg)


def _taken(cells: AnnData, units: Iterable[str]) -> list[str]:
    """Return the units whose names are columns of the user's own."""
    ours = _units_in(cells)
    return [str(unit) for unit in units if str(unit) in cells.obs and str(unit) not in ours]


def _units_in(cells: AnnData) -> list[str]:
    """Return the units that `annotate` wrote before."""
    record = cells.uns.get(RECORD_KEY, {})
    return [str(name) for name in record.get("units", ())] if ACTIVITY_KEY in cells.obsm else []


def _write_activity(cells: AnnData, activity: pd.DataFrame) -> None:
    gone = [name for name in _units_in(cells) if name in cells.obs]
    values = activity.to_numpy(dtype=np.float32)
    names = [str(unit) for unit in activity.columns]
    # all columns at once: one by one, pandas warns of a table in pieces
    cells.obs = pd.concat([cells.obs.drop(columns=gone), pd.DataFrame(values, cells.obs.index, names)], axis=1)
    cells.obsm[ACTIVITY_KEY] = values
    _record(cells, {"units": np.array(names, dtype=object)})


def _write_labels(cells: AnnData, table: pd.DataFrame, labels: Labels | pd.DataFrame | None) -> None:
    for column in table.columns:
        values = table[column]
        is_number = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)
        is_text = column == "label" or not is_number
        cells.obs[f"{PREFIX}{column}"] = _categories(values) if is_text else values.to_numpy()
    cells.uns[WARNINGS_KEY] = np.array(warnings_of(labels), dtype=object)
    names = list(cells.obs[f"{PREFIX}label"].cat.categories)
    cells.uns.pop(f"{PREFIX}label_colors", None)
    if len(names) <= len(MUTED):  # scanpy knows more colours
        styles = label_styles(table["label"].astype(str).value_counts().index)
        cells.uns[f"{PREFIX}label_colors"] = [styles[name].colour for name in names]
    probabilities = getattr(labels, "probabilities", None)
    cells.obsm.pop(PROBABILITIES_KEY, None)
    cells.uns[RECORD_KEY] = {
        k: v for k, v in cells.uns.get(RECORD_KEY, {}).items() if k not in ("probabilities_of", "labels")
    }
    if isinstance(probabilities, pd.DataFrame):
        cells.obsm[PROBABILITIES_KEY] = probabilities.to_numpy(dtype=np.float32)
        _record(cells, {"probabilities_of": np.array(probabilities.columns.astype(str), dtype=object)})
    if isinstance(labels, Labels) and labels.settings:
        _record(cells, {"labels": {name: _plain(value) for name, value in labels.settings.items()}})


def _categories(values: "pd.Series[Any]") -> pd.Categorical:
    """Return text as categories in the order of the alphabet; what is missing stays missing."""
    text = values.astype(object).where(values.notna(), None)
    known = sorted({str(value) for value in text if value is not None})
    return pd.Categorical([None if value is None else str(value) for value in text], pd.Index(known, dtype=object))


def _plain(value: object) -> str | int | float | bool:
    """Return a value as every file can hold it."""
    return value if isinstance(value, str | int | float | bool) else str(value)


def _plain_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose text every version of anndata can write, that of pandas 3 too."""
    is_number = [pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind) for kind in table.dtypes]
    text = [name for name, number in zip(table.columns, is_number, strict=True) if not number]
    return table.astype(dict.fromkeys(text, object)).set_axis(pd.Index(list(table.columns), dtype=object), axis=1)


def _record(cells: AnnData, facts: Mapping[str, Any]) -> None:
    cells.uns[RECORD_KEY] = {**cells.uns.get(RECORD_KEY, {}), **facts}


def _shallow(cells: AnnData) -> AnnData:
    """Return an AnnData of the same values, none of them copied, whose ``obs``, ``obsm`` and ``uns`` can be written."""
    raw = cells.raw
    return AnnData(
        X=cells.X,
        obs=cells.obs.copy(),
        var=cells.var,
        obsm=dict(cells.obsm),
        layers=dict(cells.layers),
        varm=dict(cells.varm),
        obsp=dict(cells.obsp),
        varp=dict(cells.varp),
        uns=dict(cells.uns),
        raw=None if raw is None else {"X": raw.X, "var": raw.var, "varm": dict(raw.varm)},
    )


def _without_names(cells: AnnData, units: Iterable[str]) -> AnnData:
    """Return the cells with columns of ``obs`` renamed whose names the units need: no table stops a result."""
    taken = _taken(cells, units)
    new = {}
    for name in taken:
        number = next(n for n in range(1, len(cells.obs.columns) + 2) if f"{name}_{n}" not in cells.obs)
        new[name] = f"{name}_{number}"
    if new:
        cells.obs = cells.obs.rename(columns=new)
        told = ", ".join(f"{old!r} to {name!r}" for old, name in new.items())
        warn(f"Columns of obs that have names of units were renamed: {told}.")
    return cells
