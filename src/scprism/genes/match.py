"""Which names of one file stand for the genes of another: by name, through orthologs, by other names of a gene."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scprism.genes.identifiers import symbols_of_ids
from scprism.genes.tables import read_gene_aliases, read_orthologs
from scprism.types import Organism

__all__ = [
    "Found",
    "find_genes",
    "match_names",
    "ortholog_sources",
    "ortholog_sources_by_alias",
    "other_names",
]


@dataclass(frozen=True)
class Found:
    """Where one gene stands among the names of a file.

    Attributes
    ----------
    positions
        Of the names that stand for the gene; their counts are added. Empty if there is none.
    how
        ``"name"``, ``"id"`` (an Ensembl id), ``"ortholog"``, ``"alias"`` or ``"missing"``.
    """

    positions: tuple[int, ...]
    how: str


def find_genes(
    genes: Sequence[str],
    names: Sequence[str],
    *,
    organism: Organism | None,
    source: Organism | None,
) -> list[Found]:
    """Return for each gene where it stands among the names of another file.

    Ensembl ids of human and mouse, with or without version, are replaced by their symbols. A name is matched exactly,
    then with letters' case ignored. If the names are of another organism, genes are matched through orthologs instead,
    and a gene for which that finds nothing, to the gene of the same name if no other gene uses it (Ccl5 and CCL5, which
    Ensembl pairs with several). Names that are the same, ids of one symbol, and orthologs of one gene are all returned.

    What is then missing is looked for under its other names: previous symbols and aliases of human and mouse genes, of
    the file (before orthologs are looked up) and of the genes. One is taken only if it serves no gene yet, is and was
    the symbol of no other gene, and stands alone: where two names of the file are one gene's, or two missing genes are
    one gene, neither is taken (`data/SOURCES.md`).

    Parameters
    ----------
    genes
        What is looked for, each once.
    names
        The file's gene symbols or Ensembl ids.
    organism, source
        That of `genes` and that of `names`; None where it is not known.

    Examples
    --------
    >>> found = find_genes(["Cd3e", "Tent5c", "Xyz"], ["CD3E", "Fam46c"], organism="mouse", source="mouse")
    >>> [(gene.positions, gene.how) for gene in found]
    [((0,), 'name'), ((1,), 'alias'), ((), 'missing')]
    """
    own = frozenset(genes)
    of_ids = {name: symbol for name, symbol in symbols_of_ids(names).items() if name not in own}
    symbols = [of_ids.get(name, name) for name in names]
    same: dict[str, tuple[str, ...]] = {gene: (gene,) for gene in genes}
    crosses = organism is not None and source is not None and organism != source
    wanted = same
    if organism is not None and source is not None and crosses:
        wanted = ortholog_sources(genes, of=organism, source=source)
    positions = _positions(symbols, genes, wanted)
    if crosses:
        used = {i for there in positions for i in there}
        by_name = _positions(symbols, genes, same)
        positions = [a or [i for i in b if i not in used] for a, b in zip(positions, by_name, strict=True)]
    by_alias = _positions_by_alias(symbols, positions, wanted=_WantedNames(genes, wanted, organism, source))
    found = []
    for there, others in zip(positions, by_alias, strict=True):
        how = "alias" if others else _how([names[i] in of_ids for i in there], crosses=crosses)
        found.append(Found(tuple(there or others), how))
    return found


def match_names(names: Sequence[str], genes: Sequence[str]) -> dict[str, str]:
    """Return for each gene the name that stands for it: its own, or the only one that differs in case alone."""
    exact = frozenset(names)
    by_upper: dict[str, set[str]] = {}
    for name in names:
        by_upper.setdefault(name.upper(), set()).add(name)
    matches = {}
    for gene in genes:
        alike = by_upper.get(gene.upper(), set())
        if gene in exact:
            matches[gene] = gene
        elif len(alike) == 1:  # two names that differ in case only are no match for either
            matches[gene] = next(iter(alike))
    return matches


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


def ortholog_sources(genes: Iterable[str], *, of: Organism, source: Organism) -> dict[str, tuple[str, ...]]:
    """Return, for each gene of organism `of`, its orthologs in organism `source`; genes without one are left out.

    A pair is used if the source gene has no other partner, so that no count is used twice. A source gene with several
    partners goes to the one of the same name, letters' case aside, and is left out if there is none. Several source
    genes of one gene are all returned: their counts are to be added.
    """
    pairs = read_orthologs()[[of, source]].drop_duplicates()
    n_partners = pairs.groupby(source)[of].transform("size")
    same_name = pairs[of].str.upper() == pairs[source].str.upper()
    pairs = pairs[(n_partners == 1) | same_name]
    sources: dict[str, list[str]] = {}
    for gene, partner in zip(pairs[of], pairs[source], strict=True):
        sources.setdefault(gene, []).append(partner)
    return {gene: tuple(sorted(sources[gene])) for gene in genes if gene in sources}


def ortholog_sources_by_alias(genes: Iterable[str], *, of: Organism, source: Organism) -> dict[str, tuple[str, ...]]:
    """Return what `ortholog_sources` does for genes that the table of orthologs has under another name."""
    known = other_names(genes, read_orthologs()[of], organism=of)
    sources = ortholog_sources(known.values(), of=of, source=source)
    return {gene: sources[name] for gene, name in known.items() if name in sources}


@dataclass(frozen=True)
class _WantedNames:
    """Genes, the names that are looked for in their stead, and the organism of either."""

    genes: Sequence[str]
    names: Mapping[str, tuple[str, ...]]
    organism: Organism | None
    source: Organism | None


def _how(by_id: list[bool], *, crosses: bool) -> str:
    if not by_id:
        return "missing"
    return "ortholog" if crosses else "id" if any(by_id) else "name"


def _positions(symbols: Sequence[str], genes: Sequence[str], wanted: Mapping[str, tuple[str, ...]]) -> list[list[int]]:
    """Return for each gene where the symbols stand that are wanted for it."""
    places = _places(symbols, frozenset())
    found = match_names(symbols, sorted({source for sources in wanted.values() for source in sources}))
    return [[i for source in wanted.get(gene, ()) if source in found for i in places[found[source]]] for gene in genes]


def _positions_by_alias(
    symbols: Sequence[str], positions: Sequence[list[int]], *, wanted: _WantedNames
) -> list[list[int]]:
    """Return for each gene without a position where other names of it stand that serve no gene; [] for the rest."""
    missing = [gene for gene, there in zip(wanted.genes, positions, strict=True) if not there]
    own, source = wanted.organism, wanted.source or wanted.organism
    if not missing or own is None or source is None:
        return [[] for _ in positions]
    sources = {gene: wanted.names[gene] for gene in missing if gene in wanted.names}
    if source != own:
        unknown = [gene for gene in missing if gene not in wanted.names]
        sources |= ortholog_sources_by_alias(unknown, of=own, source=source)
    n_wanting = Counter(name for there in sources.values() for name in there)
    free = _places(symbols, frozenset(i for there in positions for i in there))
    mates = other_names((name for name, n in n_wanting.items() if n == 1), free, organism=source)
    return [[i for name in sources.get(gene, ()) if name in mates for i in free[mates[name]]] for gene in wanted.genes]


def _places(symbols: Sequence[str], used: frozenset[int]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for i, symbol in enumerate(symbols):
        if i not in used:
            places.setdefault(symbol, []).append(i)
    return places


def _by_symbol(names: Iterable[str], organism: Organism) -> dict[str, list[str]]:
    """Return the distinct names by the current symbol of their gene; unknown ones are left out."""
    table = read_gene_aliases(organism)
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if (symbol := table.get(name.upper())) is not None:
            found.setdefault(symbol, []).append(name)
    return found
