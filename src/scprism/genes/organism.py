"""Which organism gene symbols belong to."""

from collections.abc import Iterable, Sequence
from functools import cache

from scprism._check import some
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.genes.identifiers import is_ensembl_ids, organism_of_ids
from scprism.genes.tables import read_orthologs
from scprism.types import Organism

__all__ = ["detect_organism", "query_organism", "told_or_detected"]

MIN_KNOWN = 20
"""Fewer symbols than this in the tables of both organisms say nothing about the organism."""
MIN_SHARE_OF_SECOND = 0.1
"""Symbols of a second organism, by those of the first, from which on there are two; strays are far fewer."""


@cache
def _known_symbols() -> dict[Organism, frozenset[str]]:
    table = read_orthologs()
    return {"human": frozenset(table["human"]), "mouse": frozenset(table["mouse"])}


@cache
def _telling_symbols() -> dict[Organism, frozenset[str]]:
    """Return the symbols, in capitals, that one organism has and the other has not."""
    human, mouse = (frozenset(name.upper() for name in _known_symbols()[o]) for o in ("human", "mouse"))
    return {"human": human - mouse, "mouse": mouse - human}


def detect_organism(genes: Iterable[str]) -> Organism | None:
    """Return the organism that the symbols belong to, or None where too few of them are known.

    Symbols that one organism has and the other has not (TP53, Trp53) decide, letters' case aside, if there are at least
    `MIN_KNOWN` of them and one side has twice as many as the other: so mouse symbols in capitals are told from human
    ones. Otherwise the case decides (CD3E, Cd3e).

    Raises
    ------
    InputError
        If the names are Ensembl ids.
    """
    names = list(genes)
    if names and is_ensembl_ids(names):
        msg = (
            f"Genes must be symbols such as 'CD3E' or 'Cd3e', got Ensembl ids such as {names[0]!r}. "
            "Name the column of `.var` that holds the symbols by `gene_symbols` when reading."
        )
        raise InputError(msg)
    told_apart = _by_telling_symbols(names)
    if told_apart is not None:
        return told_apart
    known = _known_symbols()
    n_human, n_mouse = (len(known[organism].intersection(names)) for organism in ("human", "mouse"))
    if max(n_human, n_mouse) < MIN_KNOWN:
        return None
    return "human" if n_human >= n_mouse else "mouse"


def _by_telling_symbols(names: Iterable[str]) -> Organism | None:
    capitals = {name.upper() for name in names}
    human, mouse = (len(_telling_symbols()[o] & capitals) for o in ("human", "mouse"))
    if max(human, mouse) < MIN_KNOWN or max(human, mouse) < 2 * min(human, mouse):
        return None
    return "human" if human > mouse else "mouse"


def told_or_detected(genes: Sequence[str], *, told: Organism | None) -> Organism | None:
    """Return the organism that was told, otherwise the one detected.

    Raises
    ------
    InputError
        If symbols that only one organism has contradict what was told, or the names are Ensembl ids.

    Warns
    -----
    PrismWarning
        If the case of the letters alone contradicts it, or the genes are of both organisms.
    """
    _warn_of_two(genes)
    return _agreed(genes, told=told, detected=detect_organism(genes))


def query_organism(genes: Sequence[str], *, told: Organism | None) -> Organism | None:
    """Return what `told_or_detected` does, for names that may also be Ensembl ids of human or mouse."""
    _warn_of_two(genes)
    return _agreed(genes, told=told, detected=organism_of_ids(genes) or detect_organism(genes))


def _warn_of_two(genes: Sequence[str]) -> None:
    """Warn if the genes are of both organisms, each in its own letters, as where reads were aligned to both genomes."""
    known, telling = _known_symbols(), _telling_symbols()
    own: dict[Organism, list[str]] = {
        organism: [gene for gene in genes if gene in known[organism] and gene.upper() in telling[organism]]
        for organism in telling
    }
    own["mouse"] = [gene for gene in own["mouse"] if not gene.isupper()]  # mouse symbols may all be in capitals
    fewer, more = sorted((len(own["human"]), len(own["mouse"])))
    if fewer < MIN_KNOWN or fewer < MIN_SHARE_OF_SECOND * more:
        return
    msg = (
        f"The genes are of two organisms: {len(own['human']):,} are known in human only "
        f"({some(own['human'], limit=2)}) "
        f"and {len(own['mouse']):,} in mouse only ({some(own['mouse'], limit=2)}). Both make up a cell's total, and a "
        "model is of one organism: keep the genes and the cells of one."
    )
    warn(msg)


def _agreed(genes: Sequence[str], *, told: Organism | None, detected: Organism | None) -> Organism | None:
    if told is None or detected is None or told == detected:
        return told or detected
    capitals = [name.upper() for name in genes]
    only = {
        o: [g for g, c in zip(genes, capitals, strict=True) if c in _telling_symbols()[o]] for o in (told, detected)
    }
    if _by_telling_symbols(genes) == detected or organism_of_ids(genes) == detected:
        found = (
            f"{len(only[detected]):,} of its {len(genes):,} genes are known in {detected} only "
            f"({some(only[detected], limit=3)}), {len(only[told]):,} in {told} only"
            if only[detected]
            else f"its genes have {detected} ids ({some(genes, limit=3)})"
        )
        msg = (
            f"The organism was told to be {told}, but {found}. Leave `organism` (--organism) out to have it detected, "
            f"or say {detected!r}; genes of another organism than the model's are matched through orthologs."
        )
        raise InputError(msg)
    look = f"the gene symbols ({some(genes, limit=3)}) look like {detected} ones"
    warn(f"The organism was told to be {told}, but {look}. Going on as told.")
    return told
