"""Previous symbols and aliases: which names of two files stand for one gene."""

from collections.abc import Iterable

from scprism.genes.tables import read_gene_aliases
from scprism.types import Organism

__all__ = ["other_names"]


def other_names(genes: Iterable[str], names: Iterable[str], *, organism: Organism) -> dict[str, str]:
    """Return for each gene the one of `names` that is another name of it: its earlier or later symbol, or an alias.

    All names of a gene are alike, so it does not matter which side is the newer. Letters' case is ignored. A gene is
    left out if two of `names` stand for it, and so are two of `genes` that are one gene: nothing tells which is meant.
    Names that could mean two genes stand for none (`data/SOURCES.md` has the rule).

    Examples
    --------
    >>> other_names(["MARCHF1", "GPX1"], ["MARCH1", "GPX4"], organism="human")
    {'MARCHF1': 'MARCH1'}
    """
    by_gene = _by_symbol(genes, organism)
    by_name = _by_symbol(names, organism)
    return {
        alike[0]: by_name[symbol][0]
        for symbol, alike in by_gene.items()
        if len(alike) == 1 and len(by_name.get(symbol, ())) == 1
    }


def _by_symbol(names: Iterable[str], organism: Organism) -> dict[str, list[str]]:
    """Return the distinct names by the current symbol of their gene; unknown ones are left out."""
    table = read_gene_aliases(organism)
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if (symbol := table.get(name.upper())) is not None:
            found.setdefault(symbol, []).append(name)
    return found
