"""Denoised expression adjusted to the query: its genes to their totals, its cells to their own molecules.

A model decodes another platform's cells as its reference's platform would have seen them. One factor a gene, such that
what the model says of all cells together meets the totals of the query, mends what is alike in all cells. For the rest,
what the model says of a cell counts as so many molecules beside the cell's own, as many as predict held-out ones best.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from scprism._warnings import warn
from scprism.denoise.thinning import deviance
from scprism.errors import InputError
from scprism.model.config import Config
from scprism.model.forward import encode
from scprism.model.weights import Weights
from scprism.prepare.draws import cell_keys, thin_by_cell
from scprism.prepare.recipe import Recipe
from scprism.prepare.stream import CHUNK_SIZE, PreparedChunk
from scprism.query.embed import denoised, embed_cells
from scprism.query.model_genes import in_model_genes
from scprism.query.view import Query
from scprism.types import FloatArray, IntArray

__all__ = [
    "Adjustment",
    "denoise_query",
    "denoised_chunks",
    "gene_factors",
    "is_adjusted",
    "learn_adjustment",
    "scaled_by_gene",
    "shrunk_to_counts",
]

logger = logging.getLogger("scprism")

STRENGTHS = (10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5)
"""Molecules that the model may count as; a grid this coarse loses little, since the loss is flat around its least."""
SAMPLE = 2000
"""Cells that the strength is chosen by, at most."""
DENSE_VALUES = 2**22
"""Values of decoded expression that are held at a time, several times over."""
LITTLE = 0.05
"""Below this share of the model in the median cell a warning says so."""
PRIOR = 10.0
"""Molecules of a gene that speak for a factor of 1."""
CLOSE = 0.01
"""Factors are good enough when none changes by more than this share of itself."""
MOST_PASSES = 50
"""Passes over all cells after which factors are taken as they are."""


@dataclass(frozen=True)
class Adjustment:
    """What a query says of a model's expression.

    Attributes
    ----------
    factors
        What each gene's share is multiplied with; 1 for genes that the query lacks, float64 (genes of the recipe,).
    strength
        Molecules that the model counts as beside a cell's own.
    molecules
        Molecules of the median cell in the genes of the model.
    """

    factors: FloatArray
    strength: float
    molecules: float

    @property
    def share_of_model(self) -> float:
        """How much of the median cell's values is the model's; the rest is the cell's own counts."""
        return self.strength / (self.strength + self.molecules)


def gene_factors(seen: FloatArray, expected: FloatArray, factors: FloatArray | None = None) -> FloatArray:
    """Return better factors of the genes, (genes,): step by step they become those with which the totals are met.

    A gene's logarithm is drawn towards 0 as if ten molecules spoke for a factor of 1: a gene of 1,000 molecules for
    which the model expects 100 is met to 3 %, one of 100 molecules for which it expects 10 to 25 %. Iterative
    proportional fitting (Deming and Stephan, Ann. Math. Stat. 11, 427 (1940)), since the shares of a cell are made to
    add up to 1 again after each step.

    Parameters
    ----------
    seen, expected
        Molecules of each gene in all cells, and what a model expects of the same cells with the present factors.
    factors
        The present factors; 1 if not given.

    Examples
    --------
    >>> gene_factors(np.array([990.0, 0.0, 5.0]), np.array([98.1, 10.0, 5.0])).round(2)
    array([9.77, 0.3 , 1.  ])
    """
    now = np.ones(len(seen)) if factors is None else factors
    alone = expected / now  # with a factor of 1
    molecules = np.maximum(seen, alone)
    result: FloatArray = ((seen + 1) / (alone + 1)) ** (molecules / (molecules + PRIOR))
    return result


def scaled_by_gene(proportions: FloatArray, factors: FloatArray) -> FloatArray:
    """Return proportions (cells, genes) with each gene multiplied by its factor; rows add up to 1 again."""
    scaled = proportions * factors
    result: FloatArray = scaled / np.maximum(scaled.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return result


def shrunk_to_counts(proportions: FloatArray, counts: sparse.csr_matrix, *, strength: float) -> FloatArray:
    """Return the mean of a Dirichlet posterior: `proportions` count as `strength` molecules beside the cell's own.

    A cell of n molecules keeps strength / (strength + n) of what a model says of it, the rest are its own counts.

    Parameters
    ----------
    proportions
        Of a model, (cells, genes); rows add up to 1.
    counts
        The cell's own molecules, which the model may have seen, (cells, genes).
    """
    total = np.asarray(counts.sum(axis=1), dtype=np.float64)
    result: FloatArray = (strength * proportions + counts.toarray()) / (strength + total.reshape(-1, 1))
    return result


def denoise_query(
    query: Query,
    *,
    weights: Weights,
    config: Config,
    adjust: bool | None = None,
    latent: Callable[[], FloatArray] | None = None,
) -> FloatArray:
    """Return decoded expression as log1p counts per million, float32 (cells, genes of the recipe).

    Parameters
    ----------
    query
        The cells. While they are adjusted, a chunk of them and a sample, which the strength is chosen by, are held
        beside the result.
    adjust
        Adjust to the query as a whole (`learn_adjustment`), so that a cell's values depend on the cells that come with
        it. Genes that the query lacks keep what the model says; the others share what it gives to all of them. None: as
        the settings say, where the model was trained on counts of a cell.
    latent
        Returns the latent of the cells, if the caller knows it.

    Raises
    ------
    InputError
        If values are to be adjusted that are no shares of a cell's molecules.
    """
    result = np.empty((query.matrix.shape[0], len(query.recipe.genes)), dtype=np.float32)
    for rows, values in denoised_chunks(query, weights=weights, config=config, adjust=adjust, latent=latent):
        result[rows] = values
    return result


def denoised_chunks(
    query: Query,
    *,
    weights: Weights,
    config: Config,
    adjust: bool | None = None,
    latent: Callable[[], FloatArray] | None = None,
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield what `denoise_query` returns in blocks of cells, in order, so that it is never held whole.

    Arguments and errors are those of `denoise_query`.
    """
    if not is_adjusted(query.recipe, config, adjust=adjust):
        known = embed_cells(weights, query.chunks(), fill=query.fill) if latent is None else latent()
        for start in range(0, len(known), _chunk_size(query)):
            rows = slice(start, min(start + _chunk_size(query), len(known)))
            yield rows, denoised(weights, known[rows], recipe=query.recipe, config=config)
        return
    adjustment = learn_adjustment(query, weights=weights, config=config)
    present = query.alignment.gene_map.present
    for chunk, values in _decoded(query, weights, config):
        held = values[:, present].sum(axis=1, keepdims=True)  # what the model gives to the genes that the query has
        shares = scaled_by_gene(values[:, present], adjustment.factors[present])
        values[:, present] = held * shrunk_to_counts(shares, chunk.counts[:, present], strength=adjustment.strength)
        yield chunk.rows, np.log1p(values).astype(np.float32)


def is_adjusted(recipe: Recipe, config: Config, *, adjust: bool | None) -> bool:
    """Return whether denoised expression is adjusted; None asks for what the settings say, where it can be done.

    Raises
    ------
    InputError
        If the model has no counts of a cell to adjust to.
    """
    can = recipe.normalise == "per_cell"
    if adjust and not can:
        msg = f"`adjust` needs a model of each cell's counts, but this one has normalise={recipe.normalise!r}."
        raise InputError(f"{msg} Leave `adjust` out.")
    return can and (config.adjust_denoised if adjust is None else adjust)


def learn_adjustment(query: Query, *, weights: Weights, config: Config) -> Adjustment:
    """Return the factors of the genes by all cells, and the strength by molecules held out of some of them.

    Up to 2,000 cells, drawn by their hashes, are thinned to half of their molecules; the strength is the one that
    predicts the other half best (least mean deviance).

    Warns
    -----
    PrismWarning
        If almost nothing of the typical cell's values would be the model's.
    """
    factors = _factors(query, weights, config)
    first, second = _thinned(query)
    strength, molecules = _best_strength(first, second, weights, config)
    found = Adjustment(factors, strength, molecules)
    low, high = np.quantile(factors[query.alignment.gene_map.present], [0.05, 0.95])
    logger.info(
        "denoise: most genes are multiplied with %.2g to %.2g; the model counts as %g molecules beside a cell's own, "
        "%g in the median cell",
        *(low, high, strength, molecules),
    )
    if found.share_of_model < LITTLE:
        msg = f"Denoised values are cells' own counts but for {found.share_of_model:.1%}: their molecules, split by "
        msg += "chance, show little noise. Reads of full-length protocols do so though they are noisy. "
        warn(f"{msg}`adjust=False` (--no-adjust) gives the model's values alone.")
    return found


def _chunk_size(query: Query) -> int:
    """Return how many cells' dense values take tens of megabytes, however many genes there are."""
    return max(1, min(CHUNK_SIZE, DENSE_VALUES // len(query.recipe.genes)))


def _decoded(query: Query, weights: Weights, config: Config) -> Iterator[tuple[PreparedChunk, FloatArray]]:
    """Yield the cells chunk by chunk with what the model expects per million, float64 (cells, genes)."""
    for chunk in query.chunks(size=_chunk_size(query)):
        latent = encode(weights, chunk.inputs, fill=query.fill)
        per_million = denoised(weights, latent, recipe=query.recipe, config=config)
        yield chunk, np.expm1(per_million.astype(np.float64))


def _factors(query: Query, weights: Weights, config: Config) -> FloatArray:
    """Return the factors of the genes, 1 for those that the query lacks, iterated until they hardly change.

    What is held are the cells' latents and one chunk of decoded expression.
    """
    present = query.alignment.gene_map.present
    seen, molecules, latent = np.zeros(int(present.sum())), [], []
    for chunk in query.chunks():
        counts = chunk.counts[:, present]
        seen += np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
        molecules.append(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel())
        latent.append(encode(weights, chunk.inputs, fill=query.fill))
    cells = np.concatenate(latent), np.concatenate(molecules)
    now: FloatArray = np.ones(len(seen))
    for _ in range(MOST_PASSES):
        better = gene_factors(seen, _expected(query, *cells, factors=now, weights=weights, config=config), now)
        change, now = float(np.abs(better / now - 1).max(initial=0.0)), better
        if change < CLOSE:
            break
    factors = np.ones(len(present))
    factors[present] = now
    return factors


def _expected(
    query: Query, latent: FloatArray, molecules: FloatArray, *, factors: FloatArray, weights: Weights, config: Config
) -> FloatArray:
    """Return the molecules of each gene that the model expects in all cells with these factors, (genes present,)."""
    present, expected = query.alignment.gene_map.present, np.zeros(len(factors))
    for start in range(0, len(latent), _chunk_size(query)):
        rows = slice(start, start + _chunk_size(query))
        per_million = denoised(weights, latent[rows], recipe=query.recipe, config=config)[:, present]
        expected += molecules[rows] @ scaled_by_gene(np.expm1(per_million.astype(np.float64)), factors)
    return expected


def _thinned(query: Query) -> tuple[Query, Query]:
    """Return some cells of the query twice, each with about half of their molecules; cells and molecules by hash."""
    keys = cell_keys(query.chunks())
    drawn: IntArray = np.sort(np.argsort(keys, kind="stable")[:SAMPLE])
    sample = in_model_genes(query, drawn)
    half = np.full(sample.matrix.shape[1], 0.5)
    first = thin_by_cell(sample.matrix, half, keys[drawn], purpose=f"denoise {query.seed}")
    second = sparse.csr_matrix(sample.matrix - first)
    second.eliminate_zeros()
    return replace(sample, matrix=first), replace(sample, matrix=second)


def _best_strength(first: Query, second: Query, weights: Weights, config: Config) -> tuple[float, float]:
    """Return the strength at which the first part, adjusted, predicts the second best; molecules of the median cell."""
    present = first.alignment.gene_map.present
    factors = _factors(first, weights, config)[present]
    losses, totals = np.zeros(len(STRENGTHS)), []
    for (chunk, values), unseen in zip(
        _decoded(first, weights, config), second.chunks(size=_chunk_size(second)), strict=True
    ):
        shares = scaled_by_gene(values[:, present], factors)
        held_out = unseen.counts[:, present]
        totals.append(np.asarray((chunk.counts + unseen.counts).sum(axis=1), dtype=np.float64).ravel())
        for i, strength in enumerate(STRENGTHS):
            predicted = shrunk_to_counts(shares, chunk.counts[:, present], strength=strength)
            losses[i] += np.nansum(deviance(held_out, predicted))
    return STRENGTHS[int(np.argmin(losses))], float(np.median(np.concatenate(totals)))
