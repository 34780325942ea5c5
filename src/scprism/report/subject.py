"""What one page is about: the results, checked to belong together, and the cells that it draws."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import closest, some
from scprism.errors import InputError
from scprism.estimator.model import Model
from scprism.estimator.view import View
from scprism.explain.explanation import ALL, Explanation
from scprism.label.labels import labels_as_text
from scprism.label.neighbours import neighbour_finder, scaling_of
from scprism.label.result import Labels
from scprism.query.files import ACTIVITY_KEY, EMBEDDING_KEY
from scprism.report.conditions import check_comparison
from scprism.report.projection import Projection, project
from scprism.report.tables import LOW_CONFIDENCE
from scprism.report.trust import check_trust
from scprism.trust.result import Trust
from scprism.types import FloatArray, IntArray
from scprism.units.comparison import Comparison

__all__ = [
    "MAX_CELLS",
    "PROJECTION_SEED",
    "DrawnCells",
    "Subject",
    "check_subject",
    "drawn_cells",
    "query_values",
    "query_view",
    "reference_latent",
    "reference_values",
    "shows_programs",
]

MAX_CELLS = 20_000
"""More cells than this are drawn by a random sample: a browser would stall, and the eye sees no more."""
MAX_FLAGGED = 40_000
"""Novel cells and those of low confidence are all drawn, up to so many."""
BINS = 64
"""Fields along each side of the plane in which all cells of the query are counted."""
PROJECTION_SEED = 0
ENRICHMENT_COLUMNS = ("group", "unit", "gene_set", "nes", "q_value")
LABEL_COLUMNS = ("label", "confidence", "novel")


@dataclass(frozen=True)
class Subject:
    """The results that a page shows; the arguments of `write_report`. `labels` is the table of `label_result`."""

    model: Model
    explanation: Explanation
    enrichment: pd.DataFrame
    embedding: FloatArray
    cells: AnnData
    labels: pd.DataFrame | None
    reference: AnnData | None
    reference_labels: str | None
    messages: tuple[str, ...]
    trust: Trust | None = None
    layer: str | None = None
    view: View | None = None
    reference_view: View | None = None
    comparison: Comparison | None = None
    truth: str | None = None
    sample: str | None = None
    made_by: Mapping[str, str] = field(default_factory=dict)
    label_result: Labels | None = None

    @property
    def possible_labels(self) -> tuple[str, ...]:
        """The labels that could have been given; empty where the labels do not know."""
        result = self.label_result
        return () if result is None or result.probabilities is None else tuple(result.probabilities.columns)

    @property
    def label_settings(self) -> Mapping[str, Any]:
        """How the labels were given; empty where that is not known."""
        return {} if self.label_result is None else self.label_result.settings


@dataclass(frozen=True)
class Density:
    """Cells counted in a grid: middles of its columns and rows, and the cells in each field, (rows, columns)."""

    x: FloatArray
    y: FloatArray
    cells: IntArray


@dataclass(frozen=True)
class DrawnCells:
    """The cells of the embedding figure, the reference first.

    Attributes
    ----------
    table
        ``cell origin label confidence novel x y``; labels of the reference are its own, those of the query are given by
        the model, confidence is NaN for the reference.
    values
        Values of the units, (cells, units): activities of programs, or the latent.
    projection
        What drew ``x`` and ``y``.
    n_cells
        Cells that there are, drawn or not.
    query_rows
        Row numbers in the query of the cells that are drawn of it, in order, int64.
    n_flagged
        Novel cells and cells of low confidence among them, where the others are a sample; 0 where all are drawn.
    density
        Cells of the query, drawn or not, in a grid over the plane; None where all are drawn.
    """

    table: pd.DataFrame
    values: FloatArray
    projection: Projection
    n_cells: int
    query_rows: IntArray
    n_flagged: int = 0
    density: Density | None = None


def check_subject(subject: Subject) -> None:
    """Raise `InputError` unless the results are of one model and of these cells."""
    n_cells, n_units = subject.cells.n_obs, subject.model.config.bottleneck_size
    if subject.embedding.shape != (n_cells, n_units):
        got = " by ".join(f"{n:,}" for n in subject.embedding.shape)
        msg = f"`embedding` must have one row a cell and one column a unit: {n_cells:,} by {n_units:,}, got {got}."
        raise InputError(f"{msg} Give the result of model.embed(cells).")
    if n_cells == 0:
        msg = "`cells` must hold at least one cell, got none: there is nothing to report on."
        raise InputError(msg)
    if subject.explanation.fingerprint != subject.model.fingerprint:
        msg = (
            f"`explanation` must be of this model (fingerprint {subject.model.fingerprint}), got one of the model "
            f"{subject.explanation.fingerprint}. Give the result of model.explain(cells)."
        )
        raise InputError(msg)
    if ALL not in subject.explanation.groups:
        msg = f"`explanation` must have the group {ALL!r}, got {some(subject.explanation.groups)}."
        msg += " Give the result of model.explain(cells); a difference of groups lacks it."
        raise InputError(msg)
    _check_columns(
        "enrichment",
        subject.enrichment,
        ENRICHMENT_COLUMNS,
        source="scprism.enrich(explanation, sets), on the command line: scprism enrich",
    )
    _check_enriched_units(subject)
    if subject.labels is not None:
        _check_columns(
            "labels", subject.labels, LABEL_COLUMNS, source="model.label(cells, …), on the command line: scprism label"
        )
        if not subject.labels.index.equals(pd.Index(subject.cells.obs_names)):
            msg = "`labels` must be the labels of these cells in this order: its index differs from their `.obs_names`."
            raise InputError(f"{msg} Give the result of model.label(cells, …).")
    _check_reference_labels(subject)
    if subject.trust is not None:
        are_programs = shows_programs(subject)
        check_trust(subject.trust, fingerprint=subject.model.fingerprint, are_programs=are_programs)
    if subject.comparison is not None:
        units, fingerprint = subject.explanation.units, subject.model.fingerprint
        check_comparison(subject.comparison, units=units, fingerprint=fingerprint)


def reference_latent(subject: Subject) -> FloatArray | None:
    """Return the latent of the reference, (cells, units), None without a reference.

    A reference that carries this model's latent, as `scprism embed` writes it, needs no counts.
    """
    if subject.reference is None:
        return None
    if EMBEDDING_KEY in subject.reference.obsm and _is_of_model(subject.reference, subject.model):
        return np.asarray(subject.reference.obsm[EMBEDDING_KEY], dtype=np.float32)
    known = subject.reference if subject.reference_view is None else subject.reference_view
    return subject.model.embed(known)


def _is_of_model(cells: AnnData, model: Model) -> bool:
    return bool(cells.uns.get("scprism", {}).get("fingerprint") == model.fingerprint)


def shows_programs(subject: Subject) -> bool:
    """Return whether the page speaks of the model's programs; of the numbers of its bottleneck otherwise."""
    named = subject.model.named_units
    return named is not None and tuple(subject.explanation.units) == named.units.names


def query_values(subject: Subject) -> FloatArray:
    """Return the units' values in the query, (cells, units)."""
    return query_view(subject).activity().to_numpy() if shows_programs(subject) else subject.embedding


def query_view(subject: Subject) -> View:
    """Return the query as the model sees it."""
    return subject.model.view(subject.cells, layer=subject.layer) if subject.view is None else subject.view


def reference_values(subject: Subject, latent: FloatArray | None) -> FloatArray | None:
    """Return the units' values in the reference, (cells, units); `latent` is that of `reference_latent`."""
    if latent is None or not shows_programs(subject) or subject.reference is None:
        return latent
    names = () if subject.model.named_units is None else subject.model.named_units.units.names
    of_units = list(subject.reference.uns.get("scprism", {}).get("units", ())) == list(names)
    if ACTIVITY_KEY in subject.reference.obsm and of_units and _is_of_model(subject.reference, subject.model):
        return np.asarray(subject.reference.obsm[ACTIVITY_KEY], dtype=np.float32)
    if subject.reference_view is None and _is_of_model(subject.reference, subject.model):
        msg = (
            "`reference` is an embedding without the activities of this model's units, and has no counts to find them."
        )
        raise InputError(f"{msg} Write it again: scprism embed; or give the reference's counts.")
    known = subject.reference if subject.reference_view is None else subject.reference_view
    return subject.model.activity(known).to_numpy()


def drawn_cells(subject: Subject, reference: FloatArray | None, *, values: FloatArray) -> DrawnCells:
    """Return reference and query in one plane, on the scale on which labels are transferred.

    Of many cells a sample is drawn, with all novel cells and those of low confidence. `values` are those of the units,
    the reference's cells first.
    """
    config = subject.model.config
    parts = [subject.embedding] if reference is None else [reference, subject.embedding]
    latent = np.concatenate(parts)
    rng = np.random.default_rng(PROJECTION_SEED)
    cells = _cell_table(subject)
    rows, n_flagged = _drawn_rows(cells, rng)
    scaling = scaling_of(parts[0]) if config.standardise_latent else None
    scaled = latent[rows] if scaling is None else scaling.apply(latent[rows])
    projection = project(scaled, method=config.projection, metric=config.metric, rng=rng)
    table = cells.iloc[rows].reset_index(drop=True)
    table["x"], table["y"] = projection.coordinates.T
    n_reference = len(latent) - len(subject.embedding)
    own = rows[rows >= n_reference] - n_reference
    density = None
    if len(rows) < len(latent):
        query = subject.embedding if scaling is None else scaling.apply(subject.embedding)
        nearest = neighbour_finder(scaled, metric=config.metric, exact=True)(query, 1).cell.ravel()
        density = _density(projection.coordinates, nearest)
    return DrawnCells(
        table,
        values[rows],
        projection,
        n_cells=len(latent),
        query_rows=own,
        n_flagged=n_flagged,
        density=density,
    )


def _drawn_rows(cells: pd.DataFrame, rng: np.random.Generator) -> tuple[IntArray, int]:
    """Return the row numbers of the cells to draw, ascending, and how many of them are novel or of low confidence."""
    if len(cells) <= MAX_CELLS:
        return np.arange(len(cells)), 0
    is_flagged = (cells["novel"].astype(bool) | (cells["confidence"] < LOW_CONFIDENCE)).to_numpy()
    flagged, others = np.flatnonzero(is_flagged), np.flatnonzero(~is_flagged)
    if len(flagged) > MAX_FLAGGED:
        flagged = rng.choice(flagged, MAX_FLAGGED, replace=False)
    n_others = min(len(others), max(MAX_CELLS - len(flagged), MAX_CELLS // 2))
    rows = np.concatenate([flagged, rng.choice(others, n_others, replace=False)])
    return np.sort(rows), len(flagged)


def _density(coordinates: FloatArray, nearest: IntArray) -> Density:
    """Return how many cells lie in each field of a grid, each where its nearest drawn cell lies."""
    x, y = coordinates[nearest].T
    spans = [(float(axis.min()), float(axis.max())) for axis in coordinates.T]
    counts, columns, lines = np.histogram2d(x, y, bins=BINS, range=spans)
    return Density((columns[1:] + columns[:-1]) / 2, (lines[1:] + lines[:-1]) / 2, counts.T.astype(np.int64))


def _cell_table(subject: Subject) -> pd.DataFrame:
    query = pd.DataFrame(
        {"cell": list(subject.cells.obs_names), "origin": "query", "label": None, "confidence": np.nan, "novel": False}
    )
    if subject.labels is not None:
        query["label"] = subject.labels["label"].astype(str).to_numpy()
        query["confidence"] = subject.labels["confidence"].to_numpy(dtype=float)
        query["novel"] = subject.labels["novel"].to_numpy(dtype=bool)
    if subject.reference is None:
        return query
    reference = pd.DataFrame(
        {"cell": list(subject.reference.obs_names), "origin": "reference", "label": None, "novel": False}
    )
    if subject.reference_labels is not None:
        known = labels_as_text(subject.reference.obs[subject.reference_labels])
        reference["label"] = known.where(known.notna(), None).to_numpy()
    columns = {name: [*reference[name], *query[name]] for name in ("cell", "origin", "label", "novel")}
    confidence = np.concatenate([np.full(len(reference), np.nan), query["confidence"].to_numpy(dtype=float)])
    return pd.DataFrame({**columns, "confidence": confidence})


def _check_enriched_units(subject: Subject) -> None:
    known = subject.explanation.units
    foreign = sorted(set(subject.enrichment["unit"].astype(str)) - set(known))
    if foreign:
        msg = f"`enrichment` must be of the units of `explanation`, {some(known)}; got {some(foreign)}."
        raise InputError(f"{msg} Give the result of scprism.enrich(explanation, sets).")


def _check_columns(name: str, table: pd.DataFrame, needed: tuple[str, ...], *, source: str) -> None:
    found = list(getattr(table, "columns", ()))
    lacking = [column for column in needed if column not in found]
    if lacking:
        got = some(found) if found else f"a {type(table).__name__}"
        msg = f"`{name}` must have the columns {some(needed)}; {some(lacking)} missing, got {got}."
        raise InputError(f"{msg} Give the result of {source}.")


def _check_reference_labels(subject: Subject) -> None:
    key = subject.reference_labels
    if key is None:
        return
    if subject.reference is None:
        msg = f"`reference_labels` names a column of `reference.obs`, got {key!r} without a `reference`. Give both."
        raise InputError(msg)
    if key not in subject.reference.obs:
        near = closest(key, subject.reference.obs.columns)
        msg = f"`reference_labels` must be a column of `reference.obs`, got {key!r}. Closest: {near}."
        raise InputError(msg)
