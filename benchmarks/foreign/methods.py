"""What is compared: each method turns a reference and a query into calls for the query's cells."""

import dataclasses
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

from foreign.cells import Pair, labels_of, read_part, shared_types
from foreign.gaps import without_genes
from foreign.neighbours import knn_calls, label_calls
from scprism.model.config import Config
from scprism.model.presets import PRESETS
from scprism.prepare.recipe import Recipe
from scprism.query.view import open_query
from scprism.train.batches import TrainingCells
from scprism.train.fit import prepare_training

__all__ = [
    "BASELINES",
    "Method",
    "Reference",
    "Task",
    "all_methods",
    "open_task",
    "variant",
]

N_COMPONENTS = 50
WHOLE = Config(genes="all", min_max_count=0, target_sum=1e4, library="all")
"""How HVG-PCA and the peers see cells: all genes."""


@dataclass(frozen=True)
class Method:
    """A method by name.

    Attributes
    ----------
    rows
        The names of its results; several where several distances are tried on the same features.
    config
        Of a network; None for a baseline.
    seeds
        How many seeds.
    trained
        False for the network as it was drawn.
    """

    name: str
    rows: tuple[str, ...]
    config: Config | None = None
    seeds: int = 1
    trained: bool = True


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


class Reference:
    """A reference's cells, prepared once for each gene choice and trained once for each network."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.cells = read_part(name, folder)
        self.kept: dict[str, tuple[Recipe, TrainingCells]] = {}

    def prepared(self, config: Config) -> tuple[Recipe, TrainingCells]:
        """Return the recipe and the cells as a network of these settings is trained on; computed once."""
        names = ("genes", "min_max_count", "normalise", "target_sum", "library", "negative_values", "likelihood")
        key = str([config.flat()[name] for name in names])
        if key not in self.kept:
            matrix, genes = self.cells.X, list(self.cells.var_names)
            self.kept[key] = prepare_training(matrix, genes, config=config, organism=None)
        return self.kept[key]

    @cached_property
    def standard(self) -> tuple[Recipe, TrainingCells]:
        """The default preset's genes and normalisation, which the baselines share."""
        return self.prepared(PRESETS["default"])

    @cached_property
    def whole(self) -> tuple[Recipe, TrainingCells]:
        """All genes."""
        return self.prepared(WHOLE)

    @cached_property
    def components(self) -> tuple[PCA, np.ndarray]:
        """Principal components of all genes of the recipe, and the reference's scores."""
        x = self.standard[1].inputs.toarray()
        fitted = PCA(min(N_COMPONENTS, *x.shape), random_state=0).fit(x)
        return fitted, fitted.transform(x)


def open_task(pair: Pair, reference: Reference, folder: Path) -> Task:
    """Return the pair's query, without the genes that the pair drops, and both sides' labels."""
    query = read_part(pair.query, folder)
    known = labels_of(pair.reference, reference.cells, fine=pair.fine)
    truth = labels_of(pair.query, query, fine=pair.fine)
    types = shared_types(known, truth)
    words = sorted(set(known[known != ""].tolist()))
    place = {word: i for i, word in enumerate(words)}
    scored = np.isin(truth, types)
    return Task(
        pair=pair,
        query=without_genes(query, pair.dropped, folder),
        words=words,
        codes=np.array([place.get(word, -1) for word in known]),
        scored=scored,
        truth=np.array([place[word] for word in truth[scored]]),
        types=types,
    )


def vote(task: Task, z: np.ndarray, z_query: np.ndarray, metric: str, *, equal: bool = False) -> np.ndarray:
    """Return the calls of labelled reference cells for scored query cells; with votes that are all equal if wanted."""
    voters = task.codes >= 0
    return knn_calls(z[voters], task.codes[voters], z_query[task.scored], metric=metric, equal=equal)


def vote_as_labels(task: Task, z: np.ndarray, z_query: np.ndarray) -> np.ndarray:
    """Return the calls by the whole rule of `Model.label`."""
    voters = task.codes >= 0
    return label_calls(z[voters], task.codes[voters], z_query[task.scored])


def all_methods(*, variants: list[Method], seeds: int, untrained_seeds: int) -> list[Method]:
    """Return every method, the presets first."""
    networks = [Method(name, (name,), PRESETS[name], seeds) for name in ("default", "paper")]
    networks.append(Method("as_released", ("as_released",), released(PRESETS["as_released"])))
    networks.append(Method("untrained", ("untrained",), PRESETS["default"], untrained_seeds, trained=False))
    networks[0] = dataclasses.replace(
        networks[0], rows=("default", "default, neighbours alone", "default, equal votes")
    )
    return [networks[0], *variants, *networks[1:], *(Method(name, rows) for name, (rows, _) in BASELINES.items())]


def released(config: Config) -> Config:
    """Return the released code's settings with 5 epochs: with a batch of one cell, 500 take hours.

    5 epochs of one cell a step are as many steps as 160 epochs of the preset ``paper``.
    """
    return dataclasses.replace(config, max_epochs=5)


def variant(text: str) -> Method:
    """Return the method of ``NAME[@PRESET]:setting=value,...``."""
    name, _, changes = text.partition(":")
    name, _, preset = name.partition("@")
    values = dict(change.split("=", 1) for change in changes.split(",") if change)
    parsed = {key: _value(value) for key, value in values.items()}
    base = PRESETS[preset or "default"].flat()
    return Method(name, (name,), Config.from_json({**base, **parsed}), seeds=0)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


# baselines: on the genes that the query has, so that none is hurt by a gap


def on_shared_genes(
    task: Task, prepared: tuple[Recipe, TrainingCells], config: Config
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return reference and query, normalised as the network's input is, in the genes that both have."""
    recipe, cells = prepared
    query = open_query(task.query, recipe, config, min_coverage=0.0)
    present = query.alignment.gene_map.present
    values = sparse.vstack([chunk.inputs for chunk in query.chunks()], format="csr")
    return cells.inputs[:, present], values[:, present]


def both(task: Task, z: np.ndarray, z_query: np.ndarray) -> dict[str, np.ndarray]:
    return {metric: vote(task, z, z_query, metric) for metric in ("euclidean", "cosine")}


def all_three(task: Task, z: np.ndarray, z_query: np.ndarray) -> dict[str, np.ndarray]:
    return {**both(task, z, z_query), AS_LABELS: vote_as_labels(task, z, z_query)}


def all_genes(task: Task, reference: Reference) -> dict[str, np.ndarray]:
    x, y = on_shared_genes(task, reference.standard, PRESETS["default"])
    return both(task, x.toarray(), y.toarray())


def principal(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pca = PCA(min(N_COMPONENTS, *x.shape), random_state=0).fit(x)
    return pca.transform(x), pca.transform(y)


def pca(task: Task, reference: Reference) -> dict[str, np.ndarray]:
    x, y = on_shared_genes(task, reference.standard, PRESETS["default"])
    return all_three(task, *principal(x.toarray(), y.toarray()))


def pca_filled(task: Task, reference: Reference) -> dict[str, np.ndarray]:
    """Return calls where the components stay and missing genes get the reference's mean: a stored PCA."""
    recipe, cells = reference.standard
    query = open_query(task.query, recipe, PRESETS["default"], min_coverage=0.0)
    missing = np.where(query.alignment.gene_map.present, 0, np.asarray(cells.inputs.mean(axis=0)).ravel())
    y = np.concatenate([chunk.inputs.toarray() for chunk in query.chunks()]) + missing
    fitted, z = reference.components
    return both(task, z, fitted.transform(y.astype(np.float32)))


def hvg_pca(task: Task, reference: Reference) -> dict[str, np.ndarray]:
    import scanpy

    x, y = on_shared_genes(task, reference.whole, WHOLE)
    table = scanpy.pp.highly_variable_genes(AnnData(x), n_top_genes=min(2000, x.shape[1]), inplace=False)
    chosen = table["highly_variable"].to_numpy()
    return all_three(task, *principal(x[:, chosen].toarray(), y[:, chosen].toarray()))


def nmf(task: Task, reference: Reference) -> dict[str, np.ndarray]:
    x, y = on_shared_genes(task, reference.standard, PRESETS["default"])
    model = NMF(min(N_COMPONENTS, *x.shape), init="nndsvda", max_iter=100, tol=1e-3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # more iterations hardly change the calls
        z = model.fit_transform(x)
        return both(task, z, model.transform(y))


def ceiling(task: Task, reference: Reference) -> dict[str, np.ndarray]:  # noqa: ARG001
    """Return calls for query cells by other cells of the query: 5 folds, PCA and cosine."""
    truth = labels_of(task.pair.query, task.query, fine=task.pair.fine)
    known = np.flatnonzero(truth != "")
    words, codes = np.unique(truth[known], return_inverse=True)
    _, cells = prepare_training(task.query.X, list(task.query.var_names), config=PRESETS["default"], organism=None)
    x = cells.inputs[known].toarray()
    calls = np.zeros((24, len(known)), dtype=np.int16)
    for train, test in KFold(5, shuffle=True, random_state=0).split(x):
        z, z_test = principal(x[train], x[test])
        calls[:, test] = knn_calls(z, codes[train], z_test, metric="cosine")
    places = {word: i for i, word in enumerate(task.words)}
    meaning = np.array([places.get(word, -1) for word in words])
    return {"": meaning[calls][:, np.isin(known, np.flatnonzero(task.scored))]}


METRICS, AS_LABELS = ("euclidean", "cosine"), "labelled as ours"
BASELINES: dict[str, tuple[tuple[str, ...], Callable[[Task, Reference], dict[str, np.ndarray]]]] = {
    "all_genes": (tuple(f"all genes {m}" for m in METRICS), all_genes),
    "pca": (tuple(f"PCA-50 {m}" for m in (*METRICS, AS_LABELS)), pca),
    "pca_filled": (tuple(f"PCA-50 filled {m}" for m in METRICS), pca_filled),
    "hvg_pca": (tuple(f"HVG-PCA-50 {m}" for m in (*METRICS, AS_LABELS)), hvg_pca),
    "nmf": (tuple(f"NMF-50 {m}" for m in METRICS), nmf),
    "ceiling": (("ceiling",), ceiling),
}
