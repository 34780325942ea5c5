"""Over-representation of gene sets in a list of genes."""

from collections import Counter
from collections.abc import Collection
from typing import Literal
from warnings import warn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom

from scprism._check import check_choice, some
from scprism.enrichment.gene_sets import GeneSets, gene_numbers, match_sets
from scprism.errors import InputError, PrismWarning
from scprism.types import FloatArray

__all__ = ["ORA_COLUMNS", "hypergeometric_tail", "odds_ratio", "ora"]

ORA_COLUMNS = ("gene_set", "size", "overlap", "expected", "odds_ratio", "p_value", "q_value", "genes")


def ora(
    genes: Collection[str],
    sets: GeneSets,
    *,
    background: Collection[str] | Literal["sets"],
    min_size: int = 10,
    max_size: int = 500,
) -> pd.DataFrame:
    """Return one row a gene set, by p-value: ``gene_set size overlap expected odds_ratio p_value q_value genes``.

    ``size`` counts the set's genes in the background, ``overlap`` those in the list as well (named in ``genes``,
    alphabetically, joined by ";"), ``expected`` what chance alone would give. ``p_value`` is the probability of that
    overlap or a larger one (hypergeometric, the same as Fisher's exact test, one-sided), ``odds_ratio`` the sample's
    (infinite where list or set hold all there is), ``q_value`` corrects for all sets (Benjamini and Hochberg 1995).

    Parameters
    ----------
    genes
        The list. Genes outside the background are passed over: they could not have been chosen.
    sets
        Symbols of each set, from `gene_sets`; matched to the background as `gsea` matches them to its columns.
    background
        The genes that could have been in the list. Either these genes, as a rule all that were measured; or ``"sets"``:
        the genes in any of the sets, which asks how the listed genes divide among the sets, and not whether they are
        in sets at all. The second is what a model on Hallmark genes needs: it knows no others.
    min_size, max_size
        Limits of the number of a set's genes in the background.

    Examples
    --------
    >>> sets = {"a": ["g1", "g2"], "b": ["g3", "g4", "g5"]}
    >>> ora(["g1", "g2"], sets, background="sets", min_size=1)[["gene_set", "overlap", "p_value"]]
      gene_set  overlap  p_value
    0        a        2      0.1
    1        b        0      1.0
    """
    universe = _universe(background, sets)
    matched = match_sets(sets, universe)
    kept = {name: members for name, members in matched.members.items() if min_size <= members.size <= max_size}
    if not kept:
        msg = f"No gene set has between {min_size} and {max_size} genes among the {len(universe):,} of the background."
        raise InputError(msg)
    listed, messages = _listed(genes, universe)
    for message in (*matched.messages, *messages):
        warn(message, PrismWarning, stacklevel=2)
    sizes = np.array([members.size for members in kept.values()])
    shared = [members[listed[members]] for members in kept.values()]
    overlap = np.array([members.size for members in shared])
    counts = {"n_listed": int(listed.sum()), "n_background": len(universe)}
    p_values = hypergeometric_tail(overlap, sizes, **counts)
    table = pd.DataFrame(
        {
            "gene_set": list(kept),
            "size": sizes,
            "overlap": overlap,
            "expected": sizes * counts["n_listed"] / counts["n_background"],
            "odds_ratio": odds_ratio(overlap, sizes, **counts),
            "p_value": p_values,
            "q_value": false_discovery_control(p_values),
            "genes": [";".join(universe[k] for k in members) for members in shared],
        }
    ).sort_values(["p_value", "gene_set"], kind="stable", ignore_index=True)
    table.attrs["background"] = "genes of the sets" if isinstance(background, str) else "genes given"
    table.attrs.update(counts)
    return table


def hypergeometric_tail(
    overlap: NDArray[np.int64], sizes: NDArray[np.int64], *, n_listed: int, n_background: int
) -> NDArray[np.float64]:
    """Return the probability of at least this overlap between a set and as many genes drawn at random, (sets,)."""
    tail: NDArray[np.float64] = hypergeom.sf(overlap - 1, n_background, sizes, n_listed)
    return np.clip(tail, np.finfo(np.float64).tiny, 1.0)


def odds_ratio(overlap: NDArray[np.int64], sizes: NDArray[np.int64], *, n_listed: int, n_background: int) -> FloatArray:
    """Return the odds of a set's genes to be listed over those of the other genes; 0/0 counts as 1, (sets,)."""
    listed_in, unlisted_in = overlap, sizes - overlap
    listed_out = n_listed - overlap
    unlisted_out = n_background - sizes - listed_out
    above, below = (listed_in * unlisted_out).astype(float), (unlisted_in * listed_out).astype(float)
    ratio = np.divide(above, below, out=np.full(above.shape, np.inf), where=below > 0)
    return np.where((above == 0) & (below == 0), 1.0, ratio)


def _universe(background: Collection[str] | Literal["sets"], sets: GeneSets) -> list[str]:
    if isinstance(background, str):
        check_choice("background", background, ("sets",))
        # Two spellings that differ in capitals only are one gene.
        return sorted({gene.casefold(): gene for gene in sorted(_names(sets), reverse=True)}.values())
    return sorted({str(gene) for gene in background})


def _names(sets: GeneSets) -> set[str]:
    return {str(gene) for members in sets.values() for gene in members}


def _listed(genes: Collection[str], universe: list[str]) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which genes of the background are in the list, and what to warn of."""
    names = [str(gene) for gene in genes]
    if isinstance(genes, str) or not names:
        msg = f"`genes` must be a list of at least one symbol, got {genes!r}."
        raise InputError(msg)
    found = gene_numbers(names, universe)
    n_alike = Counter(gene.casefold() for gene in universe)
    unclear = sorted({name for name in names if name not in found and n_alike[name.casefold()] > 1})
    messages = []
    if unclear:
        messages.append(
            f"{len(unclear):,} listed genes are left out: each could be one of several genes of the background that "
            f"differ in capitals only: {some(unclear)}. Spell them as in the background."
        )
    if not found:
        msg = (
            f"None of the {len(names):,} listed genes (such as {some(names, limit=3)}) is in the background (such as "
            f"{some(universe, limit=3)}). " + (messages[0] if messages else "Give both as symbols of one organism.")
        )
        raise InputError(msg)
    listed = np.zeros(len(universe), dtype=bool)
    listed[list(found.values())] = True
    return listed, messages
