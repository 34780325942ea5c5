"""Labels of the nearest reference cells, with what says how far to trust them."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.neighbors import NearestNeighbors

from scprism._check import closest
from scprism.errors import InputError, PrismWarning
from scprism.model.config import Config
from scprism.types import FloatArray, IntArray

__all__ = [
    "NeighbourCalls",
    "Scaling",
    "known_labels",
    "label_query",
    "labels_as_text",
    "neighbour_labels",
    "neighbour_search",
    "scaling_of",
]

UNLABELLED = frozenset({"", "na", "nan", "none", "<na>"})
"""Names, in lower case, that stand for a cell without a label."""

NOVEL_QUANTILE = 0.99
"""A query cell farther from its neighbours than this share of reference cells are from theirs is called novel."""


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each unit over the reference, (units,); a constant unit keeps a spread of 1."""

    mean: FloatArray
    spread: FloatArray

    def apply(self, latent: FloatArray) -> FloatArray:
        """Return standardised latent values, (cells, units)."""
        return ((latent - self.mean) / self.spread).astype(np.float32)


@dataclass(frozen=True)
class NeighbourCalls:
    """Labels of query cells; arrays over cells.

    Attributes
    ----------
    label
        Index of the label with most neighbours; of equals, that of the nearer ones.
    confidence
        Share of the neighbours with that label.
    distance
        Mean distance to the neighbours.
    novel
        Whether that distance is beyond what reference cells show among themselves.
    """

    label: IntArray
    confidence: FloatArray
    distance: FloatArray
    novel: np.ndarray


def scaling_of(latent: FloatArray) -> Scaling:
    """Return mean and spread of a reference's latent (cells, units)."""
    values = latent.astype(np.float64)
    spread = values.std(axis=0)
    return Scaling(values.mean(axis=0), np.where(spread > 0, spread, 1.0))


def neighbour_search(
    reference: FloatArray, *, n_neighbours: int, metric: Literal["cosine", "euclidean"]
) -> NearestNeighbors:
    """Return an exact search over a reference latent (cells, units)."""
    return NearestNeighbors(n_neighbors=n_neighbours, metric=metric, algorithm="brute").fit(reference)


def neighbour_labels(
    reference: FloatArray,
    labels: IntArray,
    query: FloatArray,
    *,
    n_neighbours: int,
    metric: Literal["cosine", "euclidean"],
) -> NeighbourCalls:
    """Return the label, confidence and distance of each query cell from its nearest reference cells.

    Parameters
    ----------
    reference, query
        Latent values on one scale, (cells, units).
    labels
        Label number of each reference cell, 0 to the number of labels − 1.
    n_neighbours
        Neighbours that vote; fewer if the reference has fewer cells.
    metric
        Distance between cells.
    """
    k = min(n_neighbours, len(reference))
    distances, neighbours = neighbour_search(reference, n_neighbours=k, metric=metric).kneighbors(query)
    votes = np.zeros((len(query), int(labels.max()) + 1))
    nearness = 1e-3 * np.arange(k, 0, -1) / k**2  # decides between equals, too small to change a majority
    for rank in range(k):
        votes[np.arange(len(query)), labels[neighbours[:, rank]]] += 1 + nearness[rank]
    best = votes.argmax(axis=1)
    confidence = (labels[neighbours] == best[:, None]).mean(axis=1)
    distance = distances.mean(axis=1)
    return NeighbourCalls(best, confidence, distance, distance > _usual_distance(reference, k=k, metric=metric))


def labels_as_text(values: pd.Series) -> pd.Series:
    """Return labels as text, NaN for those that stand for no label, such as "NA" and empty text."""
    text = values.astype("object").map(str, na_action="ignore").astype("object").fillna("")
    known: pd.Series[str] = text.where(~text.str.strip().str.lower().isin(UNLABELLED))
    return known


def known_labels(reference: AnnData, column: str) -> pd.Series:
    """Return the labels of a reference as text, NaN for cells without one.

    Raises
    ------
    InputError
        If there is no such column, or no cell has a label.
    """
    if column not in reference.obs:
        msg = (
            f"`labels` must be a column of the reference's `.obs`, got {column!r}. "
            f"Closest: {closest(column, reference.obs)}."
        )
        raise InputError(msg)
    known = labels_as_text(reference.obs[column])
    n_labels, n_labelled = known.nunique(), int(known.notna().sum())
    if n_labels == 0:
        msg = f"No reference cell has a label in {column!r}. Choose a column of `.obs` that holds cell types."
        raise InputError(msg)
    if n_labels == 1 or n_labels > n_labelled / 2:
        msg = (
            f"{column!r} holds {n_labels:,} different labels for {n_labelled:,} reference cells; are these cell types?"
        )
        warnings.warn(msg, PrismWarning, stacklevel=3)
    return known


def label_query(
    query: FloatArray, reference: FloatArray, labels: pd.Series, *, names: pd.Index, config: Config
) -> pd.DataFrame:
    """Return the labels of a query's latent as a table: ``label confidence distance novel``, index ``cell``.

    Parameters
    ----------
    query, reference
        Latent of the query and of all reference cells, (cells, units).
    labels
        Of the reference cells; those with NaN do not vote.
    names
        Of the query cells.
    config
        Metric, scaling and number of neighbours.
    """
    voters = labels.notna().to_numpy()
    reference = reference[voters]
    categories = pd.Categorical(labels[voters])
    if config.standardise_latent:
        scaling = scaling_of(reference)
        query, reference = scaling.apply(query), scaling.apply(reference)
    codes = np.asarray(categories.codes, dtype=np.int64)
    calls = neighbour_labels(reference, codes, query, n_neighbours=config.n_neighbours, metric=config.metric)
    table = {
        "label": np.asarray(categories.categories)[calls.label],
        "confidence": calls.confidence,
        "distance": calls.distance,
        "novel": calls.novel,
    }
    return pd.DataFrame(table, index=pd.Index(names, name="cell"))


def _usual_distance(reference: FloatArray, *, k: int, metric: Literal["cosine", "euclidean"]) -> float:
    if len(reference) <= k:
        return np.inf
    search = neighbour_search(reference, n_neighbours=k, metric=metric)
    distances, _ = search.kneighbors()  # without points: every cell's neighbours other than itself
    return float(np.quantile(distances.mean(axis=1), NOVEL_QUANTILE))
