"""How gene sets are tested, and the checks of those settings."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scprism._check import check_choice, some
from scprism.enrichment.gene_sets import MatchedSets
from scprism.enrichment.kernels import SetMembers
from scprism.errors import InputError

__all__ = ["GseaSettings", "aligned_expression", "check_settings", "sign_messages", "sized_sets"]


@dataclass(frozen=True)
class GseaSettings:
    """How sets are tested.

    Attributes
    ----------
    n_permutations
        Random sets per test.
    weight
        Power of |score| by which a hit counts: 0 by rank alone, 1 as Subramanian et al. (2005) recommend.
    one_sided
        Only the upper deviation counts, as in fgsea's ``scoreType="pos"``: for scores that cannot be negative.
    min_size, max_size
        Limits of the number of a set's genes that are in the rankings.
    null
        ``"genes"``: any genes of the rankings; ``"matched"``: genes of like mean expression.
    expression
        Mean expression by gene; for ``"matched"``, and for that only.
    """

    n_permutations: int = 1000
    weight: float = 1.0
    one_sided: bool = False
    min_size: int = 10
    max_size: int = 500
    null: Literal["genes", "matched"] = "genes"
    expression: "pd.Series[float] | None" = None


def check_settings(settings: GseaSettings) -> None:
    """Raise `InputError` for settings that cannot be used."""
    check_choice("null", settings.null, ("genes", "matched"))
    if settings.n_permutations < 1:
        msg = f"`n_permutations` must be at least 1, got {settings.n_permutations}."
        raise InputError(msg)
    if not 0 <= settings.weight < np.inf:
        msg = f"`weight` must be 0 or more and finite, got {settings.weight}."
        raise InputError(msg)
    if not 1 <= settings.min_size <= settings.max_size:
        msg = f"`min_size` must be from 1 to `max_size`, got {settings.min_size} and {settings.max_size}."
        raise InputError(msg)
    if (settings.null == "matched") != (settings.expression is not None):
        msg = 'Give `expression`, the mean expression by gene, with `null="matched"` and only with it.'
        raise InputError(msg)


def sign_messages(scores: pd.DataFrame, *, one_sided: bool) -> tuple[str, ...]:
    """Return a warning of scores that do not fit the number of sides."""
    negative = bool((scores.to_numpy() < 0).any())
    if one_sided and negative:
        return (
            "A one-sided test is meant for scores that are never negative, but some are: sets at the bottom go unseen.",
        )
    if not one_sided and not negative:
        return (
            "No score is negative, so the lower side of a two-sided test has no meaning; a one-sided test fits them.",
        )
    return ()


def sized_sets(matched: MatchedSets, settings: GseaSettings, *, n_genes: int) -> tuple[list[str], SetMembers]:
    """Return the names and members of the sets within the size limits, in their order."""
    # A set of all genes leaves nothing to compare it with.
    largest = min(settings.max_size, n_genes - 1)
    kept = {name: genes for name, genes in matched.members.items() if settings.min_size <= genes.size <= largest}
    if not kept:
        sizes = sorted(genes.size for genes in matched.members.values())
        msg = (
            f"No gene set has between {settings.min_size} and {largest} genes among the {n_genes:,} of the rankings; "
            f"the {len(sizes):,} sets have {sizes[0]} to {sizes[-1]}. Change `min_size` or `max_size`."
        )
        raise InputError(msg)
    starts = np.concatenate([[0], np.cumsum([genes.size for genes in kept.values()])])
    return list(kept), SetMembers(np.concatenate(list(kept.values())), starts.astype(np.int64))


def aligned_expression(expression: "pd.Series[float]", genes: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return the mean expression of `genes`, in their order."""
    by_name = expression.rename(index=str)
    missing = [str(gene) for gene in genes if gene not in by_name.index]
    if missing or by_name.index.has_duplicates:
        msg = f"`expression` must name each gene of the rankings once; without one: {some(missing)}."
        raise InputError(msg)
    return np.asarray(by_name[list(genes)], dtype=np.float64)
