"""Gene names of two files against each other."""

from collections.abc import Sequence

__all__ = ["match_names"]


def match_names(names: Sequence[str], genes: Sequence[str]) -> dict[str, str]:
    """Return for each gene the name that stands for it: its own, or the only one that differs in case alone."""
    exact = frozenset(names)
    by_upper: dict[str, list[str]] = {}
    for name in names:
        by_upper.setdefault(name.upper(), []).append(name)
    matches = {}
    for gene in genes:
        alike = by_upper.get(gene.upper(), [])
        if gene in exact:
            matches[gene] = gene
        elif len(alike) == 1:  # two names that differ in case only are no match for either
            matches[gene] = alike[0]
    return matches
