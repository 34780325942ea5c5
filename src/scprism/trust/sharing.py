"""Task sharing: over how many gene sets a unit spreads, over how many units a set, how alike the units' maps are."""

import numpy as np
import pandas as pd

from scprism.enrichment.result import count_significant
from scprism.types import FloatArray

__all__ = ["mean_absolute_cosine", "participation_ratio", "set_sharing"]


def participation_ratio(weights: FloatArray) -> FloatArray:
    """Return for each row over how many columns it spreads: (sum)² / sum of squares, 0 for a row of zeros.

    Between 1, everything in one column, and the number of columns, equal parts in all. Weights are not below 0.

    Examples
    --------
    >>> participation_ratio(np.array([[4.0, 0.0], [1.0, 1.0], [3.0, 1.0]]))
    array([1. , 2. , 1.6])
    """
    total, squares = weights.sum(axis=1, dtype=np.float64) ** 2, (np.square(weights, dtype=np.float64)).sum(axis=1)
    return np.asarray(np.divide(total, squares, out=np.zeros(len(weights)), where=squares > 0))


def set_sharing(enrichment: pd.DataFrame, *, alpha: float = 0.05) -> "tuple[pd.Series[float], pd.Series[float]]":
    """Return the participation ratio of sets for each unit, and of units for each set that any unit has.

    The weight of a set in a unit is the number of groups in which it is significant (`count_significant`).
    """
    counts = count_significant(enrichment, alpha=alpha)
    values = counts.to_numpy(dtype=np.float64)
    by_set = pd.Series(participation_ratio(values.T), index=counts.columns)
    return pd.Series(participation_ratio(values), index=counts.index), by_set[by_set > 0]


def mean_absolute_cosine(maps: FloatArray) -> float:
    """Return the mean |cosine| between the maps of different units, (units, genes); NaN for fewer than two.

    Maps without any attribution are left out.
    """
    length = np.linalg.norm(maps, axis=1, keepdims=True)
    units = maps[length[:, 0] > 0] / length[length[:, 0] > 0]
    if len(units) < 2:
        return float("nan")
    cosine = np.abs(units @ units.T)
    return float((cosine.sum() - np.trace(cosine)) / (len(units) * (len(units) - 1)))
