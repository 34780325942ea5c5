"""The genes that labels are told by: those of Hallmark, and those that vary most among the labelled cells."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from scprism.genes.match import match_names
from scprism.prepare.learn import learn_recipe
from scprism.prepare.normalise import is_spike_in
from scprism.prepare.recipe import Recipe
from scprism.prepare.selection import hallmark_genes, requested_genes
from scprism.types import Organism

__all__ = ["N_VARIABLE", "label_recipe"]

N_VARIABLE = 2000
TARGET_SUM = 1e4


def label_recipe(
    counts: sparse.csr_matrix, names: Sequence[str], *, organism: Organism | None
) -> tuple[Recipe, np.ndarray]:
    """Return the recipe of the genes that labels are told by, and which of them vary most, bool (genes,).

    Counts are per 10,000 of a cell's whole library, log1p.

    Parameters
    ----------
    counts
        Of the labelled cells, in an order that does not depend on the file's, csr (cells, genes of the file).
    names
        Of these genes.
    organism
        Told by the user; None to detect it from the names.

    Raises
    ------
    InputError
        If none of the genes has counts.
    """
    choice = f"variable:{N_VARIABLE}" if (~is_spike_in(names)).sum() > N_VARIABLE else "all"
    variable, found = requested_genes(choice, matrix=counts, names=names, organism=organism)
    hallmark = () if found is None else match_names(names, hallmark_genes(found)).values()
    unknown = np.zeros(len(genes := tuple(sorted({*variable, *hallmark}))))
    draft = Recipe(
        genes=genes,
        organism=found,
        normalise="per_cell",
        target_sum=TARGET_SUM,
        library="all",
        negative_values="refuse",
        mean=unknown,
        spread=unknown,
        share=unknown,
        n_cells=0,
    )
    recipe = learn_recipe(counts, names, draft=draft, min_max_count=0)
    return recipe, np.isin(np.array(recipe.genes), np.array(variable))
