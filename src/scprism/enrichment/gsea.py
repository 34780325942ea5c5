"""Pre-ranked gene set enrichment analysis of many rankings at once."""

from collections.abc import Sequence
from typing import NamedTuple
from warnings import warn

import numba
import numpy as np
import pandas as pd

from scprism._check import some
from scprism._random import random_generator, told_seed
from scprism.enrichment.gene_sets import GeneSets, match_sets
from scprism.enrichment.kernels import SetMembers
from scprism.enrichment.permutation import (
    NullSummary,
    matched_members,
    observed_scores,
    summarise_draws,
    summarise_shared,
)
from scprism.enrichment.rankings import Rankings, rank_genes
from scprism.enrichment.settings import GseaSettings, aligned_expression, check_settings, sign_messages, sized_sets
from scprism.enrichment.small_p import PValues, counted, resolved
from scprism.enrichment.table import Outcome, long_table
from scprism.errors import PrismWarning
from scprism.types import FloatArray, RNGLike

__all__ = ["CountedTests", "Tested", "counted_tests", "gsea", "gsea_with"]

NULL_NAMES = {"genes": "gene permutation", "matched": "permutation of genes of like mean expression"}


def gsea(
    scores: pd.DataFrame,
    sets: GeneSets,
    *,
    n_permutations: int = 1000,
    weight: float = 1.0,
    one_sided: bool = False,
    min_size: int = 10,
    max_size: int = 500,
    rng: RNGLike = None,
    threads: int | None = None,
) -> pd.DataFrame:
    """Return one row a ranking and gene set: its score, p-value, q-value and leading edge.

    Columns: ``ranking gene_set size es nes p_value log_p_error p_is_bound q_value leading_edge``. Rankings stand in
    their order, the sets of each by p-value.

    ``es`` is the largest deviation of the running sum of Subramanian et al. (2005), ``nes`` that over the mean of
    random sets of its size and sign, ``p_value`` the share of those that are as extreme, ``q_value`` corrects for all
    tests of the call (Benjamini and Hochberg 1995), ``leading_edge`` the set's genes up to the peak, the most extreme
    first, joined by ";". The null is that of random genes: it ignores that genes are correlated.

    Parameters
    ----------
    scores
        Rankings by genes, finite. Genes that score the same stand in alphabetical order, so nothing depends on the
        order of columns. A ranking whose genes all score the same has nothing to test: score 0, p-value 1.
    sets
        Gene symbols of each set, from `gene_sets`; other genes are passed over, sets outside the size limits left out.
    n_permutations
        Random sets for each size, shared by all rankings. P-values are (k + 1) / (n + 1), with n the random sets of the
        score's sign and k those as extreme. Where k is under 10 the tail is estimated, however small it is (see
        `scprism.enrichment.small_p`). ``log_p_error`` is the standard error of the p-value's natural logarithm,
        ``p_is_bound`` tells whether the p-value is only known to be no larger than that.
    weight
        Power of |score| by which a hit counts; 0 by rank alone.
    one_sided
        Only the upper deviation counts, for scores that cannot be negative.
    min_size, max_size
        Limits of the number of a set's genes among the columns.
    threads
        Default: numba's number of threads, all cores unless told.

    Raises
    ------
    InputError
        If scores are missing or infinite, names are not distinct, or no set matches within the limits.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> genes = [f"g{i}" for i in range(200)]
    >>> scores = pd.DataFrame(rng.normal(size=(1, 200)), index=["contrast"], columns=genes)
    >>> scores[genes[:20]] += 2  # the first twenty stand high
    >>> table = gsea(scores, {"high": genes[:20], "any": genes[100:120]}, rng=0)
    >>> table["gene_set"].tolist()
    ['high', 'any']
    >>> bool(table["p_value"].iloc[0] < 1e-6)
    True
    """
    settings = GseaSettings(n_permutations, weight, one_sided, min_size, max_size)
    tests = gsea_with(scores, sets, settings=settings, rng=rng, threads=threads)
    for message in tests.messages:
        warn(message, PrismWarning, stacklevel=2)
    tests.table.attrs.update(tests.settings)
    return tests.table


class Tested(NamedTuple):
    """The table of `gsea`, how its tests were made, and what the user should be warned of."""

    table: pd.DataFrame
    settings: dict[str, str | float | bool | None]
    messages: tuple[str, ...]


def gsea_with(
    scores: pd.DataFrame,
    sets: GeneSets,
    *,
    settings: GseaSettings,
    rng: RNGLike = None,
    threads: int | None = None,
) -> Tested:
    """Return the tests of `gsea` under the given settings, which offer more nulls.

    Under ``null="matched"`` p-values are counts only, so none is below 1 / (n_permutations + 1).
    """
    check_settings(settings)
    generator = random_generator(rng)
    rankings = rank_genes(scores, weight=settings.weight)
    matched = match_sets(sets, list(rankings.genes))
    names, members = sized_sets(matched, settings, n_genes=rankings.genes.size)
    n_threads = threads if threads is not None else int(numba.config.NUMBA_NUM_THREADS)
    es, peaks = observed_scores(rankings, members, one_sided=settings.one_sided, threads=n_threads)
    null, p_values = _tested(rankings, es, members, settings=settings, rng=generator, threads=n_threads)
    table = long_table(rankings, Outcome(names, members, es, peaks, _normalised(es, null), p_values))
    told: dict[str, str | float | bool | None] = {
        "null": NULL_NAMES[settings.null],
        "n_permutations": settings.n_permutations,
        "weight": settings.weight,
        "one_sided": settings.one_sided,
        "min_size": settings.min_size,
        "max_size": settings.max_size,
        "seed": told_seed(rng),
        "share_matched": matched.share,
        "n_sets_left_out": len(matched.members) - len(names),
    }
    messages = (
        *sign_messages(scores, one_sided=settings.one_sided),
        *matched.messages,
        *_flat_messages(rankings),
    )
    return Tested(table, told, messages)


class CountedTests(NamedTuple):
    """Tests by counts of random sets: names of the sets, normalised scores and p-values, (rankings, sets)."""

    names: list[str]
    nes: FloatArray
    p_values: FloatArray


def counted_tests(
    scores: FloatArray, genes: Sequence[str], sets: GeneSets, *, n_permutations: int = 200, rng: RNGLike = None
) -> CountedTests:
    """Return the tests of `gsea` with p-values that are counts alone: many rankings in a moment, no small p-value.

    Parameters
    ----------
    scores
        (rankings, genes).
    genes
        Their names.

    Raises
    ------
    InputError
        As `gsea`.
    """
    rankings = rank_genes(pd.DataFrame(scores, columns=list(genes)), weight=1.0)
    names, members = sized_sets(match_sets(sets, list(rankings.genes)), GseaSettings(), n_genes=rankings.genes.size)
    threads = int(numba.config.NUMBA_NUM_THREADS)
    es, _ = observed_scores(rankings, members, one_sided=False, threads=threads)
    null = summarise_shared(
        rankings,
        es,
        np.diff(members.starts),
        n_permutations=n_permutations,
        one_sided=False,
        rng=random_generator(rng),
        threads=threads,
    )
    return CountedTests(names, _normalised(es, null), counted(null).p_values)


def _flat_messages(rankings: Rankings) -> tuple[str, ...]:
    if not rankings.flat.any():
        return ()
    names = [str(name) for name in rankings.names[rankings.flat]]
    return (f"All genes score the same in {len(names):,} rankings, which get p-value 1: {some(names)}.",)


def _tested(
    rankings: Rankings,
    es: FloatArray,
    members: SetMembers,
    *,
    settings: GseaSettings,
    rng: np.random.Generator,
    threads: int,
) -> tuple[NullSummary, PValues]:
    """Return the summary of the null, and p-values, (rankings, sets)."""
    one_sided = settings.one_sided
    if settings.expression is not None:
        expression = aligned_expression(settings.expression, rankings.genes)
        drawn = matched_members(members, expression, n_permutations=settings.n_permutations, rng=rng)
        scores = (observed_scores(rankings, m, one_sided=one_sided, threads=threads)[0] for m in drawn)
        null = summarise_draws(es, scores)
        return null, counted(null)
    sizes = np.diff(members.starts)
    n = settings.n_permutations
    null = summarise_shared(rankings, es, sizes, n_permutations=n, one_sided=one_sided, rng=rng, threads=threads)
    return null, resolved(rankings, members, es, null=null, one_sided=one_sided, rng=rng, threads=threads)


def _normalised(es: FloatArray, null: NullSummary) -> FloatArray:
    """Return scores over the mean size of the null's scores of their sign; a score stands in where there are none."""
    size = np.where(null.n_same > 0, null.sum_same / np.maximum(null.n_same, 1), np.abs(es))
    return np.divide(es, size, out=np.zeros_like(es), where=size > 0)
