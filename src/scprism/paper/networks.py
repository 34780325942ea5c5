"""Networks, each trained once and kept in a folder, and the cells that they are trained on and applied to."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism.explain.explanation import Explanation
from scprism.explain.grouping import asked_attribution, explain_query
from scprism.label.labels import labels_as_text
from scprism.model.bundle import Bundle, load_bundle, save_bundle
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.weights import Weights
from scprism.paper.data_sets import Source, read_source
from scprism.paper.results import code_version
from scprism.prepare.recipe import Recipe
from scprism.query.embed import embed_cells
from scprism.query.view import Query, open_query, with_gaps_of
from scprism.read.counts import checked_counts
from scprism.train import fit
from scprism.train.batches import AnyCells
from scprism.train.fit import fit_network, prepare_training
from scprism.types import AttributionMethod, FloatArray

__all__ = ["Network", "NetworkSpec", "NetworkStore", "settings_for", "training_seconds"]

KEPT_NETWORKS = 8
READINGS = ("attribution", "baseline", "first_unit_plain", "foreign_loss", "projection", "metric")
"""Settings that do not change a network, but what experiments make of it."""
AFTER_TRAINING = frozenset(
    [
        *READINGS,
        "adjust_denoised",
        "final_epochs",
        "gene_count",
        "knn_neighbours",
        "min_coverage",
        "n_neighbours",
        "search_epochs",
        "search_space",
        "search_stopping",
        "search_trials",
        "standardise_latent",
        "neighbour_weights",
        "whiten_latent",
    ]
)
"""Settings that do not change a network."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network by what it is trained on, its settings and its seed; `is_trained` is False for one as it was drawn."""

    source: Source
    config: Config
    seed: int
    is_trained: bool = True

    @cached_property
    def settings(self) -> Config:
        """The settings, for corrected expression where the source is that."""
        return settings_for(self.source, self.config)

    @cached_property
    def key(self) -> str:
        """A hash of all that the network depends on."""
        settings = {name: value for name, value in self.settings.flat().items() if name not in AFTER_TRAINING}
        record = [self.source.fingerprint, settings, self.seed, self.is_trained, code_version(Path(fit.__file__))]
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:20]

    @property
    def readings(self) -> list[object]:
        """Settings that results depend on though the network does not."""
        return [getattr(self.settings, name) for name in READINGS]


def settings_for(source: Source, config: Config) -> Config:
    """Return settings as they are, or for corrected expression: reconstructed as it is, with the paper's loss."""
    if not source.is_corrected:
        return config
    likelihood = "poisson" if config.counts_as_targets else config.likelihood
    changed = config.changed(normalise="none", likelihood=likelihood)
    return changed if changed.negative_values == "keep" else changed.changed(negative_values="clip")


@dataclass(frozen=True)
class Network:
    """A network, its recipe and settings, and the record of its training."""

    recipe: Recipe
    weights: Weights
    config: Config
    log: pd.DataFrame
    summary: dict[str, object]

    def opened(self, cells: AnnData) -> Query:
        """Return cells as the network sees them, however few of its genes they have: coverage is reported instead."""
        return open_query(cells, self.recipe, self.config, min_coverage=0.0)

    def latent(self, query: Query) -> FloatArray:
        """Return the latent, (cells, units)."""
        return embed_cells(self.weights, query.chunks(), fill=query.fill)

    def latents(self, reference: AnnData, query: AnnData) -> tuple[FloatArray, FloatArray]:
        """Return the latents of a reference and a query, both seen through the genes that the query has."""
        opened = self.opened(query)
        return self.latent(with_gaps_of(self.opened(reference), opened)), self.latent(opened)

    def explained(self, cells: AnnData, *, groups: bool = True, method: AttributionMethod | None = None) -> Explanation:
        """Return which genes drive each unit in these cells, by their types in ``obs["type"]``, and over all."""
        attribution = asked_attribution(
            self.config, method=method, baseline=None, reference=None, directions=None, mean=self.recipe.mean
        )
        groupby = labels_as_text(cells.obs["type"]) if groups else None
        return explain_query(self.opened(cells), cells, weights=self.weights, groupby=groupby, attribution=attribution)


class NetworkStore:
    """A folder where networks are trained once and kept, and corrected expression with them.

    Several processes may use one folder.
    """

    def __init__(self, folder: Path, *, max_cells: int) -> None:
        self.folder, self.max_cells = folder, max_cells
        self._cells = lru_cache(maxsize=6)(self._read)
        self._networks = lru_cache(maxsize=KEPT_NETWORKS)(self._network)

    def cells(self, source: Source) -> AnnData:
        """Return the cells of a source; not to be changed. Their types are in ``obs["type"]``."""
        return self._cells(source)

    def labelled(self, source: Source) -> AnnData:
        """Return the cells of a source that have a type."""
        cells = self.cells(source)
        return cells[cells.obs["type"].notna().to_numpy()]

    def network(self, spec: NetworkSpec) -> Network:
        """Return a network, from the folder or trained now."""
        return self._networks(spec)

    def has(self, spec: NetworkSpec) -> bool:
        """Return whether a network is in the folder already."""
        return self._path(spec).exists()

    def prepared(self, source: Source, config: Config) -> tuple[Recipe, AnyCells]:
        """Return a source's recipe, and its cells as a network of these settings is trained on."""
        matrix, names = checked_counts(self.cells(source), layer=None, integers=config.normalise != "none")
        organism = source.organism if source.organism in ("human", "mouse") else None
        return prepare_training(matrix, list(names), config=config, organism=organism)  # type: ignore[arg-type]

    def _read(self, source: Source) -> AnnData:
        return read_source(source, max_cells=self.max_cells, scratch=self.folder)

    def _network(self, spec: NetworkSpec) -> Network:
        path = self._path(spec)
        if not path.exists():
            save_bundle(self._made(spec), path)
        bundle = load_bundle(path)
        return Network(bundle.recipe, bundle.weights, bundle.config, bundle.log, bundle.summary)

    def _path(self, spec: NetworkSpec) -> Path:
        return self.folder / "networks" / f"{spec.key}-{self.max_cells}"

    def _made(self, spec: NetworkSpec) -> Bundle:
        config = spec.settings
        recipe, cells = self.prepared(spec.source, config)
        if spec.is_trained:
            fitted = fit_network(recipe, cells, config=config, rng=spec.seed, device="cpu")
            return Bundle(config, recipe, fitted.weights, fitted.log, fitted.summary)
        rng = np.random.default_rng(spec.seed)
        weights = to_weights(build_autoencoder(config, n_genes=len(recipe.genes), rng=rng))
        return Bundle(config, recipe, weights, pd.DataFrame({"epoch": []}), {})


def training_seconds(folder: Path) -> float:
    """Return how long the trainings of the networks kept in a folder took together."""
    records = (json.loads(path.read_text(encoding="utf-8")) for path in (folder / "networks").glob("*/model.json"))
    return float(sum(record["summary"].get("seconds", 0.0) for record in records))
