"""What units are assessed on: the settings, the training cells, and a sample of the query with its groups."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism.errors import InputError
from scprism.estimator.model import Model
from scprism.estimator.view import View
from scprism.explain.attribution import Attribution, baseline_row
from scprism.explain.grouping import group_codes
from scprism.train.batches import TrainingCells, collect_cells
from scprism.trust.networks import SeenCells
from scprism.types import AttributionMethod, UnitKind

__all__ = ["MIN_CELLS", "TrustSettings", "check_settings", "seen_cells", "training_cells"]

MIN_CELLS = 50
"""Over fewer cells, units match by chance."""


@dataclass(frozen=True)
class TrustSettings:
    """How thoroughly units are examined.

    Attributes
    ----------
    units
        ``"programs"`` or ``"raw"``; the model's units if None.
    n_refits
        Networks trained anew with other seeds, or programs found anew. One more is trained on shuffled genes. They take
        most of the time.
    n_draws
        Draws of random weights, and of shuffled cells; for raw units.
    max_cells
        More query cells than this are sampled.
    method
        Attribution method, for raw units; that of the model if None. ``"expected_gradients"`` is not offered.
    layer
        Where the query's counts are; that of the model if None.
    reference_layer
        Where the reference's counts are; that of the model if None.
    device
        Where the networks are trained; where the model was asked to be trained if None.
    """

    units: UnitKind | None = None
    n_refits: int = 5
    n_draws: int = 20
    max_cells: int = 1000
    method: AttributionMethod | None = None
    layer: str | None = None
    reference_layer: str | None = None
    device: str | None = None


def check_settings(settings: TrustSettings) -> None:
    """Raise `InputError` for settings that cannot be used."""
    for name in ("n_refits", "n_draws"):
        if getattr(settings, name) < 1:
            msg = f"`{name}` must be at least 1, got {getattr(settings, name)}."
            raise InputError(msg)
    if settings.max_cells < MIN_CELLS:
        msg = f"`max_cells` must be at least {MIN_CELLS}, got {settings.max_cells}."
        raise InputError(msg)


def training_cells(model: Model, reference: AnnData | View, *, layer: str | None = None) -> TrainingCells:
    """Return the reference as the model was trained on it."""
    query = model.view(reference, layer=layer).query
    return collect_cells(query.chunks(), counts_as_targets=model.config.counts_as_targets)


def seen_cells(
    model: Model,
    cells: AnnData | View,
    *,
    groupby: "str | pd.Series[str] | None",
    settings: TrustSettings,
    rng: np.random.Generator,
) -> SeenCells:
    """Return a sample of the query's cells as the model sees them, with their groups and the way to explain them."""
    method = settings.method or model.config.attribution
    if method == "expected_gradients":
        msg = "Units are not assessed with method='expected_gradients'; take 'integrated_gradients', or 'deeplift'."
        raise InputError(msg)
    n_cells = (cells.cells if isinstance(cells, View) else cells).n_obs
    if n_cells < MIN_CELLS:
        msg = f"At least {MIN_CELLS} query cells are needed to match units, got {n_cells}."
        raise InputError(msg)
    view = model.view(cells, layer=settings.layer)
    query = view.query
    names, codes = group_codes(view.cells, groupby)
    rows = np.sort(rng.permutation(n_cells)[: settings.max_cells])
    parts = [c.inputs[rows[(rows >= c.rows.start) & (rows < c.rows.stop)] - c.rows.start] for c in query.chunks()]
    kept = np.unique(codes[rows][codes[rows] >= 0])  # a group of which no cell was sampled has no map
    number = np.full(len(names) + 1, -1)
    number[kept] = np.arange(len(kept))
    attribution = Attribution(
        method=method,
        baseline=baseline_row(model.config.baseline, method=method, mean=query.recipe.mean),
        first_unit_plain=model.config.first_unit_plain and method == "guided",
        absolute=False,
    )
    return SeenCells(
        inputs=sparse.vstack(parts, format="csr"),
        fill=query.fill,
        genes=query.recipe.genes,
        groups=tuple(names[i] for i in kept),
        codes=number[codes[rows]],
        attribution=attribution,
    )
