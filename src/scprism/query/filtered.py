"""Genes that a query lacks because they were filtered for having (almost) no counts: these are known to be zero.

Tools such as `scanpy.pp.filter_genes` drop genes that few cells have. To a model they then look like genes that were
never measured, and are filled with the reference's mean, which is far too much for them.
"""

from dataclasses import replace

import numpy as np
from scipy.stats import beta
from sklearn.isotonic import IsotonicRegression

from scprism.prepare.recipe import Recipe
from scprism.prepare.stream import CHUNK_SIZE
from scprism.query.align import Alignment
from scprism.read.chunks import row_chunks
from scprism.types import FloatArray, Matrix

__all__ = ["FILTERED", "detected_share", "filtered_as_zero", "looks_filtered"]

FILTERED = "filtered"
"""What the coverage table says of them."""
LEAST_GENES = 100
"""Genes of a model from which on rare and common ones can be compared."""
SURE = 0.95
"""Chance with which no more genes were never measured than is assumed."""
LIKELY = 0.5
"""Chance that a missing gene was filtered from which on it is taken for zero."""


def filtered_as_zero(alignment: Alignment, recipe: Recipe, matrix: Matrix) -> Alignment:
    """Return the alignment with genes that were probably filtered known to be zero; the same if no gene was filtered.

    A query is taken for filtered if each of its genes has a count in some cell, and genes that the reference rarely
    shows are missing from it far more often than common ones.

    Parameters
    ----------
    alignment
        How the query's genes meet the model's.
    recipe
        Of the model.
    matrix
        The query's counts. All of them are looked through, if rare genes are missing.
    """
    zero = looks_filtered(detected_share(recipe), alignment.gene_map.present)
    if not zero.any() or not _each_gene_has_a_count(matrix):
        return alignment
    coverage = alignment.coverage.assign(found=alignment.coverage["found"].where(~zero, FILTERED))
    return replace(alignment, gene_map=replace(alignment.gene_map, zero=zero), coverage=coverage)


def detected_share(recipe: Recipe) -> FloatArray:
    """Return about which share of the reference's cells show each gene, (genes,).

    From mean m and spread s of the normalised expression: m² / (m² + s²), which is that share if all cells that show a
    gene show as much of it, and a lower bound if not.
    """
    squares = np.square(recipe.mean)
    both = squares + np.square(recipe.spread)
    share: FloatArray = np.divide(squares, both, out=np.zeros_like(squares), where=both > 0)
    return share


def looks_filtered(detected: FloatArray, present: np.ndarray) -> np.ndarray:
    """Return which missing genes were more likely filtered than never measured, bool (genes,).

    Genes that are never measured are missing whether common or rare; how many, the commonest tenth tells. Of genes as
    rare as one in question, what is missing beyond that was filtered.

    Parameters
    ----------
    detected
        Share of the reference's cells that show each gene, (genes,).
    present
        Which genes the query has, bool (genes,).

    Examples
    --------
    >>> detected = np.linspace(0.01, 0.9, 200)
    >>> int(looks_filtered(detected, detected > 0.2).sum())  # the rare ones are missing
    43
    >>> int(looks_filtered(detected, np.arange(200) % 2 == 0).sum())  # every other one is
    0
    """
    if len(detected) < LEAST_GENES or present.all():
        return np.zeros(len(detected), dtype=bool)
    missing = (~present).astype(np.float64)
    commonest = np.argsort(detected, kind="stable")[-max(len(detected) // 10, 1) :]
    n_missing = missing[commonest].sum()
    never_measured = beta.ppf(SURE, n_missing + 1, max(len(commonest) - n_missing, 1e-9))  # Clopper and Pearson's bound
    rate = IsotonicRegression(increasing=False).fit_transform(detected, missing)
    chance = 1 - never_measured / np.maximum(rate, never_measured)
    filtered: np.ndarray = ~present & (chance > LIKELY)
    return filtered


def _each_gene_has_a_count(matrix: Matrix) -> bool:
    seen = np.zeros(matrix.shape[1], dtype=bool)
    for _, chunk in row_chunks(matrix, size=CHUNK_SIZE):
        seen[chunk.indices] = True  # no zeros are stored
    return bool(seen.all())
