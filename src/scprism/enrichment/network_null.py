"""Enrichment against networks that have learned nothing: whether genes form a set because of what was learned."""

from collections.abc import Iterable, Iterator, Sequence
from warnings import warn

import numba
import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from scprism._check import some
from scprism.enrichment.enrich import Scores, ranked_maps, tested_maps
from scprism.enrichment.gene_sets import GeneSets, match_sets
from scprism.enrichment.kernels import SetMembers
from scprism.enrichment.permutation import NullSummary, observed_scores, summarise_draws
from scprism.enrichment.rankings import rank_genes
from scprism.enrichment.result import Enrichment
from scprism.enrichment.settings import GseaSettings, sized_sets
from scprism.enrichment.small_p import counted
from scprism.errors import InputError, PrismWarning
from scprism.explain.explanation import Explanation
from scprism.types import FloatArray, IntArray, RNGLike

__all__ = ["enrich_against", "map_scores", "unit_draws"]


def enrich_against(
    explanation: Explanation,
    sets: GeneSets,
    nulls: Iterable[Explanation],
    *,
    scores: Scores = "signed",
    settings: GseaSettings | None = None,
    rng: RNGLike = None,
    threads: int | None = None,
) -> Enrichment:
    """Return the result of `enrich`, in which a set must stand out twice: from random genes, and in null networks.

    ``p_value`` is the larger of two, and ``nes`` the one nearer to 0: that of `enrich`, which asks whether random genes
    would score as high in this ranking, and that of the same set in the same group in the units of `nulls`, which asks
    whether networks that learned nothing of it score as high, for all their genes' levels, spreads and correlations.
    The first takes no account of genes that vary together. The second alone calls too many: a trained unit rests on
    fewer genes than a random one, so that any set with a few of them looks unusual (``benchmarks/network_null.py``).
    With n null scores of the set's sign and k of them as extreme the second p-value is (k + 1) / (n + 1), so it cannot
    be smaller than 1 / (n + 1).

    Parameters
    ----------
    nulls
        From `scprism.trust.null_networks.null_explanations`, of the same cells, groups, genes, method and baseline.
        The units of a null network have no order, so each counts as a draw for every unit. Explanations of the network
        itself with other groups (its fingerprint tells) are compared unit by unit. Gone through once.

    Raises
    ------
    InputError
        If there are no nulls, or they are of other groups, other genes, another method or another baseline.
    """
    chosen = settings or GseaSettings()
    alone = tested_maps(explanation, sets, scores=scores, settings=chosen, rng=rng, threads=threads)
    table = alone.table
    groups = ranked_maps(explanation, scores)[1]
    genes = np.sort(np.asarray(explanation.genes))
    names, members = sized_sets(match_sets(sets, list(genes)), chosen, n_genes=genes.size)
    axes = {"group": groups, "unit": explanation.units, "gene_set": names}
    places = tuple(pd.Index(axis).get_indexer(pd.Index(table[column])) for column, axis in axes.items())
    observed = np.zeros([len(axis) for axis in axes.values()])
    observed[places] = table["es"]

    n_threads = threads if threads is not None else int(numba.config.NUMBA_NUM_THREADS)

    def drawn() -> Iterator[FloatArray]:
        for null in nulls:
            _check_null(null, explanation)
            maps = ranked_maps(null, scores)[0]
            null_scores = map_scores(
                maps, null.genes, members, weight=chosen.weight, one_sided=scores == "absolute", threads=n_threads
            )
            yield from unit_draws(
                null_scores, n_units=observed.shape[1], same_units=null.fingerprint == explanation.fingerprint
            )

    null = summarise_draws(observed.reshape(-1, len(names)), (draw.reshape(-1, len(names)) for draw in drawn()))
    if null.n_draws == 0:
        msg = "`nulls` must hold at least one explanation, got none. Make them with `null_explanations`."
        raise InputError(msg)
    rows = np.ravel_multi_index(places, observed.shape)
    for message in alone.warnings:
        warn(message, PrismWarning, stacklevel=2)
    told = {
        **alone.settings,
        "null": f"{alone.settings['null']} and null networks, the larger p-value",
        "n_null_draws": null.n_draws,
    }
    return Enrichment(_joined(table, null, rows), told, alone.warnings)


def map_scores(
    maps: FloatArray, genes: Sequence[str], members: SetMembers, *, weight: float, one_sided: bool, threads: int
) -> FloatArray:
    """Return the enrichment score of each set in each map, (groups, units, sets).

    `maps` is (groups, units, genes); gene numbers in `members` are places among the genes in alphabetical order.
    """
    rankings = rank_genes(pd.DataFrame(maps.reshape(-1, maps.shape[2]), columns=list(genes)), weight=weight)
    scores = observed_scores(rankings, members, one_sided=one_sided, threads=threads)[0]
    return np.where(rankings.flat[:, None], 0.0, scores).reshape(*maps.shape[:2], -1)


def unit_draws(null_scores: FloatArray, *, n_units: int, same_units: bool) -> Iterator[FloatArray]:
    """Yield what one null network says of every unit, each (groups, units, sets).

    Parameters
    ----------
    null_scores
        Its units' scores, (groups, null units, sets).
    same_units
        Its units are those of the explained network, each a draw for itself only: one table. Otherwise each null unit
        is a draw for all units alike.
    """
    if same_units:
        yield null_scores
        return
    for unit in range(null_scores.shape[1]):
        yield np.repeat(null_scores[:, unit : unit + 1], n_units, axis=1)


def _check_null(null: Explanation, explanation: Explanation) -> None:
    for what in ("groups", "genes", "method", "baseline", "minus"):
        got, wanted = getattr(null, what), getattr(explanation, what)
        if got != wanted:
            named = [some([one] if isinstance(one, str) else one, limit=3) for one in (wanted, got)]
            msg = f"A null must have the explanation's {what}, {named[0]}, got {named[1]}."
            raise InputError(f"{msg} Make nulls with the arguments of `explain`.")


def _joined(table: pd.DataFrame, null: NullSummary, rows: IntArray) -> pd.DataFrame:
    """Return the table with the larger p-values and the smaller normalised scores; `rows` are its tests in the null."""
    sums = null.sum_same.ravel()[rows]
    networks = counted(null)
    network_p_values = networks.p_values.ravel()[rows]
    es, nes, p_values = (table[column].to_numpy() for column in ("es", "nes", "p_value"))
    by_networks = np.divide(es * null.n_same.ravel()[rows], sums, out=nes.copy(), where=sums > 0)
    larger = network_p_values > p_values
    joined = table.assign(
        nes=np.where(np.abs(by_networks) < np.abs(nes), by_networks, nes),
        p_value=np.maximum(p_values, network_p_values),
        log_p_error=np.where(larger, networks.log_errors.ravel()[rows], table["log_p_error"]),
        p_is_bound=np.where(larger, networks.are_bounds.ravel()[rows], table["p_is_bound"]),
    )
    joined["q_value"] = false_discovery_control(joined["p_value"])
    # Rankings stay in their order; pandas' codes of first appearance are that order.
    ranking = joined.groupby(["group", "unit"], sort=False, observed=True).ngroup().to_numpy()
    order = np.lexsort((joined["gene_set"].to_numpy().astype(str), -np.abs(joined["nes"]), joined["p_value"], ranking))
    return joined.iloc[order].reset_index(drop=True)
