"""A foreign data set as one model sees it: its counts found and checked, its genes aligned, its gaps filled."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from anndata import AnnData
from scipy import sparse

from scprism._warnings import warn
from scprism.model.config import Config
from scprism.prepare.draws import cell_keys
from scprism.prepare.recipe import Recipe
from scprism.prepare.stream import CHUNK_SIZE, GeneMap, PreparedChunk, fill_row, prepared_chunks
from scprism.query.align import Alignment, align_genes, check_coverage, coverage_summary
from scprism.query.filtered import FILTERED, filtered_as_zero
from scprism.read.checked import CheckedCells, check_cells
from scprism.read.chunks import picked_rows
from scprism.types import FloatArray, IntArray, Matrix, Organism

__all__ = ["USUAL_COVERAGE", "Query", "open_query", "query_in", "rows_of", "with_gaps_of"]

logger = logging.getLogger("scprism")

USUAL_COVERAGE = 0.8
"""Below this share of the model's genes a query is used with a warning."""


@dataclass(frozen=True)
class Query:
    """Cells ready to stream through a model.

    Attributes
    ----------
    matrix
        Counts as they lie in the user's AnnData; never copied whole.
    alignment
        How its genes meet the model's.
    fill
        Values of the genes that it lacks, float32 (genes of the recipe,).
    recipe, random_missing
        How to normalise, and whether gaps are filled at random, from `seed`, as in the released code.
    """

    matrix: Matrix
    alignment: Alignment
    fill: FloatArray
    recipe: Recipe
    random_missing: bool
    seed: int

    def chunks(self, *, size: int = CHUNK_SIZE) -> Iterator[PreparedChunk]:
        """Yield the cells in order, normalised, in the recipe's genes."""
        chunks = prepared_chunks(self.matrix, self.alignment.gene_map, self.recipe, size=size)
        if not self.random_missing:
            return chunks
        missing = ~self.alignment.gene_map.present
        low, high = _released_fill_values(self.matrix, self.alignment.gene_map, self.recipe)
        return random_fill(chunks, missing=missing, low=low, high=high, seed=self.seed)


def open_query(
    cells: AnnData | CheckedCells,
    recipe: Recipe,
    config: Config,
    *,
    layer: str | None = None,
    organism: Organism | None = None,
    min_coverage: float | None = None,
    seed: int = 0,
) -> Query:
    """Return `cells` as a model of this recipe sees them; `cells` is not changed.

    Raises
    ------
    InputError
        If the values are not raw counts, or fewer than `min_coverage` (that of `config` if None) of the genes are
        there.
    """
    checked = check_cells(cells, layer=layer, integers=recipe.normalise != "none")
    query = query_in(checked, recipe, config, organism=organism, seed=seed)
    alignment = query.alignment
    check_coverage(alignment, min_coverage=config.min_coverage if min_coverage is None else min_coverage)
    summary = coverage_summary(alignment)
    logger.info("query: %s", summary)
    n_filtered = int((alignment.coverage["found"] == FILTERED).sum())
    if n_filtered:
        msg = (
            f"The query seems to have been filtered (as by scanpy.pp.filter_genes): each of its genes has a count, and "
            f"{n_filtered:,} of the model's {len(alignment.coverage):,} genes are missing that few cells of the "
            "reference show. They are taken for zero. Give the counts of all genes, to be sure."
        )
        warn(msg)
    if alignment.share_of_genes < USUAL_COVERAGE:
        warn(f"Low gene coverage: {summary}")
    return query


def query_in(
    checked: CheckedCells, recipe: Recipe, config: Config, *, organism: Organism | None = None, seed: int = 0
) -> Query:
    """Return checked cells in a recipe's genes, however many of them the cells have."""
    alignment = align_genes(list(checked.genes), recipe, organism=organism)
    if config.missing_genes == "mean" and recipe.normalise == "per_cell":
        alignment = filtered_as_zero(alignment, recipe, checked.matrix)
    is_random = config.missing_genes == "random"
    fill = np.zeros(len(recipe.genes), dtype=np.float32) if is_random else fill_row(recipe, alignment.gene_map)
    return Query(checked.matrix, alignment, fill, recipe, is_random, seed)


def rows_of(query: Query, rows: IntArray) -> Query:
    """Return some cells of a query, by row numbers that ascend."""
    return replace(query, matrix=picked_rows(query.matrix, rows))


def with_gaps_of(reference: Query, query: Query) -> Query:
    """Return a reference as if it lacked the genes that a query lacks.

    Cells that are compared must be seen through the same genes: what is missing on one side only moves the whole of
    that side. Nothing changes where the query lacks none, or where gaps are filled at random as in the released code.
    """
    present = query.alignment.gene_map.present
    if present.all() or reference.random_missing:
        return reference
    whole = reference.alignment.gene_map
    selection = sparse.csr_matrix(whole.selection @ sparse.diags(present.astype(np.float32)))
    selection.eliminate_zeros()
    gene_map = replace(whole, selection=selection)
    alignment = replace(reference.alignment, gene_map=gene_map)
    return replace(reference, alignment=alignment, fill=fill_row(reference.recipe, gene_map))


def random_fill(
    chunks: Iterator[PreparedChunk], *, missing: np.ndarray, low: float, high: float, seed: int
) -> Iterator[PreparedChunk]:
    """Yield the chunks with missing genes filled at random, as the released code does (`method.md` section 7).

    Parameters
    ----------
    chunks
        Prepared cells.
    missing
        Which genes of the recipe the query lacks, bool (genes,).
    low, high
        What a missing gene is in a cell: `high` in a share of 1 − 1/e of the cells, which is how many are drawn at
        least once in as many draws with replacement, `low` in the others.
    seed
        Draws depend on it and on the cell's expression alone, not on where it stands.
    """
    columns = np.flatnonzero(missing)
    for chunk in chunks:
        inputs = chunk.inputs.tolil(copy=True)
        for i, key in enumerate(cell_keys([chunk])):
            raised = np.random.default_rng([seed, int(key)]).random(len(columns)) < 1 - np.exp(-1)
            inputs[i, columns] = np.where(raised, high, low)
        yield PreparedChunk(chunk.rows, chunk.counts, inputs.tocsr().astype(np.float32))


def _released_fill_values(matrix: Matrix, gene_map: GeneMap, recipe: Recipe) -> tuple[float, float]:
    """Return the mean over the query's genes of their lowest value, and the lowest mean of a gene."""
    present = gene_map.present
    lowest, total, n_cells = np.full(int(present.sum()), np.inf), np.zeros(int(present.sum())), 0
    for chunk in prepared_chunks(matrix, gene_map, recipe):
        values = chunk.inputs[:, present]
        lowest = np.minimum(lowest, values.min(axis=0).toarray().ravel())
        total += np.asarray(values.astype(np.float64).sum(axis=0)).ravel()
        n_cells += values.shape[0]
    return float(lowest.mean()), float((total / n_cells).min())
