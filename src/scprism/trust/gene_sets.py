"""Stability of gene sets over refits, and how stable simpler decompositions of the same cells are."""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import ConvergenceWarning

from scprism.enrichment.result import count_significant
from scprism.trust.matching import match_units, paired_jaccard
from scprism.types import FloatArray, IntArray

__all__ = ["decomposition_stability", "set_jaccard"]

MAX_CELLS = 1000
"""More cells than this are sampled for PCA and NMF: they are yardsticks, not results."""


def set_jaccard(first: pd.DataFrame, second: pd.DataFrame, partner: IntArray) -> FloatArray:
    """Return for each unit the sets significant for it and its partner as a share of those for either, (units,).

    NaN for a unit without any such set on either side.

    Parameters
    ----------
    first, second
        Results of `scprism.enrich` of the same sets; units in the same order as in the matching.
    partner
        Each unit's partner (see `match_units`).
    """
    own, other = count_significant(first) > 0, count_significant(second) > 0
    other = other.reindex(columns=own.columns, fill_value=False)
    return paired_jaccard(own.to_numpy(), other.to_numpy()[partner])


def decomposition_stability(
    training: sparse.csr_matrix, query: FloatArray, *, n_components: int, n_refits: int, rng: np.random.Generator
) -> dict[str, float | None]:
    """Return the median matched |Spearman| of components over refits, on the query's cells, of PCA and NMF.

    The yardstick of a network of as many units. PCA has no seeds: its refits are on random halves of the training
    cells, which is harder than another seed. NMF starts anew from another seed on the same cells; None where values are
    below 0. The first fit is compared with all others.

    Parameters
    ----------
    training, query
        Normalised cells in the same genes.
    """
    rows = np.sort(rng.permutation(training.shape[0])[:MAX_CELLS])
    cells = training[rows].toarray().astype(np.float64)
    n_parts = min(n_components, len(cells) // 2, cells.shape[1])

    def pca() -> FloatArray:
        half = cells[rng.permutation(len(cells))[: len(cells) // 2]]
        seed = int(rng.integers(2**31))
        return np.asarray(PCA(n_parts, svd_solver="randomized", random_state=seed).fit(half).transform(query))

    def nmf() -> FloatArray:
        seed = int(rng.integers(2**31))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return np.asarray(NMF(n_parts, init="random", max_iter=200, random_state=seed).fit(cells).transform(query))

    can_factorise = cells.min(initial=0.0) >= 0 and query.min(initial=0.0) >= 0
    return {
        "median_pca_correlation": _median_match(pca, n_refits),
        "median_nmf_correlation": _median_match(nmf, n_refits) if can_factorise else None,
    }


def _median_match(fit: Callable[[], FloatArray], n_refits: int) -> float:
    first = fit()
    return float(np.median(np.abs([match_units(first, fit()).correlation for _ in range(n_refits)])))
