"""A reference and a query with their labels, and the calls for the query's cells by a latent."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from anndata import AnnData

from foreign.cells import Pair, labels_of, read_part, shared_types
from foreign.neighbours import knn_calls, label_calls

__all__ = ["Task", "open_task", "vote", "vote_as_labels"]


@dataclass(frozen=True)
class Task:
    """A pair with its cells and labels at hand; cells of types that are not shared are left out of the scores.

    Attributes
    ----------
    words, codes
        Names of the reference's types, and the code of each of its cells, −1 without a label.
    scored, truth
        Which query cells are scored, and their codes.
    """

    pair: Pair
    query: AnnData
    words: list[str]
    codes: np.ndarray
    scored: np.ndarray
    truth: np.ndarray
    types: list[str]


def open_task(pair: Pair, reference: AnnData, folder: Path) -> Task:
    """Return the pair's query, and both sides' labels."""
    query = read_part(pair.query, folder)
    known = labels_of(pair.reference, reference, fine=pair.fine)
    truth = labels_of(pair.query, query, fine=pair.fine)
    types = shared_types(known, truth)
    words = sorted(set(known[known != ""].tolist()))
    place = {word: i for i, word in enumerate(words)}
    scored = np.isin(truth, types)
    return Task(
        pair=pair,
        query=query,
        words=words,
        codes=np.array([place.get(word, -1) for word in known]),
        scored=scored,
        truth=np.array([place[word] for word in truth[scored]]),
        types=types,
    )


def vote(task: Task, z: np.ndarray, z_query: np.ndarray, metric: str) -> np.ndarray:
    """Return the calls of labelled reference cells for scored query cells."""
    voters = task.codes >= 0
    return knn_calls(z[voters], task.codes[voters], z_query[task.scored], metric=metric)


def vote_as_labels(task: Task, z: np.ndarray, z_query: np.ndarray) -> np.ndarray:
    """Return the calls by the whole rule of `Model.label`."""
    voters = task.codes >= 0
    return label_calls(z[voters], task.codes[voters], z_query[task.scored])
