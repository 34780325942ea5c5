"""Label transfer from AnnData to AnnData: a reference learned from labelled cells, a query labelled by it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import closest, some
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.label.labels import known_labels
from scprism.label.query_shift import CellQuality, describe_difference, joined_quality, usual_range, with_quality
from scprism.label.reference import LabelReference, calibration_sample, label_cells, learn_reference
from scprism.label.simulated_platforms import simulated_platforms
from scprism.model.config import Config
from scprism.model.weights import Weights
from scprism.prepare.cell_hashes import cell_marks
from scprism.prepare.draws import keys_of_hashes
from scprism.query.embed import embed_cells
from scprism.query.view import USUAL_COVERAGE, Query, with_gaps_of
from scprism.types import FloatArray

__all__ = ["Seen", "cells_among", "embed_query", "indexed", "label_query", "learn_labels"]


@dataclass(frozen=True)
class Seen:
    """What one pass over a query gives: its latent, float32 (cells, units), and what its cells are like."""

    latent: FloatArray
    quality: CellQuality


def embed_query(query: Query, *, weights: Weights) -> Seen:
    """Return a query's latent and what its cells are like, in one pass."""
    seen: list[CellQuality] = []
    n_genes = int(query.alignment.gene_map.present.sum())
    chunks = with_quality(query.chunks(), n_genes=n_genes, seen=seen)
    return Seen(embed_cells(weights, chunks, fill=query.fill), joined_quality(seen))


def learn_labels(
    query: Query,
    cells: AnnData,
    columns: str | Sequence[str] | None,
    *,
    embed: Callable[[Query], Seen],
    config: Config,
    unseen: Collection[str],
    seen_as: Query | None = None,
) -> dict[str, LabelReference]:
    """Return labelled cells ready for label transfer, by the name of the column of ``cells.obs`` with the labels.

    Parameters
    ----------
    query
        The labelled cells as the model sees them.
    cells
        The same cells as they came. Those without a label are left out.
    columns
        One column of ``cells.obs`` or several.
    embed
        What a query is embedded with: `embed_query` with the model's weights, or what remembers its results.
    config
        Of the model.
    unseen
        Hashes of cells that the model was not trained on (`scprism.prepare.cell_hashes`).
    seen_as
        A query to label: the labelled cells are seen through the genes that it has.

    Raises
    ------
    InputError
        If no column is named, or one is missing or has too few labels.
    """
    if not columns:
        msg = "`labels` is needed beside `reference`: the column of its `.obs` that holds the labels."
        raise InputError(msg)
    wanted = [columns] if isinstance(columns, str) else list(columns)
    labels = {column: known_labels(cells, column) for column in wanted}
    hashes = _hashes(query)
    is_unseen, keys = _among(hashes, unseen), keys_of_hashes(hashes)
    query = query if seen_as is None else with_gaps_of(query, seen_as)
    seen = embed(query)
    latent, quality = seen.latent, seen.quality
    references = {}
    for column, known in labels.items():
        rows = np.flatnonzero(known.notna())
        sample = calibration_sample(is_unseen[rows], keys[rows])
        platforms = simulated_platforms(query, rows[sample], keys=keys[rows[sample]])
        references[column] = learn_reference(
            latent[rows],
            known.iloc[rows],
            keys=keys[rows],
            sample=sample,
            simulated=[embed(version).latent for version in platforms],
            usual=usual_range(CellQuality(quality.depth[rows], quality.zeros[rows])),
            config=config,
        )
    return references


def label_query(seen: Seen, reference: LabelReference, *, names: pd.Index, config: Config) -> pd.DataFrame:
    """Return the labels of a query, as `scprism.label.reference.label_cells` does; warn if it is unlike the reference.

    Parameters
    ----------
    seen
        The cells to label, embedded.
    reference
        Labelled cells of the same model.
    config
        Of the model.
    names
        Of the query cells.
    """
    table = label_cells(seen.latent, reference, names=names, config=config)
    far_share = float(table["novel"].mean()) if len(table) else 0.0
    difference = describe_difference(seen.quality, reference.usual, far_share=far_share)
    if difference:
        warn(difference)
    return table


def indexed(index: Mapping[str, LabelReference], column: str | None, *, query: Query | None = None) -> LabelReference:
    """Return the reference of a label column in a model's index; of its only one if no column is named.

    Warn if `query`, to be labelled by it, lacks many genes: an index holds the cells as they are with all genes.

    Raises
    ------
    InputError
        If there is no index, no such column, or several to choose from.
    """
    if not index:
        msg = (
            "`reference` is needed, because this model has no reference index. Give labelled cells with reference= and "
            "labels= (--reference and --labels), or make an index: model.index(cells, labels='cell_type'), on the "
            "command line: scprism index MODEL REFERENCE --labels KEY. An adapted model needs an index of its own."
        )
        raise InputError(msg)
    if query is not None and query.alignment.share_of_genes < USUAL_COVERAGE:
        msg = (
            "The query lacks many of the model's genes, and the index holds its cells as they look with all of them. "
            "Labels will be better with reference= (--reference), which sees the labelled cells as the query is seen."
        )
        warn(msg)
    if column is None and len(index) == 1:
        return next(iter(index.values()))
    if column is None:
        msg = f"`labels` is needed, because this model's index has several label columns: {some(index, limit=20)}."
        raise InputError(msg)
    if column not in index:
        msg = f"`labels` must be a column of the model's index, got {column!r}. Closest: {closest(column, index)}."
        raise InputError(f"{msg} Add it: scprism index MODEL REFERENCE --labels KEY, once for all columns.")
    return index[column]


def cells_among(query: Query, hashes: Collection[str]) -> np.ndarray:
    """Return which cells have one of the hashes (`scprism.prepare.cell_hashes`), bool (cells,)."""
    if not hashes:
        return np.zeros(query.matrix.shape[0], dtype=bool)
    return _among(_hashes(query), hashes)


def _hashes(query: Query) -> list[str]:
    return [name for chunk in query.chunks() for name in cell_marks(chunk.inputs)]


def _among(hashes: Sequence[str], wanted: Collection[str]) -> np.ndarray:
    return np.isin(hashes, list(wanted)) if wanted else np.zeros(len(hashes), dtype=bool)
