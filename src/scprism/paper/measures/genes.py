"""The gene numbers of the paper's Table 1, as described and as the released code prints them."""

from collections.abc import Sequence
from typing import Literal

from scprism.prepare.learn import map_by_name
from scprism.prepare.stream import column_totals
from scprism.types import Matrix

__all__ = ["count_genes"]


def count_genes(
    matrix: Matrix,
    names: Sequence[str],
    *,
    gene_set: Sequence[str],
    platform: Literal["smart-seq2", "10x"],
    counting: Literal["after_filter", "as_released"],
    min_max_count: float = 2.0,
) -> int:
    """Return the number of genes of a data set in the sense of Table 1.

    Parameters
    ----------
    matrix, names
        Counts, cells by genes, and the genes' names.
    gene_set
        The genes a model is restricted to, the Hallmark genes in the paper.
    counting
        ``"after_filter"``: genes of the set with more than `min_max_count` counts in a cell, what the paper says.
        ``"as_released"``: for 10x all genes that pass, before the set is applied; otherwise one less (`method.md`, row
        13).
    """
    maximum = column_totals(matrix, map_by_name(names, list(names))).maximum
    passing = {name for name, highest in zip(names, maximum, strict=True) if highest > min_max_count}
    n_in_set = len(passing.intersection(gene_set))
    if counting == "after_filter":
        return n_in_set
    return len(passing) if platform == "10x" else n_in_set - 1
