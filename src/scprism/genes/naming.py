"""Gene names that other programs changed: prefixes of genomes, ids joined to symbols, names made by R, dates."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from scprism._check import some
from scprism.errors import InputError
from scprism.genes.identifiers import ENSEMBL_ID, known_symbols
from scprism.genes.tables import read_gene_aliases, read_orthologs

__all__ = ["PlainNames", "genomes_of", "plain_names", "without_genome"]

GENOME = re.compile(r"(?P<genome>(?:GRC[a-z]|hg|mm|rn|danRer)\d+)(?:\.p\d+)?_+(?P<name>\S.*)", re.IGNORECASE)
"""A name as Cell Ranger writes it where the reads were aligned to several genomes: GRCh38_CD3E, mm10___Cd3e."""
ID = ENSEMBL_ID.pattern.replace("(", "(?:")
SYMBOL_AND_ID = re.compile(rf"(?P<symbol>.*?)[_|:;,]+(?P<id>{ID})|(?P<id2>{ID})[_|:;,]+(?P<symbol2>.*)", re.IGNORECASE)
MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
DATE = re.compile(
    rf"X?\d{{1,2}}[-./]{MONTH}|{MONTH}[-./]\d{{1,2}}|\d{{4}}[-/]\d{{2}}[-/]\d{{2}}(?: 00:00:00)?", re.IGNORECASE
)
NUMBERED = re.compile(r"(?P<name>.+)(?P<joint>[-.])[1-9]\d?")
MIN_GENOME_SHARE = 0.01
"""Below this share of the names a prefix is no genome of its own, but a gene that was added."""


@dataclass(frozen=True)
class PlainNames:
    """Gene names as gene sets and models know them.

    Attributes
    ----------
    names
        One a gene, in order. Names that are the same are one gene, whose counts are to be added.
    notes
        What was changed or looks wrong, as sentences with numbers.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...]


@lru_cache(maxsize=8)
def plain_names(names: tuple[str, ...]) -> PlainNames:
    """Return names without what other programs added to them, and what was found.

    * ``mm10_Cd3e`` is ``Cd3e``, where most names have that prefix;
    * ``Cd3e_ENSMUSG00000032093`` and ``ENSMUSG00000032093_Cd3e`` are ``Cd3e``, where most names are so;
    * ``H2.Aa`` is ``H2-Aa`` and ``X2810417H13Rik`` is ``2810417H13Rik``, where R replaced all hyphens;
    * ``Cd74-1`` or ``Cd74.1`` is a second ``Cd74``, and ``Cd74-2`` a third, where there is a ``Cd74`` and no gene of
      that name;
    * ``1-Mar`` is a date that a spreadsheet made of a gene: told, since it may be either of two genes.

    Raises
    ------
    InputError
        If the names have the prefixes of two genomes or more.

    Examples
    --------
    >>> plain_names(("mm10_Cd3e", "mm10_Cd19"))
    PlainNames(names=('Cd3e', 'Cd19'), notes=("2 genes have the prefix 'mm10_', which was left out.",))
    """
    notes: list[str] = []
    current = list(names)
    for step in (_without_prefix, _without_ids, _without_r, _without_numbers):
        current, note = step(current)
        notes += [note] if note else []
    dates = [name for name in current if DATE.fullmatch(name)]
    if dates:
        notes.append(
            f"{len(dates):,} genes are named by dates ({some(dates, limit=3)}), as a spreadsheet makes of symbols such "
            "as MARCH1. They are unknown to the model: take the names from the source of the data, or from Ensembl ids."
        )
    return PlainNames(tuple(current), tuple(notes))


def genomes_of(names: Sequence[str]) -> dict[str, int]:
    """Return how many names have the prefix of each genome; genomes of less than one name in a hundred are left out.

    Examples
    --------
    >>> genomes_of(["GRCh38_CD3E", "GRCh38_CD19", "mm10___Cd3e", "Cd4"])
    {'GRCh38': 2, 'mm10': 1}
    """
    counts = Counter(match["genome"] for name in names if "_" in name and (match := GENOME.fullmatch(name)))
    return {genome: n for genome, n in counts.most_common() if n >= MIN_GENOME_SHARE * len(names)}


def without_genome(name: str) -> str:
    """Return a name without the prefix of a genome."""
    match = GENOME.fullmatch(name)
    return name if match is None else match["name"]


def _without_prefix(names: list[str]) -> tuple[list[str], str]:
    genomes = genomes_of(names)
    if len(genomes) > 1:
        each = " and ".join(f"{n:,} of {genome}" for genome, n in genomes.items())
        first = next(iter(genomes))
        msg = (
            f"The genes are of {len(genomes)} genomes: {each}. A model is of one organism: keep one genome by "
            f"genome={first!r} when reading (in Python: or cells[:, cells.var_names.str.startswith('{first}_')])."
        )
        raise InputError(msg)
    if not genomes or sum(genomes.values()) <= len(names) / 2:
        return names, ""
    genome, n = next(iter(genomes.items()))
    return [without_genome(name) for name in names], f"{n:,} genes have the prefix '{genome}_', which was left out."


def _without_ids(names: list[str]) -> tuple[list[str], str]:
    if sum("ENS" in name.upper() for name in names) <= len(names) / 2:
        return names, ""
    matches = [SYMBOL_AND_ID.fullmatch(name) for name in names]
    n_found = sum(match is not None for match in matches)
    if n_found <= len(names) / 2:
        return names, ""
    plain = [name if match is None else _symbol_of(match) for name, match in zip(names, matches, strict=True)]
    example = next(name for name, match in zip(names, matches, strict=True) if match is not None)
    return plain, f"{n_found:,} genes are named by symbol and Ensembl id ({example!r}); the symbols were taken."


def _symbol_of(match: re.Match[str]) -> str:
    symbol = (match["symbol"] or match["symbol2"] or "").strip()
    return symbol if symbol and symbol.upper() not in ("NA", "NAN") else match["id"] or match["id2"]


def _without_r(names: list[str]) -> tuple[list[str], str]:
    """Undo R's make.names, which turns every character but letters, digits, points and underscores into a point."""
    changed = [name for name in names if "." in name or re.match(r"X\d", name)]
    if not changed or any("-" in name and not DATE.fullmatch(name) for name in names):
        return names, ""
    there = frozenset(names)
    symbols = {name: symbol for name in changed if (symbol := _before_r(name)) and symbol not in there}
    if not symbols:
        return names, ""
    example = next(iter(symbols))
    note = (
        f"{len(symbols):,} genes have names that R changed ({example!r} for {symbols[example]!r}); they were put right."
    )
    return [symbols.get(name, name) for name in names], note


def _without_numbers(names: list[str]) -> tuple[list[str], str]:
    there = frozenset(names)
    matches = ((name, NUMBERED.fullmatch(name)) for name in names if name[-1:].isdigit())
    twins = {
        name: match["name"]
        for name, match in matches
        if match is not None and match["name"] in there and f"{match['name']}{match['joint']}1" in there
    }
    if not twins:
        return names, ""
    twins = {name: symbol for name, symbol in twins.items() if name.upper() not in _all_symbols()}
    if not twins:
        return names, ""
    note = (
        f"{len(twins):,} genes have the name of another and a number ({some(twins, limit=3)}), as given to repeated "
        "names; their counts are added to those of that gene."
    )
    return [twins.get(name, name) for name in names], note


@cache
def _all_symbols() -> frozenset[str]:
    names = (name for organism in ("human", "mouse") for name in read_gene_aliases(organism))
    return known_symbols() | frozenset(names)


def _before_r(name: str) -> str | None:
    """Return the symbol that R made a name of, None if there is none or there are several."""
    if name.upper() in _all_symbols():
        return None
    if re.match(r"X\d", name) and name[1:].upper() in _all_symbols():
        return name[1:]
    symbols = _made_by_r().get(name.upper(), frozenset())
    alike = [symbol for symbol in symbols if _as_r_has_it(symbol) == name]  # the human or the mouse one
    return alike[0] if len(alike) == 1 else next(iter(symbols)) if len(symbols) == 1 else None


def _as_r_has_it(symbol: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]", ".", f"X{symbol}" if symbol[0].isdigit() else symbol)


@cache
def _made_by_r() -> dict[str, frozenset[str]]:
    """Return the symbols of which R makes a name, by that name in capitals."""
    pairs = read_orthologs()
    symbols = {*pairs["human"], *pairs["mouse"]}
    symbols |= {name for organism in ("human", "mouse") for name in read_gene_aliases(organism).values()}
    made: dict[str, set[str]] = {}
    for symbol in symbols:
        if (name := _as_r_has_it(symbol)) != symbol:
            made.setdefault(name.upper(), set()).add(symbol)
    return {name: frozenset(of) for name, of in made.items()}
