"""Enrichment of an explanation: which gene sets the genes of each unit form, in each group of cells."""

from dataclasses import replace
from typing import Literal
from warnings import warn

import numpy as np
import pandas as pd

from scprism._check import check_choice, some
from scprism.enrichment.gene_sets import GeneSets
from scprism.enrichment.gsea import gsea_with
from scprism.enrichment.result import ALL, ENRICHMENT_COLUMNS, Enrichment
from scprism.enrichment.settings import GseaSettings
from scprism.errors import InputError, PrismWarning
from scprism.explain.explanation import Explanation
from scprism.types import FloatArray, RNGLike

__all__ = ["Scores", "enrich", "ranked_maps", "tested_maps"]

SCORES = ("signed", "absolute", "difference")

Scores = Literal["signed", "absolute", "difference"]


def enrich(
    explanation: Explanation,
    sets: GeneSets,
    *,
    scores: Scores = "signed",
    settings: GseaSettings | None = None,
    rng: RNGLike = None,
    threads: int | None = None,
) -> Enrichment:
    """Return which gene sets the genes of each unit form, in each group of cells.

    The result's ``table`` has one row a group, unit and gene set. Groups and units stand in the explanation's order,
    the sets of each by p-value; columns are those of `gsea`, and q-values are over all rows.

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
        For units without any attribution in a group (p-value 1), and for gene sets of another organism or with few
        genes in common. The messages are kept in the result's ``warnings``.

    Examples
    --------
    >>> import scprism
    >>> cells = scprism.make_cells(rng=0)
    >>> model = scprism.Prism(genes="all", max_epochs=2, rng=0).fit(cells)
    >>> programs = {name: list(cells.var_names[cells.var[name]]) for name in cells.var if name.startswith("program")}
    >>> paths = scprism.enrich(model.explain(cells), programs, rng=0)
    >>> paths.table[["unit", "gene_set", "nes", "p_value", "q_value"]].head()  # doctest: +SKIP
    >>> paths.save("enrichment.tsv")  # doctest: +SKIP
    """
    result = tested_maps(explanation, sets, scores=scores, settings=settings, rng=rng, threads=threads)
    for message in result.warnings:
        warn(message, PrismWarning, stacklevel=2)
    return result


def tested_maps(
    explanation: Explanation,
    sets: GeneSets,
    *,
    scores: Scores,
    settings: GseaSettings | None,
    rng: RNGLike,
    threads: int | None,
) -> Enrichment:
    """Return the result of `enrich` without saying its warnings."""
    check_choice("scores", scores, SCORES)
    maps, groups = ranked_maps(explanation, scores)
    chosen = replace(settings if settings is not None else GseaSettings(), one_sided=scores == "absolute")
    tests = pd.MultiIndex.from_product([groups, explanation.units])
    rankings = pd.DataFrame(
        maps.reshape(len(tests), -1),
        index=pd.Index([f"{group} / {unit}" for group, unit in tests]),
        columns=list(explanation.genes),
    )
    tested = gsea_with(rankings, sets, settings=chosen, rng=rng, threads=threads)
    place = rankings.index.get_indexer(pd.Index(tested.table["ranking"]))
    named = tested.table.assign(group=tests.get_level_values(0)[place], unit=tests.get_level_values(1)[place])
    settings_told = {**tested.settings, "scores": scores, "fingerprint": explanation.fingerprint}
    return Enrichment(named[list(ENRICHMENT_COLUMNS)], settings_told, tested.messages)


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
