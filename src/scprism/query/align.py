"""A query's genes against a model's, and how much of the model they cover."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scprism._check import some
from scprism.errors import InputError
from scprism.genes.match import find_genes
from scprism.genes.organism import query_organism
from scprism.prepare.learn import gene_map
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

    Genes are found as `scprism.genes.match.find_genes` finds them: by name or Ensembl id, whatever the case, through
    orthologs where the query is of another organism, and by previous symbols and aliases. Where several names of the
    query stand for one gene, their counts are added.

    Parameters
    ----------
    names
        The query's gene symbols or Ensembl ids.
    recipe
        The model's recipe.
    organism
        The query's organism; None to detect it.

    Raises
    ------
    InputError
        If the organism that was told contradicts the names.
    """
    query_has = query_organism(names, told=organism)
    found = find_genes(recipe.genes, names, organism=recipe.organism, source=query_has)
    coverage = pd.DataFrame(
        {
            "gene": list(recipe.genes),
            "found": [gene.how for gene in found],
            "sources": [";".join(names[i] for i in gene.positions) for gene in found],
            "share": recipe.share / recipe.share.sum(),
        }
    )
    return Alignment(gene_map(names, [gene.positions for gene in found]), coverage, query_has)


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
