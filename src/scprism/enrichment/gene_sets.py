"""Gene sets by name or from a file, and their genes' numbers among the genes of a ranking."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from scprism._bundled import bundled_path
from scprism._check import check_choice, some
from scprism.errors import InputError, PrismWarning
from scprism.genes.identifiers import is_ensembl_ids
from scprism.genes.organism import detect_organism
from scprism.genes.tables import read_gmt
from scprism.types import Organism, PathLike

__all__ = ["GeneSets", "MatchedSets", "gene_numbers", "gene_sets", "match_sets"]

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
    messages
        What the user should be warned of: few genes in common, two organisms.
    """

    members: dict[str, NDArray[np.int32]]
    share: float
    messages: tuple[str, ...]


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
            f"The gene sets look like {found} symbols ({some(symbols[:3])}), but the organism is {organism}. They are "
            "matched in any case, which misses genes whose names differ; take sets of the right organism."
        )
        warn(msg, PrismWarning, stacklevel=3)


def match_sets(sets: GeneSets, genes: Sequence[str]) -> MatchedSets:
    """Return the sets as numbers of `genes`; symbols are matched as by `gene_numbers`.

    Raises
    ------
    InputError
        If no symbol of any set is among the genes.
    """
    if not sets:
        msg = "`sets` must hold at least one gene set, got none."
        raise InputError(msg)
    symbols = sorted({str(gene) for members in sets.values() for gene in _symbols("", members)})
    found = gene_numbers(symbols, genes)
    members = {
        str(name): np.array(sorted({found[str(gene)] for gene in chosen if str(gene) in found}), dtype=np.int32)
        for name, chosen in sets.items()
    }
    messages = _overlap_messages(len(found), symbols, [str(gene) for gene in genes])
    return MatchedSets(members=members, share=len(found) / len(symbols), messages=messages)


def gene_numbers(symbols: Iterable[str], genes: Sequence[str]) -> dict[str, int]:
    """Return the place among `genes` of each symbol that is one of them.

    A symbol means the gene of exactly that name, or else the only one that differs in capitals alone; where several do
    (ABC and Abc for abc), it means none.
    """
    exact = {str(gene): number for number, gene in enumerate(genes)}
    folded: dict[str, int | None] = {}
    for gene, number in exact.items():
        key = gene.casefold()
        folded[key] = None if key in folded else number
    found = {symbol: exact.get(symbol, folded.get(symbol.casefold())) for symbol in symbols}
    return {symbol: number for symbol, number in found.items() if number is not None}


def _overlap_messages(n_found: int, symbols: Sequence[str], genes: Sequence[str]) -> tuple[str, ...]:
    """Return what to warn of; sets that meet no gene are refused."""
    share = n_found / len(symbols)
    in_common = (
        f"{n_found:,} of the {len(symbols):,} symbols of the gene sets ({share:.0%}; such as {some(symbols, limit=3)}) "
        f"are among the {len(genes):,} genes (such as {some(genes, limit=3)})"
    )
    organisms = [_organism(symbols), _organism(genes)]
    differ = None not in organisms and organisms[0] != organisms[1]
    other = f"The gene sets are {organisms[0]} genes and the genes tested are {organisms[1]} genes: " if differ else ""
    advice = (
        f"Take the Hallmark sets with {organisms[1]} as the organism, or a GMT file of {organisms[1]} genes."
        if differ
        else "Give both as symbols of one organism, and check that the genes were not cut to a few."
    )
    if n_found == 0:
        msg = f"{other}{in_common.replace('0 of', 'none of', 1)}. {advice}"
        raise InputError(msg[0].upper() + msg[1:])
    log.info("gene sets: %s", in_common)
    if differ:
        return (f"{other}{in_common}, whatever their capitals; genes whose names differ are missed. {advice}",)
    return (f"Only {in_common}. {advice}",) if share < LOW_SHARE else ()


def _organism(symbols: Sequence[str]) -> Organism | None:
    return None if is_ensembl_ids(symbols) else detect_organism(symbols)
