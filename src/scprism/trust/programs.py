"""Whether programs may be named: what the runs that found them say, what the query's cells say, and further fits."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism._random import random_generator
from scprism._threads import available_cores, one_thread_products
from scprism._warnings import keeps_warnings, warn
from scprism.estimator.model import Model
from scprism.estimator.programs import program_chunks
from scprism.estimator.view import View
from scprism.train.fit import data_fingerprint
from scprism.trust.inputs import MIN_CELLS, TrustSettings, training_cells
from scprism.trust.result import PROGRAM_COLUMNS, Trust
from scprism.trust.verdict import MAY_BE_NAMED, MAY_NOT_BE_NAMED, MIN_CORRELATION
from scprism.types import FloatArray, RNGLike
from scprism.units.fitting import coherence, fit_units
from scprism.units.inference import activity, per_ten_thousand, share_of_programs
from scprism.units.named import NamedUnits
from scprism.units.replication import correlations
from scprism.units.runs import gene_shuffled
from scprism.units.unit import Unit
from scprism.units.verdict import coherence_needed, run_reasons, run_rules

__all__ = ["assess_programs", "judged", "program_rules"]

logger = logging.getLogger("scprism")

LEAST_COVERAGE = 0.5
"""A unit of which a query lacks more than this, by weight, is another one there."""


@keeps_warnings
def assess_programs(
    model: Model,
    named: NamedUnits,
    query: AnnData | View,
    *,
    reference: AnnData | View | None = None,
    settings: TrustSettings = TrustSettings(),  # noqa: B008  frozen
    rng: RNGLike = None,
) -> Trust:
    """Return a verdict for each program, whether it may be named in these cells; arguments as in `assess_units`.

    Without `reference` nothing is fitted: the runs that found the units and the query's cells are asked.
    """
    view = model.view(query, layer=settings.layer) if isinstance(query, AnnData) else model.view(query)
    streams = random_generator(rng).spawn(2)
    values = _sampled(view, settings.max_cells, streams[0])
    present = view.query.alignment.gene_map.present
    measured = pd.DataFrame(
        {
            "unit": list(named.units.names),
            "replication": named.units.replication.astype(np.float64),
            "n_runs_found": named.units.n_runs_found.astype(np.float64),
            "coherence": named.units.coherence.astype(np.float64),
            "overlap": named.units.overlap.astype(np.float64),
            "shuffled_overlap": named.units.shuffled_overlap.astype(np.float64),
            "coverage": share_of_programs(named.units, present),
            "query_coherence": _query_coherence(named, values, present),
            "matched_correlation": np.nan,
            "shuffled_correlation": np.nan,
            "n_sets": [float(len(sets)) for sets in named.sets],
        }
    )
    if reference is not None:
        found = _fitted_again(model, named, reference, values, present, settings=settings, rng=streams[1])
        measured = measured.assign(matched_correlation=found[0], shuffled_correlation=found[1])
    n_cells = values.shape[0]
    reasons = [
        [*runs, *_broken(row, n_cells, has_refits=reference is not None)]
        for runs, row in zip(run_reasons(named.units), measured.to_dict("records"), strict=True)
    ]
    table = measured.assign(
        verdict=[MAY_NOT_BE_NAMED if broken else MAY_BE_NAMED for broken in reasons],
        reason=["; ".join(broken) or "keeps all rules" for broken in reasons],
    )[list(PROGRAM_COLUMNS)]
    n_refits = 0 if reference is None else settings.n_refits
    facts: dict[str, Any] = {
        "fingerprint": model.fingerprint,
        "units": "programs",
        "n_cells": n_cells,
        "n_refits": n_refits,
        "n_runs": named.units.settings.runs,
        "rules": program_rules(n_cells, n_refits=n_refits),
    }
    return Trust(table, facts)


def judged(units: Sequence[Unit], trust: Trust) -> list[Unit]:
    """Return records of units with the verdicts of `trust`; one that may not be named has no name."""
    verdicts = trust.table.set_index("unit")
    found = []
    for unit in units:
        may = bool(verdicts.loc[unit.name, "verdict"] == MAY_BE_NAMED)
        reason = "" if may else str(verdicts.loc[unit.name, "reason"])
        found.append(replace(unit, trusted=may, reason=reason, proposed_name=unit.proposed_name if may else ""))
    return found


def program_rules(n_cells: int, *, n_refits: int) -> list[str]:
    """Return in words the rules that a program keeps which may be named, over a number of the query's cells."""
    rules = [
        *run_rules(),
        f"The query has at least {LEAST_COVERAGE:.0%} of it, by the weight of its genes.",
    ]
    if n_cells >= MIN_CELLS:
        rules.append(
            "Its genes move together in the query too: there the activity read from half of them correlates with that "
            f"read from the others by at least {coherence_needed(n_cells):.2f}."
        )
    if n_refits:
        rules.append(
            "Further fits to the reference, from other starts and halves, find it: in the query's cells the median "
            f"over {n_refits} of the correlation with its partner's activity is at least {MIN_CORRELATION:g}, and "
            "above that of a fit to gene-shuffled cells."
        )
    return rules


def _sampled(view: View, max_cells: int, rng: np.random.Generator) -> sparse.csr_matrix:
    """Return log1p counts per 10,000 of a sample of the cells, CSR (cells, genes)."""
    n_cells = view.cells.n_obs
    if n_cells < MIN_CELLS:
        warn(
            f"In fewer than {MIN_CELLS} query cells ({n_cells}) it cannot be seen whether a unit's genes move together."
        )
    rows = np.sort(rng.permutation(n_cells)[:max_cells])
    parts = [
        values[rows[(rows >= place.start) & (rows < place.stop)] - place.start]
        for place, values in program_chunks(view.query)
    ]
    return sparse.vstack(parts, format="csr")


def _query_coherence(named: NamedUnits, values: sparse.csr_matrix, present: np.ndarray) -> FloatArray:
    """Return how well each unit's genes move together in the query's cells, NaN in too few."""
    if values.shape[0] < MIN_CELLS:
        return np.full(len(named.units.names), np.nan)
    weights = named.units.gene_weights.astype(np.float64) * present
    weighted = sparse.csr_matrix(values.multiply(weights[None]), dtype=np.float32)
    return coherence(named.units.programs * weights, weighted)


def _fitted_again(
    model: Model,
    named: NamedUnits,
    reference: AnnData | View,
    values: sparse.csr_matrix,
    present: np.ndarray,
    *,
    settings: TrustSettings,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Return each unit's correlation with its partner in further fits, median, and in one to shuffled genes."""
    training = training_cells(model, reference, layer=settings.reference_layer)
    if data_fingerprint(model.recipe, training) != model.summary["data_fingerprint"]:
        warn(
            "`reference` is not the data that the model was trained on (their fingerprints differ), so further fits "
            "differ by more than their starts."
        )
    cells = per_ten_thousand(training.inputs, target_sum=model.recipe.target_sum)
    own = activity(named.units, values, present)
    streams = rng.spawn(settings.n_refits + 1)
    matched = []
    with one_thread_products():
        for number, stream in enumerate(streams):
            is_last = number == settings.n_refits
            logger.info("fit to shuffled genes" if is_last else f"fit {number + 1} of {settings.n_refits}")
            given = gene_shuffled(cells, stream) if is_last else cells
            units = fit_units(given, settings=named.units.settings, rng=stream, threads=available_cores())
            other = activity(units, values, present) if units.names else np.zeros((values.shape[0], 0))
            matched.append(correlations(own, other).max(axis=1, initial=0.0))
    return np.median(matched[:-1], axis=0), matched[-1]


def _broken(row: dict[Any, float], n_cells: int, *, has_refits: bool) -> Sequence[str]:
    """Return the rules that a unit breaks in the query and in further fits, in words; NaN breaks a rule."""
    coverage, moves = row["coverage"], row["query_coherence"]
    rules = [(coverage >= LEAST_COVERAGE, f"the query has {coverage:.0%} of it, by weight")]
    if n_cells >= MIN_CELLS:
        needed = coherence_needed(n_cells)
        rules.append((moves >= needed, f"in the query its genes move together by {moves:.2f}, needs {needed:.2f}"))
    if has_refits:
        found, shuffled = row["matched_correlation"], row["shuffled_correlation"]
        rules += [
            (found >= MIN_CORRELATION, f"further fits agree by {found:.2f}, needs {MIN_CORRELATION:g}"),
            (found > shuffled, f"a fit to shuffled genes agrees as well ({shuffled:.2f})"),
        ]
    return [words for is_kept, words in rules if not np.bool_(is_kept)]
