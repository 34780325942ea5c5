"""The units of a trained model: found in the training cells, and named by the gene sets that they form."""

import logging

import numpy as np
import pandas as pd
from scipy import sparse

from scprism._threads import available_cores, one_thread_products
from scprism._warnings import warn
from scprism.enrichment.gene_sets import gene_sets
from scprism.enrichment.gsea import gsea
from scprism.errors import InputError
from scprism.prepare.recipe import Recipe
from scprism.types import FloatArray, Organism
from scprism.units.fitting import fit_units
from scprism.units.inference import per_ten_thousand
from scprism.units.named import FoundSet, NamedUnits
from scprism.units.record import Units, UnitSettings

__all__ = ["find_units", "found_sets"]

logger = logging.getLogger("scprism")

SIGNIFICANT = 0.05
CELLS_A_PROGRAM = 20


def find_units(
    inputs: sparse.csr_matrix, recipe: Recipe, *, settings: UnitSettings, rng: np.random.Generator
) -> NamedUnits | None:
    """Return the units of a model's training cells, None where there can be none; a warning says why.

    Parameters
    ----------
    inputs
        The training cells as the recipe normalises them, csr (cells, genes).
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
    values = per_ten_thousand(inputs, target_sum=recipe.target_sum)
    with one_thread_products():
        units = fit_units(values, settings=settings, rng=rng, threads=available_cores())
    if not units.names:
        warn("No unit came back in other cells of this data set: the units are raw ones.")
        return None
    logger.info("units: %d come back, %d did not", len(units.names), units.n_dropped)
    return NamedUnits(units, recipe.genes, found_sets(units, recipe.genes, organism=recipe.organism, rng=rng))


def found_sets(
    units: Units, genes: tuple[str, ...], *, organism: Organism | None, rng: np.random.Generator
) -> tuple[tuple[FoundSet, ...], ...]:
    """Return the Hallmark sets that each unit's genes form, the strongest first; none where the organism is unknown.

    Genes are ranked by how much more they count for the unit than for the units on average. A set is found if it is
    significant (q < 0.05, upper end) both by the unit's weights and by the lowest that they had over the runs.
    """
    nothing: tuple[tuple[FoundSet, ...], ...] = tuple(() for _ in units.names)
    if organism is None:
        return nothing
    counted, lowest = (part * units.gene_weights for part in (units.programs, units.low))
    usual = counted.mean(axis=0) if len(counted) > 1 else np.zeros(counted.shape[1])
    try:
        own, low = (_significant(part - usual, units, genes, organism=organism, rng=rng) for part in (counted, lowest))
    except InputError as error:  # no set has enough of the genes
        logger.info("units are named by their genes: %s", error)
        return nothing
    found = []
    for unit in units.names:
        both = own[(own["ranking"] == unit) & own["gene_set"].isin(low.loc[low["ranking"] == unit, "gene_set"])]
        rows = both.sort_values(["q_value", "nes"], ascending=[True, False])
        names, edges = rows["gene_set"].astype(str).tolist(), rows["leading_edge"].astype(str).str.split(";").tolist()
        q_values = rows["q_value"].astype(float).tolist()
        found.append(tuple(FoundSet(s, q, tuple(e)) for s, q, e in zip(names, q_values, edges, strict=True)))
    return tuple(found)


def _significant(
    scores: FloatArray, units: Units, genes: tuple[str, ...], *, organism: Organism, rng: np.random.Generator
) -> pd.DataFrame:
    rankings = pd.DataFrame(scores, index=list(units.names), columns=list(genes))
    table = gsea(rankings, gene_sets("hallmark", organism=organism), rng=rng)
    return table[(table["q_value"] < SIGNIFICANT) & (table["es"] > 0)]
