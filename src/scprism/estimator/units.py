"""The units of a trained model: found in the training cells, and named by the gene sets that they form."""

import logging

import numpy as np
import pandas as pd
from scipy import sparse

from scprism._threads import available_cores, one_thread_products
from scprism._warnings import warn
from scprism.enrichment.gene_sets import gene_sets
from scprism.enrichment.gsea import counted_tests, gsea
from scprism.errors import InputError
from scprism.prepare.recipe import Recipe
from scprism.train.stored import StoredRows
from scprism.types import Organism
from scprism.units.fitting import fit_with_runs
from scprism.units.inference import per_ten_thousand
from scprism.units.named import FoundSet, NamedUnits
from scprism.units.record import Units, UnitSettings
from scprism.units.runs import RunPrograms

__all__ = ["find_units", "found_sets"]

logger = logging.getLogger("scprism")

SIGNIFICANT = 0.05
CELLS_A_PROGRAM = 20
LEAST_SHARE_OF_RUNS = 0.8


def find_units(
    inputs: sparse.csr_matrix | StoredRows, recipe: Recipe, *, settings: UnitSettings, rng: np.random.Generator
) -> NamedUnits | None:
    """Return the units of a model's training cells, None where there can be none; a warning says why.

    Parameters
    ----------
    inputs
        The training cells as the recipe normalises them, csr (cells, genes). Of more than twice `max_cells` of the
        settings, that many are drawn; no others are read.
    recipe
        Of the model.
    settings
        How units are found.
    """
    if recipe.normalise != "per_cell":
        warn(
            "Units are programs of log counts, and these values are normalised in another way: the units are raw ones."
        )
        return None
    least = CELLS_A_PROGRAM * min(settings.ranks)
    if inputs.shape[0] < least:
        warn(f"{inputs.shape[0]:,} cells are too few to see which units come back ({least:,}): the units are raw ones.")
        return None
    most = 2 * settings.max_cells  # as many as the halves may have
    drawn = np.sort(rng.choice(inputs.shape[0], most, replace=False)) if inputs.shape[0] > most else slice(None)
    values = per_ten_thousand(inputs[drawn], target_sum=recipe.target_sum)
    with one_thread_products():
        units, runs = fit_with_runs(values, settings=settings, rng=rng, threads=available_cores())
    if not units.names:
        warn("No unit came back in other cells of this data set: the units are raw ones.")
        return None
    logger.info("units: %d come back, %d did not", len(units.names), units.n_dropped)
    return NamedUnits(units, recipe.genes, found_sets(units, runs, recipe.genes, organism=recipe.organism, rng=rng))


def found_sets(
    units: Units, runs: RunPrograms, genes: tuple[str, ...], *, organism: Organism | None, rng: np.random.Generator
) -> tuple[tuple[FoundSet, ...], ...]:
    """Return the Hallmark sets that each unit's genes form, the strongest first; none where the organism is unknown.

    Genes are ranked by how much more they count for the unit than for the units on average. A set is found if it is
    significant (q < 0.05) in the unit, in the same direction in at least four fifths of the runs in which the unit came
    back, and scores higher than in any program of gene-shuffled cells.
    """
    nothing: tuple[tuple[FoundSet, ...], ...] = tuple(() for _ in units.names)
    if organism is None or not len(runs.scores):
        return nothing
    counted = units.programs * units.gene_weights
    scores = counted - (counted.mean(axis=0) if len(counted) > 1 else 0.0)
    sets = gene_sets("hallmark", organism=organism)
    try:
        table = gsea(pd.DataFrame(scores, columns=list(genes)), sets, rng=rng)
    except InputError as error:  # no set has enough of the genes
        logger.info("units are named by their genes: %s", error)
        return nothing
    single, shuffled = (counted_tests(part, genes, sets, rng=rng) for part in (runs.scores, runs.shuffled))
    found: list[list[FoundSet]] = [[] for _ in units.names]
    for row in table[table["q_value"] < SIGNIFICANT].sort_values("q_value", kind="stable").to_dict("records"):
        unit, name, nes = int(row["ranking"]), str(row["gene_set"]), float(row["nes"])
        column, sign = single.names.index(name), np.sign(nes)
        own = runs.unit == unit
        is_found = (single.p_values[own, column] < SIGNIFICANT) & (np.sign(single.nes[own, column]) == sign)
        share = float(is_found.mean()) if own.any() else 0.0
        if share >= LEAST_SHARE_OF_RUNS and abs(nes) > (sign * shuffled.nes[:, column]).max(initial=0.0):
            edge = tuple(str(row["leading_edge"]).split(";"))
            found[unit].append(FoundSet(name, "up" if sign > 0 else "down", nes, float(row["q_value"]), share, edge))
    return tuple(map(tuple, found))
