"""Gene sets by name or from a file, and their genes' numbers among the genes of a ranking."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from scprism._bundled import bundled_path
from scprism._check import check_choice, some
from scprism.errors import InputError, PrismWarning
from scprism.genes.organism import detect_organism
from scprism.genes.tables import read_gmt
from scprism.types import Organism, PathLike

__all__ = ["GeneSets", "MatchedSets", "gene_sets", "match_sets"]

log = logging.getLogger("scprism")

GeneSets: TypeAlias = Mapping[str, Collection[str]]

HALLMARK: dict[Organism, str] = {
    "human": "h.all.v2024.1.Hs.symbols.gmt",
    "mouse": "mh.all.v2023.1.Mm.symbols.gmt",
}
# Hallmark sets on a few thousand variable genes match about a quarter; below this share something is likely wrong.
LOW_SHARE = 0.2


@dataclass(frozen=True)
class MatchedSets:
    """Gene sets as gene numbers.

    Attributes
    ----------
    members
        Gene numbers of each set, ascending and distinct, int32.
    share
        Share of the sets' distinct symbols that are among the genes.
    """

    members: dict[str, NDArray[np.int32]]
    share: float


def gene_sets(
    source: PathLike | Literal["hallmark"] | GeneSets, *, organism: Organism | None = None
) -> dict[str, tuple[str, ...]]:
    """Return gene sets by name, each a tuple of distinct symbols.

    Parameters
    ----------
    source
        ``"hallmark"``: the 50 Hallmark sets of MSigDB that come with scprism (Liberzon et al. 2015; for mouse Castanza
        et al. 2023, CC BY 4.0). A path: a GMT file. A mapping: names to symbols.
    organism
        Which Hallmark sets; needed for those only. For other sources a warning tells if their symbols are the other
        organism's.

    Examples
    --------
    >>> gene_sets({"clock": ["Per1", "Per2", "Per1"]})
    {'clock': ('Per1', 'Per2')}
    """
    if organism is not None:
        check_choice("organism", organism, HALLMARK)
    if isinstance(source, Mapping):
        sets = {str(name): tuple(dict.fromkeys(str(g) for g in _symbols(name, source[name]))) for name in source}
    elif source == "hallmark":
        if organism is None:
            msg = "`organism` must be 'human' or 'mouse' for the Hallmark sets, got None."
            raise InputError(msg)
        return read_gmt(bundled_path(HALLMARK[organism]))
    else:
        sets = read_gmt(source)
    _check_organism(sets, organism)
    return sets


def _symbols(name: str, genes: Collection[str]) -> Collection[str]:
    if isinstance(genes, str) or len(genes) == 0:
        msg = f"The gene set {name!r} must be a list of at least one symbol, got {genes!r}."
        raise InputError(msg)
    return genes


def _check_organism(sets: GeneSets, organism: Organism | None) -> None:
    symbols = sorted({gene for genes in sets.values() for gene in genes})
    found = detect_organism(symbols) if organism is not None else None
    if found is not None and found != organism:
        msg = (
            f"The gene sets look like {found} symbols ({some(symbols[:3])}), but `organism` is {organism}. They are "
            "matched in any case, which misses genes whose names differ; take sets of the right organism."
        )
        warn(msg, PrismWarning, stacklevel=3)


def match_sets(sets: GeneSets, genes: Sequence[str]) -> MatchedSets:
    """Return the sets as numbers of `genes`; symbols match exactly, or else in any case if that is unambiguous.

    Raises
    ------
    InputError
        If no symbol of any set is among the genes.
    """
    if not sets:
        msg = "`sets` must hold at least one gene set, got none."
        raise InputError(msg)
    exact = {str(gene): number for number, gene in enumerate(genes)}
    folded: dict[str, int | None] = {}
    for gene, number in exact.items():
        key = gene.casefold()
        folded[key] = None if key in folded else number
    symbols = sorted({str(gene) for members in sets.values() for gene in _symbols("", members)})
    found = {gene: exact.get(gene, folded.get(gene.casefold())) for gene in symbols}
    n_found = sum(number is not None for number in found.values())
    _report_share(n_found, symbols, list(exact))
    members = {
        str(name): np.array(sorted({n for gene in chosen if (n := found[str(gene)]) is not None}), dtype=np.int32)
        for name, chosen in sets.items()
    }
    return MatchedSets(members=members, share=n_found / len(symbols))


def _report_share(n_found: int, symbols: Sequence[str], genes: Sequence[str]) -> None:
    share = n_found / len(symbols)
    if n_found == 0:
        msg = (
            f"None of the {len(symbols):,} symbols of the gene sets (such as {some(symbols, limit=3)}) is among the "
            f"{len(genes):,} genes (such as {some(genes, limit=3)}). Give both as symbols of one organism."
        )
        raise InputError(msg)
    log.info(
        "gene sets: %d of %d symbols (%.0f %%) are among the %d genes", n_found, len(symbols), 100 * share, len(genes)
    )
    if share < LOW_SHARE:
        msg = (
            f"Only {n_found:,} of {len(symbols):,} symbols of the gene sets ({share:.0%}) are among the {len(genes):,} "
            "genes. Check that both are of one organism, and that the genes were not cut to a few."
        )
        warn(msg, PrismWarning, stacklevel=4)
