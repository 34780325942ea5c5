"""Human–mouse orthologs: which query genes stand for a gene of the model."""

from collections.abc import Iterable

from scprism.genes.aliases import other_names
from scprism.genes.tables import read_orthologs
from scprism.types import Organism

__all__ = ["ortholog_sources", "ortholog_sources_by_alias"]


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
