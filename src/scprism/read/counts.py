"""Where an AnnData's raw counts are, and whether they are raw counts."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import some
from scprism._stores import named_layers
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.genes.identifiers import has_genes_in_rows
from scprism.genes.naming import plain_names
from scprism.read.chunks import row_chunks
from scprism.read.survey import Survey, survey_values
from scprism.types import Matrix

__all__ = ["check_counts", "checked_counts", "find_counts"]

MAX_LOG_VALUE = 25
"""No logarithm of counts per million reaches this, in base 2 neither."""


def find_counts(cells: AnnData, *, layer: str | None = None) -> tuple[Matrix, pd.Index]:
    """Return the matrix that holds the counts, as it is stored, and the plain names of its genes.

    Names that other programs changed are put right (`scprism.genes.naming.plain_names`); those that are the same then
    are one gene, whose counts are to be added.

    Parameters
    ----------
    cells
        Cells by genes; left as it is.
    layer
        None or ``"X"`` for ``.X``, the name of a layer, or ``"raw"`` for ``.raw`` (unless a layer has that name).

    Raises
    ------
    InputError
        If there is no such matrix; the message lists those that there are. If the genes are of two genomes.
    """
    matrix, names = _stored_counts(cells, layer)
    plain = plain_names(tuple(map(str, names))).names
    return matrix, names if plain == tuple(names) else pd.Index(plain)


def _stored_counts(cells: AnnData, layer: str | None) -> tuple[Matrix, pd.Index]:
    if not isinstance(cells, AnnData):
        msg = f"Cells must come as an AnnData, got {type(cells).__name__}. Read a file with scprism.read_cells(path)."
        raise InputError(msg)
    layers = named_layers(cells)
    if layer in layers:
        return layers[layer], cells.var_names
    if layer in (None, "X") and cells.X is not None:
        return cells.X, cells.var_names
    if layer == "raw" and cells.raw is not None:
        return cells.raw.X, cells.raw.var_names
    wanted = "The counts were looked for in .X, which is empty" if layer is None else f"There is no layer {layer!r}"
    others = [name for name in _layers(cells) if name not in layers]
    with_others = "".join({None: ", 'X' for .X", "raw": ", 'raw' for .raw"}[name] for name in others)
    msg = f"{wanted}. `layer` may be: {some(layers, limit=20)} (the layers){with_others}."
    raise InputError(msg)


def checked_counts(cells: AnnData, *, layer: str | None = None, integers: bool = True) -> tuple[Matrix, pd.Index]:
    """Return what `find_counts` returns, once `check_counts` has passed it.

    Where the values are not raw counts and another layer, ``.raw`` or ``.X`` holds some, the message names it.

    Warns
    -----
    PrismWarning
        If cells have no counts, or names of genes were put right or look like dates.
    """
    matrix, stored = _stored_counts(cells, layer)
    check_counts(
        matrix, genes=stored, cells=cells.obs_names, integers=integers, suggest=lambda: _suggest_layer(cells, layer)
    )
    for note in plain_names(tuple(map(str, stored))).notes:
        warn(note)
    return find_counts(cells, layer=layer)


def check_counts(
    matrix: Matrix,
    *,
    genes: Sequence[str] | pd.Index,
    cells: Sequence[str] | pd.Index,
    integers: bool = True,
    suggest: Callable[[], str] = str,
) -> None:
    """Raise `InputError` unless `matrix` holds raw counts of uniquely named cells and genes, cells in rows.

    One pass over blocks of rows. Cells without any count are usable, as rows of zeros, and only warned of.

    Parameters
    ----------
    matrix
        Cells by genes: dense, sparse or backed.
    genes, cells
        Names of the columns and of the rows.
    integers
        False if the values are corrected expression, which may be fractional and negative.
    suggest
        Returns where raw counts are instead, as a sentence or an empty text; called only if the values are not counts.

    Warns
    -----
    PrismWarning
        If cells have no counts.
    """
    _check_names(matrix.shape, genes=genes, cells=cells)
    survey = survey_values(matrix)
    _check_finite(survey)
    if integers:
        _check_integers(survey, suggest)
    if survey.n_empty_cells:
        msg = (
            f"{survey.n_empty_cells:,} of {len(cells):,} cells have no counts and stay in as zeros. "
            "Remove them first, for example with scanpy.pp.filter_cells(cells, min_counts=1)."
        )
        warn(msg)


def _check_names(shape: tuple[int, ...], *, genes: Sequence[str] | pd.Index, cells: Sequence[str] | pd.Index) -> None:
    if 0 in shape:
        msg = f"The data have {shape[0]:,} cells and {shape[1]:,} genes: nothing is left. Check how they were filtered."
        raise InputError(msg)
    if has_genes_in_rows(cells=cells, genes=genes):
        msg = (
            f"The rows must be cells and the columns genes, but the rows are named like genes ({some(cells, limit=3)}) "
            f"and the columns are not ({some(genes, limit=3)}). Set `transpose` when reading (in Python: or cells.T)."
        )
        raise InputError(msg)
    if repeated := _repeated(genes):
        msg = (
            f"Gene names must be unique, but these are used more than once: {some(repeated)}. If they are columns of "
            "one gene, have them added by repeated_genes='add' when reading, or number them: repeated_genes='number'."
        )
        raise InputError(msg)
    if repeated := _repeated(cells):
        msg = (
            f"Cell names must be unique, but these are used more than once: {some(repeated)}. If samples "
            "were joined, put the sample's name before the barcode "
            "(in Python: cells.obs_names_make_unique() numbers them)."
        )
        raise InputError(msg)


def _repeated(names: Sequence[str] | pd.Index) -> list[str]:
    index = pd.Index(names)
    return [str(name) for name in index[index.duplicated()].unique()]


def _check_finite(survey: Survey) -> None:
    if survey.n_missing:
        msg = (
            f"{survey.n_missing:,} values are missing (NaN). Counts cannot be missing: set them to 0 if they mean 'not "
            "seen', or remove those genes or cells."
        )
        raise InputError(msg)
    if survey.n_infinite:
        msg = f"{survey.n_infinite:,} values are infinite, as after a division by 0. Take the counts from their source."
        raise InputError(msg)


def _check_integers(survey: Survey, suggest: Callable[[], str]) -> None:
    advice = "Give the raw counts: another file, or the layer that holds them (`layer`; 'raw' for .raw)."
    if survey.n_negative:
        msg = (
            f"Raw counts are never negative, but {survey.n_negative:,} values are. They look like scaled or "
            f"batch-corrected expression. {suggest() or advice}"
        )
        raise InputError(msg)
    if survey.n_fractional:
        msg = (
            f"Raw counts are whole numbers, but {survey.n_fractional:,} values are not. {_likely_scale(survey)} "
            f"{suggest() or advice}"
        )
        raise InputError(msg)


def _likely_scale(survey: Survey) -> str:
    low, high = survey.smallest_total, survey.largest_total
    if high - low <= 0.01 * high:
        return f"They look normalised: every cell sums to {high:,.6g}, as do counts per {high:,.6g}."
    if survey.largest < MAX_LOG_VALUE:
        return f"They look like logarithms (log1p): the largest is {survey.largest:.3g}."
    return (
        f"The largest is {survey.largest:,.6g}. If they are estimated counts (RSEM, Salmon, a background correction), "
        "round them first."
    )


def _layers(cells: AnnData) -> list[str | None]:
    """Return every `layer` that `find_counts` takes."""
    layers = named_layers(cells)
    with_x = [None] if cells.X is not None else []
    with_raw = ["raw"] if cells.raw is not None and "raw" not in layers else []
    return [*layers, *with_raw, *with_x]


def _suggest_layer(cells: AnnData, layer: str | None) -> str:
    for name in _layers(cells):
        if name != layer and _starts_with_counts(_stored_counts(cells, name)[0]):
            return (
                "But .X holds counts: leave `layer` out." if name is None else f"Counts are there: use layer={name!r}."
            )
    return ""


def _starts_with_counts(matrix: Matrix) -> bool:
    """Return whether the first rows are whole numbers, not all of them zero: enough for a suggestion."""
    values = next(row_chunks(matrix, size=1000, dtype=np.float64))[1].data
    return len(values) > 0 and bool(np.all(np.isfinite(values) & (values >= 0) & (values == np.rint(values))))
