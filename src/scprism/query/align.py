"""A query's genes against a model's: by name, whatever the case, through orthologs, or by alias; with the coverage."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from scprism._check import some
from scprism.errors import InputError
from scprism.genes.aliases import other_names
from scprism.genes.ids import symbols_of_ids
from scprism.genes.names import match_names
from scprism.genes.organism import query_organism
from scprism.genes.orthologs import ortholog_sources, ortholog_sources_by_alias
from scprism.prepare.normalise import is_spike_in
from scprism.prepare.recipe import Recipe
from scprism.prepare.stream import GeneMap
from scprism.types import Organism

__all__ = ["Alignment", "align_genes", "check_coverage", "coverage_summary"]


@dataclass(frozen=True)
class Alignment:
    """How a query's genes meet a model's.

    Attributes
    ----------
    gene_map
        Where the recipe's genes are in the query.
    coverage
        One row a gene of the recipe: ``gene``, ``found`` (``"name"``, ``"id"``, ``"ortholog"``, ``"alias"``,
        ``"missing"`` or ``"filtered"``: missing because no cell had a count of it), ``sources`` (the query's genes,
        joined by ``;``) and ``share`` (its part of the reference's expression of the recipe's genes).
    organism
        The query's organism, None where it could not be told.
    """

    gene_map: GeneMap
    coverage: pd.DataFrame
    organism: Organism | None

    @property
    def share_of_genes(self) -> float:
        """The share of the recipe's genes that the query has."""
        return float((self.coverage["found"] != "missing").mean())

    @property
    def share_of_expression(self) -> float:
        """The share of the reference's expression, within the recipe's genes, that the found genes hold."""
        return float(self.coverage.loc[self.coverage["found"] != "missing", "share"].sum())


def align_genes(names: Sequence[str], recipe: Recipe, *, organism: Organism | None = None) -> Alignment:
    """Return where each gene of the recipe lies among a query's genes.

    Ensembl ids of human and mouse, with or without version, are replaced by their symbols. A name is matched exactly,
    then with letters' case ignored. If the query is of another organism, genes are matched through orthologs instead,
    and a gene for which that finds nothing, to the gene of the same name if no other gene uses it (Ccl5 and CCL5, which
    Ensembl pairs with several). Counts of several orthologs of one gene, and of several ids of one symbol, are added.

    What is then missing is looked for under its other names: previous symbols and aliases of human and mouse genes, of
    the query (before orthologs are looked up) and of the model. One is taken only if it serves no gene of the model
    yet, is and was the symbol of no other gene, and stands alone: where two names of the query are one gene's, or two
    missing genes of the model are one gene, neither is taken (`data/SOURCES.md`). Dates that a spreadsheet made of
    symbols (1-Mar) are not resolved.

    Parameters
    ----------
    names
        The query's gene symbols or Ensembl ids.
    recipe
        The model's recipe.
    organism
        The query's organism; None to detect it.
    """
    found_organism = query_organism(names, told=organism)
    own = frozenset(recipe.genes)
    of_ids = {name: symbol for name, symbol in symbols_of_ids(names).items() if name not in own}
    symbols = [of_ids.get(name, name) for name in names]
    crosses = recipe.organism is not None and found_organism is not None and recipe.organism != found_organism
    same: dict[str, tuple[str, ...]] = {gene: (gene,) for gene in recipe.genes}
    wanted = same
    if crosses and recipe.organism is not None and found_organism is not None:
        wanted = ortholog_sources(recipe.genes, of=recipe.organism, source=found_organism)
    positions = _positions(symbols, recipe.genes, wanted)
    if crosses:
        used = {i for there in positions for i in there}
        by_name = _positions(symbols, recipe.genes, same)
        positions = [a or [i for i in b if i not in used] for a, b in zip(positions, by_name, strict=True)]
    by_alias = _positions_by_alias(
        symbols, recipe, wanted, positions=positions, organism=found_organism if crosses else recipe.organism
    )
    kinds = [_kind([names[i] in of_ids for i in there], crosses=crosses) for there in positions]
    positions = [a or b for a, b in zip(positions, by_alias, strict=True)]
    coverage = pd.DataFrame(
        {
            "gene": list(recipe.genes),
            "found": ["alias" if other else kind for kind, other in zip(kinds, by_alias, strict=True)],
            "sources": [";".join(names[i] for i in there) for there in positions],
            "share": recipe.share / recipe.share.sum(),
        }
    )
    return Alignment(_gene_map(names, positions), coverage, found_organism)


def _kind(by_id: list[bool], *, crosses: bool) -> str:
    if not by_id:
        return "missing"
    return "ortholog" if crosses else "id" if any(by_id) else "name"


def _positions_by_alias(
    symbols: Sequence[str],
    recipe: Recipe,
    wanted: Mapping[str, tuple[str, ...]],
    *,
    positions: list[list[int]],
    organism: Organism | None,
) -> list[list[int]]:
    """Return for each gene without a position where other names of it stand that serve no gene; [] for the rest."""
    missing = [gene for gene, there in zip(recipe.genes, positions, strict=True) if not there]
    if not missing or organism is None or recipe.organism is None:
        return [[] for _ in positions]
    sources = {gene: wanted[gene] for gene in missing if gene in wanted}
    if organism != recipe.organism:
        unknown = [gene for gene in missing if gene not in wanted]
        sources |= ortholog_sources_by_alias(unknown, of=recipe.organism, source=organism)
    n_wanting = Counter(source for there in sources.values() for source in there)
    used = {i for there in positions for i in there}
    free: dict[str, list[int]] = {}
    for i, symbol in enumerate(symbols):
        if i not in used:
            free.setdefault(symbol, []).append(i)
    mates = other_names((source for source, n in n_wanting.items() if n == 1), free, organism=organism)
    return [
        [i for source in sources.get(gene, ()) if source in mates for i in free[mates[source]]] for gene in recipe.genes
    ]


def _positions(symbols: Sequence[str], genes: Sequence[str], wanted: Mapping[str, tuple[str, ...]]) -> list[list[int]]:
    """Return for each gene where the symbols stand that are wanted for it."""
    places: dict[str, list[int]] = {}
    for i, symbol in enumerate(symbols):
        places.setdefault(symbol, []).append(i)
    found = match_names(symbols, sorted({source for sources in wanted.values() for source in sources}))
    return [[i for source in wanted.get(gene, ()) if source in found for i in places[found[source]]] for gene in genes]


def check_coverage(alignment: Alignment, *, min_coverage: float) -> None:
    """Raise `InputError` if the query holds too little of what the model reads.

    Coverage is the share of the model's genes that the query has.
    """
    if not 0 <= min_coverage <= 1:
        msg = f"`min_coverage` must lie between 0 and 1, got {min_coverage!r}."
        raise InputError(msg)
    if alignment.share_of_genes >= min_coverage and alignment.share_of_genes > 0:
        return
    table = alignment.coverage
    missing = table[table["found"] == "missing"].sort_values("share", ascending=False)["gene"]
    msg = (
        f"The query has {(table['found'] != 'missing').sum():,} of the model's {len(table):,} genes "
        f"({alignment.share_of_genes:.0%}, holding {alignment.share_of_expression:.0%} of the reference's expression); "
        f"at least {min_coverage:.0%} are required. Missing, highest first: {some(missing)}. Check that the query's "
        "gene names are symbols of the organism you expect. To go on all the same, lower min_coverage "
        f"(--min-coverage {max(0.01, np.floor(alignment.share_of_genes * 100) / 100):g})."
    )
    raise InputError(msg)


def coverage_summary(alignment: Alignment) -> str:
    """Return the coverage in one sentence."""
    counts = alignment.coverage["found"].value_counts()
    by_id = f"{counts['id']:,} by Ensembl id, " if "id" in counts else ""
    by_alias = f"{counts['alias']:,} by alias, " if "alias" in counts else ""
    filtered = f"{counts['filtered']:,} filtered for having no counts, " if "filtered" in counts else ""
    return (
        f"{counts.get('name', 0):,} of {len(alignment.coverage):,} genes found by name, {by_id}"
        f"{counts.get('ortholog', 0):,} by ortholog, {by_alias}{filtered}{counts.get('missing', 0):,} missing; "
        f"the genes found hold {alignment.share_of_expression:.1%} of the reference's expression."
    )


def _gene_map(names: Sequence[str], positions: list[list[int]]) -> GeneMap:
    rows = np.array([i for there in positions for i in there], dtype=np.int64)
    columns = np.repeat(np.arange(len(positions)), [len(there) for there in positions])
    ones = np.ones(len(rows), dtype=np.float32)
    selection = sparse.csr_matrix((ones, (rows, columns)), shape=(len(names), len(positions)))
    return GeneMap(selection=selection, in_library=(~is_spike_in(names)).astype(np.float64))
