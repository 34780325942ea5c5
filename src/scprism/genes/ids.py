"""Ensembl gene ids: which symbol they stand for, and whose genes they are."""

from collections.abc import Sequence

from scprism.genes.identifiers import is_ensembl_ids
from scprism.genes.tables import read_gene_ids
from scprism.types import Organism

__all__ = ["organism_of_ids", "symbols_of_ids"]

PREFIXES: dict[Organism, str] = {"human": "ENSG0", "mouse": "ENSMUSG0"}


def symbols_of_ids(names: Sequence[str]) -> dict[str, str]:
    """Return the symbol of each name that is a known Ensembl gene id of human or mouse, its version left aside.

    An id whose symbol is itself among the names is left out, so that no gene is there twice.

    Examples
    --------
    >>> symbols_of_ids(["ENSG00000198851.10", "ENSMUSG00000032093", "MYC"])
    {'ENSG00000198851.10': 'CD3E', 'ENSMUSG00000032093': 'Cd3e'}
    """
    ids = [name for name in names if name.upper().startswith("ENS")]
    if not ids:
        return {}
    table = read_gene_ids()
    there = {name.upper() for name in names}
    found = {name: table[bare] for name in ids if (bare := name.partition(".")[0].upper()) in table}
    return {name: symbol for name, symbol in found.items() if symbol.upper() not in there}


def organism_of_ids(names: Sequence[str]) -> Organism | None:
    """Return whose genes the names are if most of them are Ensembl ids of human or of mouse, else None."""
    if not names or not is_ensembl_ids(names):
        return None
    for organism, prefix in PREFIXES.items():
        if sum(name.upper().startswith(prefix) for name in names) > len(names) / 2:
            return organism
    return None
