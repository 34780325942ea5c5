"""Which organism gene symbols belong to."""

import warnings
from collections.abc import Iterable, Sequence
from functools import cache

from scprism._check import some
from scprism.errors import InputError, PrismWarning
from scprism.read.naming import is_ensembl_ids
from scprism.read.symbols import read_orthologs
from scprism.types import Organism

__all__ = ["detect_organism", "told_or_detected"]

MIN_KNOWN = 20
"""Fewer symbols than this in the tables of both organisms say nothing about the organism."""


@cache
def _known_symbols() -> dict[Organism, frozenset[str]]:
    table = read_orthologs()
    return {"human": frozenset(table["human"]), "mouse": frozenset(table["mouse"])}


def detect_organism(genes: Iterable[str]) -> Organism | None:
    """Return the organism that most symbols belong to, or None where too few of them are known.

    Human and mouse symbols differ in case (CD3E, Cd3e). Mouse symbols in capitals cannot be told from human ones and
    count as human, which the ortholog table then maps.

    Raises
    ------
    InputError
        If the names are Ensembl ids.
    """
    names = list(genes)
    if names and is_ensembl_ids(names):
        msg = (
            f"Genes must be symbols such as 'CD3E' or 'Cd3e', got Ensembl ids such as {names[0]!r}. "
            "Name the column of `.var` that holds the symbols: read_cells(path, gene_symbols='gene_name')."
        )
        raise InputError(msg)
    known = _known_symbols()
    n_human, n_mouse = (len(known[organism].intersection(names)) for organism in ("human", "mouse"))
    if max(n_human, n_mouse) < MIN_KNOWN:
        return None
    return "human" if n_human >= n_mouse else "mouse"


def told_or_detected(genes: Sequence[str], *, told: Organism | None) -> Organism | None:
    """Return the organism that was told, otherwise the one detected; warn where the symbols contradict it."""
    detected = detect_organism(genes)
    if told is not None and detected is not None and told != detected:
        look = f"the gene symbols ({some(genes, limit=3)}) look like {detected} ones"
        msg = f"The organism was told to be {told}, but {look}. Going on as told."
        warnings.warn(msg, PrismWarning, stacklevel=2)
    return told or detected
