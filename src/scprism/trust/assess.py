"""Which units of a model may be named: sanity checks, curves and refits composed into one table."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._random import random_generator
from scprism._warnings import keeps_warnings, warn
from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import GeneSets
from scprism.enrichment.result import count_significant
from scprism.errors import InputError
from scprism.estimator.model import Model
from scprism.estimator.view import View
from scprism.explain.randomise import Layers, shuffle_within_genes
from scprism.model.weights import Weights
from scprism.train.batches import TrainingCells
from scprism.train.fit import fit_network
from scprism.trust.curves import curve_gains
from scprism.trust.gene_sets import decomposition_stability, set_jaccard
from scprism.trust.inputs import TrustSettings, check_settings, seen_cells, training_cells
from scprism.trust.matching import UnitAgreement, compare_views, shuffled_matches
from scprism.trust.networks import (
    NetworkView,
    SeenCells,
    gene_weights,
    paired_correlation,
    randomised_views,
    unit_maps,
    view_network,
)
from scprism.trust.programs import assess_programs
from scprism.trust.result import TRUST_COLUMNS, Trust
from scprism.trust.sharing import mean_absolute_cosine, set_sharing
from scprism.trust.verdict import Limits, judge_units, rule_texts
from scprism.types import RNGLike

__all__ = ["assess_units"]

logger = logging.getLogger("scprism")

N_TOP = 50
"""Genes that lead a unit."""
N_CURVE_CELLS, N_CURVE_DRAWS = 100, 20
LAYERS: tuple[Layers, Layers] = ("bottleneck", "encoder")


def assess_units(
    model: Model,
    query: AnnData | View,
    *,
    reference: AnnData | View | None = None,
    groupby: "str | pd.Series[str] | None" = None,
    sets: GeneSets | None = None,
    settings: TrustSettings = TrustSettings(),  # noqa: B008  frozen
    rng: RNGLike = None,
) -> Trust:
    """Return a verdict for each unit, whether it may be named, with the numbers that it rests on.

    A unit may be named if it keeps the rules in ``settings["rules"]`` (`scprism.units.verdict`,
    `scprism.trust.programs`; for raw units `scprism.trust.verdict`).

    Parameters
    ----------
    model
        A trained model.
    query
        The cells on which units are to be named.
    reference
        The data that the model was trained on. Programs are judged without it from the runs that found them and from
        the query's cells, in a moment; with it they are also found anew from other starts. Raw units need it: they are
        judged by training the network again.
    groupby
        For raw units: groups of the query as in `Model.explain`; a unit's map holds its mean signed attributions in
        each of them. Give the groups by which it is to be named.
    sets
        For raw units: gene sets, for the overlap of significant sets between refits.

    Returns
    -------
    Trust
        The verdicts, a row a unit, and what they rest on.

    Raises
    ------
    InputError
        If the data cannot be used, there are too few cells, or an argument does not fit the kind of units.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> from scprism.trust.inputs import TrustSettings
    >>> cells = make_cells(n_cells=120, rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, units="raw", device="cpu", rng=0).fit(cells)
    >>> quick = TrustSettings(n_refits=1, n_draws=2)  # too few for more than an example
    >>> trust = assess_units(model, cells, reference=cells, settings=quick, rng=0)
    >>> len(trust.table), {"verdict", "reason"} <= set(trust.table)
    (50, True)
    """
    check_settings(settings)
    kind = settings.units or ("raw" if model.named_units is None else "programs")
    if kind == "programs":
        if model.named_units is None:
            msg = "This model has raw units alone: leave `TrustSettings.units` out."
            raise InputError(msg)
        surplus = [name for name, value in (("groupby", groupby), ("sets", sets)) if value is not None]
        if surplus or settings.method is not None:
            told = " and ".join(f"`{name}`" for name in (*surplus, *(["method"] if settings.method else [])))
            msg = f"Programs are judged in all cells and by the sets that their runs found, without {told}."
            raise InputError(f"{msg} Leave it out, or ask for raw units: TrustSettings(units='raw').")
        return assess_programs(model, model.named_units, query, reference=reference, settings=settings, rng=rng)
    if reference is None:
        msg = "Raw units are judged by training the network again: give `reference`, the data of the training."
        raise InputError(msg)
    return _assess_raw(model, query, reference=reference, groupby=groupby, sets=sets, settings=settings, rng=rng)


@keeps_warnings
def _assess_raw(
    model: Model,
    query: AnnData | View,
    *,
    reference: AnnData | View,
    groupby: "str | pd.Series[str] | None",
    sets: GeneSets | None,
    settings: TrustSettings,
    rng: RNGLike,
) -> Trust:
    streams = random_generator(rng).spawn(6)
    training = training_cells(model, reference, layer=settings.reference_layer)
    cells = seen_cells(model, query, groupby=groupby, settings=settings, rng=streams[0])
    own = view_network(model.weights, cells)
    refits = _refits(model, training, cells, settings=settings, rng=streams[1])
    logger.info("training on shuffled genes")
    twin = view_network(
        _fit(model, shuffle_within_genes(training, rng=streams[2]), streams[2], device=settings.device)[0], cells
    )
    bottleneck, encoder = (
        randomised_views(model.weights, cells, layers=layers, n_draws=settings.n_draws, rng=streams[3])
        for layers in LAYERS
    )
    pairs = [compare_views(own, refit, n_top=N_TOP) for refit in refits]
    tested = [enrich(view.explanation, sets, rng=streams[5]).table for view in (own, *refits)] if sets else []
    limits = _limits(own, refits, encoder, n_shuffles=settings.n_draws, rng=streams[3])
    measured = pd.concat(
        [
            _stability_columns(own, pairs, compare_views(own, twin, n_top=N_TOP)),
            _randomisation_columns(own, bottleneck, encoder),
            _curve_columns(model, own, cells, rng=streams[4]),
            _set_columns(tested, pairs, n_units=len(own.explanation.units)),
        ],
        axis=1,
    )
    table = pd.concat([measured, judge_units(measured, limits)], axis=1)
    table = table.assign(unit=list(own.explanation.units))[list(TRUST_COLUMNS)]
    facts: dict[str, Any] = {
        "fingerprint": model.fingerprint,
        "units": "raw",
        "method": own.explanation.method,
        "groups": list(own.explanation.groups),
        "n_cells": int(cells.inputs.shape[0]),
        "n_refits": settings.n_refits,
        "n_draws": settings.n_draws,
        "limit_correlation": limits.correlation,
        "limit_maps": limits.maps,
        "limit_jaccard": limits.jaccard,
        "rules": rule_texts(limits),
        "median_matched_correlation": float(measured["matched_correlation"].median()),
        **decomposition_stability(
            training.inputs,
            cells.dense(np.arange(cells.inputs.shape[0])),
            n_components=len(table),
            n_refits=settings.n_refits,
            rng=streams[5],
        ),
        **_sharing(own, tested),
    }
    return Trust(table, facts)


def _fit(
    model: Model, training: TrainingCells, rng: np.random.Generator, *, device: str | None
) -> tuple[Weights, dict[str, Any]]:
    chosen = model.asked.device if device is None else device
    fitted = fit_network(model.recipe, training, config=model.config, rng=rng, device=chosen)
    return fitted.weights, fitted.summary


def _refits(
    model: Model, training: TrainingCells, cells: SeenCells, *, settings: TrustSettings, rng: np.random.Generator
) -> list[NetworkView]:
    views = []
    for i, stream in enumerate(rng.spawn(settings.n_refits)):
        logger.info("refit %d of %d", i + 1, settings.n_refits)
        weights, summary = _fit(model, training, stream, device=settings.device)
        if i == 0 and summary["data_fingerprint"] != model.summary["data_fingerprint"]:
            msg = (
                "`reference` is not the data that the model was trained on (their fingerprints differ), so refits "
                "differ by more than their seeds."
            )
            warn(msg)
        elif i == 0 and "adapted_from" in model.summary:
            msg = "The model was adapted, and refits are not, so they differ from it by more than their seeds."
            warn(msg)
        views.append(view_network(weights, cells))
    return views


def _limits(
    own: NetworkView,
    refits: list[NetworkView],
    encoder: list[NetworkView],
    *,
    n_shuffles: int,
    rng: np.random.Generator,
) -> Limits:
    controls = [compare_views(own, view, n_top=N_TOP) for view in encoder]
    random = np.abs([pair.matching.correlation for pair in controls])
    missed = [shuffled_matches(own.latent, view.latent, n_shuffles=n_shuffles, rng=rng) for view in refits]
    return Limits(
        correlation=float(max(np.percentile(random, 99), np.percentile(missed, 99))),
        maps=float(np.percentile([pair.maps for pair in controls], 99)),
        jaccard=float(np.percentile([pair.jaccard for pair in controls], 99)),
    )


def _stability_columns(own: NetworkView, pairs: list[UnitAgreement], twin: UnitAgreement) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "spread": own.latent.std(axis=0, dtype=np.float64),
            "matched_correlation": np.median(np.abs([pair.matching.correlation for pair in pairs]), axis=0),
            "shuffled_correlation": np.abs(twin.matching.correlation),
            "map_correlation": np.median([pair.maps for pair in pairs], axis=0),
            "jaccard_top50": np.mean([pair.jaccard for pair in pairs], axis=0),
        }
    )


def _randomisation_columns(own: NetworkView, bottleneck: list[NetworkView], encoder: list[NetworkView]) -> pd.DataFrame:
    maps = unit_maps(own.explanation)
    near, far = (
        np.abs([paired_correlation(maps, unit_maps(view.explanation)) for view in views])
        for views in (bottleneck, encoder)
    )
    return pd.DataFrame(
        {
            "randomisation_correlation": near.mean(axis=0),
            "randomisation_highest": near.max(axis=0),
            "encoder_correlation": far.mean(axis=0),
        }
    )


def _curve_columns(model: Model, own: NetworkView, cells: SeenCells, *, rng: np.random.Generator) -> pd.DataFrame:
    rows = np.sort(rng.permutation(cells.inputs.shape[0])[:N_CURVE_CELLS])
    row = cells.attribution.baseline
    return curve_gains(
        model.weights,
        cells.dense(rows),
        baseline=np.asarray(cells.fill if row is None else row, dtype=np.float64),
        attributed=gene_weights(own.explanation),
        n_draws=N_CURVE_DRAWS,
        rng=rng,
    )


def _set_columns(tested: list[pd.DataFrame], pairs: list[UnitAgreement], *, n_units: int) -> pd.DataFrame:
    """Return the overlap of significant sets; NaN without sets, or for a unit that has none anywhere."""
    if not tested:
        return pd.DataFrame({"jaccard_sets": np.full(n_units, np.nan), "n_sets": np.full(n_units, np.nan)})
    own, *others = tested
    overlap = pd.DataFrame(
        [set_jaccard(own, other, pair.matching.partner) for other, pair in zip(others, pairs, strict=True)]
    )
    n_sets = (count_significant(own) > 0).sum(axis=1)
    return pd.DataFrame({"jaccard_sets": overlap.mean().to_numpy(), "n_sets": n_sets.to_numpy(dtype=np.float64)})


def _sharing(own: NetworkView, tested: list[pd.DataFrame]) -> dict[str, float | None]:
    """Return how units share genes, and, where sets were tested, sets; None where there is nothing to share."""
    facts: dict[str, float | None] = {"map_cosine": mean_absolute_cosine(unit_maps(own.explanation))}
    by_unit, by_set = set_sharing(tested[0]) if tested else (pd.Series(dtype=float), pd.Series(dtype=float))
    for name, ratios in (("sets_per_unit", by_unit[by_unit > 0]), ("units_per_set", by_set)):
        facts[name] = float(ratios.mean()) if len(ratios) else None
    return facts
