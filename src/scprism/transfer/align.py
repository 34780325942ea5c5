"""A query's genes against a model's: by name, letters' case aside, or through orthologs; with the coverage."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from scprism._check import some
from scprism.errors import InputError
from scprism.prepare.names import match_names
from scprism.prepare.normalise import is_spike_in
from scprism.prepare.organism import told_or_detected
from scprism.prepare.orthologs import ortholog_sources
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
        One row a gene of the recipe: ``gene``, ``found`` (``"name"``, ``"ortholog"`` or ``"missing"``), ``sources``
        (the query's genes, joined by ``;``) and ``share`` (its part of the reference's expression of the recipe's
        genes).
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

    A name is matched exactly, then with letters' case ignored. If the query is of another organism, genes are matched
    through orthologs instead; counts of several orthologs of one gene are added.

    Parameters
    ----------
    names
        The query's gene symbols.
    recipe
        The model's recipe.
    organism
        The query's organism; None to detect it.
    """
    found_organism = told_or_detected(names, told=organism)
    crosses = recipe.organism is not None and found_organism is not None and recipe.organism != found_organism
    by_name = match_names(names, recipe.genes)
    if crosses and recipe.organism is not None and found_organism is not None:
        orthologs = ortholog_sources(recipe.genes, of=recipe.organism, source=found_organism)
        there = set(names)
        sources = {g: tuple(s for s in orthologs.get(g, ()) if s in there) for g in recipe.genes}
    else:
        sources = {g: (by_name[g],) if g in by_name else () for g in recipe.genes}
    coverage = pd.DataFrame(
        {
            "gene": list(recipe.genes),
            "found": ["missing" if not sources[g] else "ortholog" if crosses else "name" for g in recipe.genes],
            "sources": [";".join(sources[g]) for g in recipe.genes],
            "share": recipe.share / recipe.share.sum(),
        }
    )
    return Alignment(_gene_map(names, recipe.genes, sources), coverage, found_organism)


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
    return (
        f"{counts.get('name', 0):,} of {len(alignment.coverage):,} genes found by name, "
        f"{counts.get('ortholog', 0):,} by ortholog, {counts.get('missing', 0):,} missing; "
        f"the genes found hold {alignment.share_of_expression:.1%} of the reference's expression."
    )


def _gene_map(names: Sequence[str], genes: Sequence[str], sources: dict[str, tuple[str, ...]]) -> GeneMap:
    position = {name: i for i, name in enumerate(names)}
    pairs = [(position[s], j) for j, gene in enumerate(genes) for s in sources[gene]]
    rows, columns = (np.array(part, dtype=np.int64) for part in (zip(*pairs, strict=True) if pairs else ((), ())))
    ones = np.ones(len(rows), dtype=np.float32)
    selection = sparse.csr_matrix((ones, (rows, columns)), shape=(len(names), len(genes)))
    return GeneMap(selection=selection, in_library=(~is_spike_in(names)).astype(np.float64))
