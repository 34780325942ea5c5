"""Learning a recipe from the reference."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from scprism.errors import InputError
from scprism.prepare.normalise import is_spike_in
from scprism.prepare.recipe import Recipe
from scprism.prepare.stream import GeneMap, column_totals, prepared_chunks
from scprism.types import FloatArray, Matrix

__all__ = ["gene_map", "learn_recipe", "map_by_name"]


def map_by_name(names: Sequence[str], genes: Sequence[str]) -> GeneMap:
    """Return the map of a file that holds every gene of `genes` under its own name; counts of one name are added."""
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        places.setdefault(name, []).append(i)
    return gene_map(names, [places[gene] for gene in genes])


def gene_map(names: Sequence[str], positions: Sequence[Sequence[int]]) -> GeneMap:
    """Return the map of a file from where each gene stands among its names; the counts of several are added."""
    rows = np.array([i for there in positions for i in there], dtype=np.int64)
    columns = np.repeat(np.arange(len(positions)), [len(there) for there in positions])
    ones = np.ones(len(rows), dtype=np.float32)
    selection = sparse.csr_matrix((ones, (rows, columns)), shape=(len(names), len(positions)))
    return GeneMap(selection=selection, in_library=(~is_spike_in(names)).astype(np.float64))


def learn_recipe(matrix: Matrix, names: Sequence[str], *, draft: Recipe, min_max_count: float) -> Recipe:
    """Return `draft` with the genes that pass the filter and their moments in the reference.

    Parameters
    ----------
    matrix, names
        The reference's counts, cells by genes, and the genes' names.
    draft
        A recipe whose moments are not learned yet; its genes are candidates.
    min_max_count
        A gene stays if any cell has more than this many counts (the paper's filter; `method.md` 3.4).

    Raises
    ------
    InputError
        If no gene passes the filter.
    """
    totals = column_totals(matrix, map_by_name(names, draft.genes))
    kept = totals.maximum > min_max_count
    if not kept.any():
        msg = (
            f"No gene has more than {min_max_count:g} counts in any cell (the highest is "
            f"{totals.maximum.max():g}), so none "
            "passes the filter. Check that the values are raw counts, or lower min_max_count."
        )
        raise InputError(msg)
    genes = tuple(g for g, keep in zip(draft.genes, kept, strict=True) if keep)
    is_count = draft.normalise != "none"
    share = totals.share[kept] if is_count else np.full(len(genes), 1 / len(genes))
    recipe = Recipe(**{**draft.__dict__, "genes": genes, "share": share})
    mean, spread = _moments(matrix, names, recipe)
    return recipe.with_moments(mean=mean, spread=spread, share=share, n_cells=totals.n_cells)


def _moments(matrix: Matrix, names: Sequence[str], recipe: Recipe) -> tuple[FloatArray, FloatArray]:
    n_genes, n_cells = len(recipe.genes), 0
    total, total_square = np.zeros(n_genes), np.zeros(n_genes)
    for chunk in prepared_chunks(matrix, map_by_name(names, recipe.genes), recipe):
        x = chunk.inputs.astype(np.float64)
        total += np.asarray(x.sum(axis=0)).ravel()
        total_square += np.asarray(x.multiply(x).sum(axis=0)).ravel()
        n_cells += x.shape[0]
    mean = total / n_cells
    return mean, np.sqrt(np.maximum(total_square / n_cells - mean**2, 0))
