"""Enrichment of an explanation: which gene sets the genes of each unit form, in each group of cells."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from scprism._check import check_choice, some
from scprism._files import read_record, read_table, write_table
from scprism._warnings import keeps_warnings
from scprism.enrich.genesets import GeneSets
from scprism.enrich.gsea import gsea_with
from scprism.enrich.settings import GseaSettings
from scprism.errors import BundleError, InputError
from scprism.explain.explanation import Explanation
from scprism.types import FloatArray, PathLike, RNGLike

__all__ = [
    "ENRICHMENT_COLUMNS",
    "Scores",
    "count_significant",
    "enrich",
    "ranked_maps",
    "read_enrichment",
    "units_by_sets",
    "write_enrichment",
]

ENRICHMENT_COLUMNS = ("group", "unit", "gene_set", "size", "es", "nes", "p_value", "q_value", "leading_edge")
ALL = "all"
SCORES = ("signed", "absolute", "difference")

Scores = Literal["signed", "absolute", "difference"]


@keeps_warnings
def enrich(
    explanation: Explanation,
    sets: GeneSets,
    *,
    scores: Scores = "signed",
    settings: GseaSettings | None = None,
    rng: RNGLike = None,
    threads: int | None = None,
) -> pd.DataFrame:
    """Return one row a group, unit and gene set: ``group unit gene_set size es nes p_value q_value leading_edge``.

    Groups and units stand in the explanation's order, the sets of each by p-value; columns are those of `gsea`, and
    q-values are over all rows. The table's ``attrs`` name the null, the scores and the share of set symbols matched.

    Parameters
    ----------
    scores
        What genes are ranked by. ``"signed"``: the mean attribution, two-sided: sets that raise a unit stand apart
        from sets that lower it, which every other score mixes. ``"absolute"``: the mean of |attribution|, one-sided.
        ``"difference"``: as Walbech et al. (2022) did, a group's mean of |attribution| less that of the whole data set,
        two-sided, and no rows for the whole.
    settings
        Permutations, weight, size limits and null; `GseaSettings` by default. Its ``one_sided`` follows from `scores`.

    Warns
    -----
    PrismWarning
        For units without any attribution in a group (p-value 1).
    """
    check_choice("scores", scores, SCORES)
    maps, groups = ranked_maps(explanation, scores)
    chosen = replace(settings if settings is not None else GseaSettings(), one_sided=scores == "absolute")
    tests = pd.MultiIndex.from_product([groups, explanation.units])
    rankings = pd.DataFrame(
        maps.reshape(len(tests), -1),
        index=pd.Index([f"{group} / {unit}" for group, unit in tests]),
        columns=list(explanation.genes),
    )
    table = gsea_with(rankings, sets, settings=chosen, rng=rng, threads=threads)
    place = rankings.index.get_indexer(pd.Index(table["ranking"]))
    named = table.assign(group=tests.get_level_values(0)[place], unit=tests.get_level_values(1)[place])
    result = named[list(ENRICHMENT_COLUMNS)]
    result.attrs = {**table.attrs, "scores": scores}
    return result


def ranked_maps(explanation: Explanation, scores: Scores) -> tuple[FloatArray, list[str]]:
    """Return what genes are ranked by, (groups, units, genes), and the groups."""
    if scores == "signed":
        return explanation.signed, list(explanation.groups)
    if scores == "absolute":
        return explanation.absolute, list(explanation.groups)
    groups = [group for group in explanation.groups if group != ALL]
    if ALL not in explanation.groups or not groups:
        msg = (
            f'`scores="difference"` needs the group {ALL!r} and at least one other; the explanation has '
            f"{some(explanation.groups)}. Explain with `groupby`."
        )
        raise InputError(msg)
    absolute = dict(zip(explanation.groups, explanation.absolute.astype(np.float64), strict=True))
    return np.stack([absolute[group] - absolute[ALL] for group in groups]), groups


def count_significant(enrichment: pd.DataFrame, *, alpha: float = 0.05) -> pd.DataFrame:
    """Return in how many groups each set has a q-value under `alpha` for each unit, units × sets, all of both.

    The map of Walbech et al.'s (2022) Figure 5. The group ``"all"`` counts only where it is alone.
    """
    groups = enrichment["group"].astype(str)
    counted = (groups != ALL) | bool((groups == ALL).all())
    hits = enrichment.assign(hit=counted & (enrichment["q_value"] < alpha))
    table = hits.pivot_table(index="unit", columns="gene_set", values="hit", aggfunc="sum", observed=True)
    units, sets = enrichment["unit"].unique(), sorted(enrichment["gene_set"].unique())
    return table.reindex(index=units, columns=sets).rename_axis(index="unit", columns="gene_set").astype(np.int64)


def units_by_sets(enrichment: pd.DataFrame, *, alpha: float = 0.05) -> "pd.Series[int]":
    """Return how many units have 0, 1, 2, … sets that are significant in at least one group."""
    n_sets = (count_significant(enrichment, alpha=alpha) > 0).sum(axis=1)
    counts = np.bincount(n_sets.to_numpy(), minlength=1)
    return pd.Series(counts, index=pd.RangeIndex(counts.size, name="n_sets"), name="n_units")


def write_enrichment(enrichment: pd.DataFrame, path: PathLike) -> None:
    """Write the table as TSV, CSV or Parquet, and how it was tested (its ``attrs``) as ``PATH.json``."""
    missing = [column for column in ENRICHMENT_COLUMNS if column not in enrichment.columns]
    if missing:
        msg = f"`enrichment` must have the columns of `scprism.enrich`; it lacks {some(missing)}."
        raise InputError(msg)
    write_table(enrichment[list(ENRICHMENT_COLUMNS)], path, record=enrichment.attrs)


def read_enrichment(path: PathLike) -> pd.DataFrame:
    """Return the table that `write_enrichment` wrote, bit for bit, with its ``attrs`` where the JSON is still there."""
    numbers = {"size": np.int64, "es": np.float64, "nes": np.float64, "p_value": np.float64, "q_value": np.float64}
    kinds = {column: numbers.get(column, str) for column in ENRICHMENT_COLUMNS}
    try:
        table = read_table(path, dtypes=kinds)
        table.attrs = read_record(path) or {}
    except (OSError, ValueError) as error:
        msg = f"The enrichment in {str(path)!r} cannot be read: {error}. `scprism enrich` writes such files."
        raise BundleError(msg) from error
    if tuple(table.columns) != ENRICHMENT_COLUMNS:
        msg = (
            f"The columns of {str(path)!r} must be {' '.join(ENRICHMENT_COLUMNS)}, got "
            f"{some(map(str, table.columns))}. Give the file that `scprism enrich` wrote."
        )
        raise BundleError(msg)
    return table
