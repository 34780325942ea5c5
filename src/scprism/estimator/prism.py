"""Prism: the one user-facing class."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import pandas as pd
from anndata import AnnData

from scprism._warnings import keeps_warnings
from scprism.denoise.adjust import denoise_query
from scprism.errors import PrismError, noted_warnings
from scprism.explain.explanation import Explanation
from scprism.explain.grouping import asked_attribution, explain_query
from scprism.label.index import write_index
from scprism.label.labels import known_labels
from scprism.label.reference import LabelReference
from scprism.label.transfer import indexed, label_query, learn_labels
from scprism.model.bundle import Bundle, save_bundle
from scprism.model.config import Config
from scprism.model.presets import Preset, resolve_config
from scprism.prepare.recipe import Recipe
from scprism.query.align import Alignment, align_genes
from scprism.query.embed import embed_cells
from scprism.query.view import Query, open_query
from scprism.read.counts import checked_counts, find_counts
from scprism.search.search import Search, tune_network
from scprism.train.batches import TrainingCells
from scprism.train.checkpoint import Checkpoint
from scprism.train.fit import Fitted, fit_network, prepare_training
from scprism.train.loop import OnEpoch
from scprism.types import AttributionMethod, Baseline, FloatArray, Organism, PathLike, RNGLike

__all__ = ["Prism"]


class Prism:
    """An interpretable autoencoder: learned on one data set, applied unchanged to others.

    Parameters
    ----------
    preset
        ``"default"``, ``"paper"`` (as the paper describes), ``"as_released"`` (as its code does), or a `Config`.
    genes
        ``"hallmark"``, ``"variable:N"``, ``"all"``, a file with one gene a line, or a list of genes. This and what
        follows: anything not given comes from the preset.
    organism
        ``"human"`` or ``"mouse"``; detected from the gene symbols if not given.
    layer
        Where the raw counts of the reference are: a layer, ``"raw"``, or ``X`` if not given.
    hidden_size, bottleneck_size, max_epochs, min_coverage
        Widths of the layers; epochs after which training ends at the latest; least share of its genes in a query.
    device
        Where to train: ``"cpu"``, ``"cuda"``, ``"mps"``, or ``"auto"``: CUDA if there is one, else
        the CPU.
    rng
        Seed or generator. Same seed, same data, same machine and threads: same weights, bit for bit.

    Attributes
    ----------
    config_, recipe_, weights_
        What `fit` settled: settings, preparation of cells, network.
    log_, summary_
        One row an epoch; seeds, versions, fingerprints, numbers of cells, losses.
    index_
        Labelled cells that `index` learned, by the column of their labels.
    """

    def __init__(
        self,
        preset: Preset | Config = "default",
        *,
        genes: str | Sequence[str] | None = None,
        organism: Organism | None = None,
        layer: str | None = None,
        hidden_size: int | None = None,
        bottleneck_size: int | None = None,
        max_epochs: int | None = None,
        min_coverage: float | None = None,
        device: str = "auto",
        rng: RNGLike = None,
    ) -> None:
        self.preset = preset
        self.genes = genes
        self.organism = organism
        self.layer = layer
        self.hidden_size = hidden_size
        self.bottleneck_size = bottleneck_size
        self.max_epochs = max_epochs
        self.min_coverage = min_coverage
        self.device = device
        self.rng = rng

    def fit(
        self,
        cells: AnnData,
        *,
        on_epoch: OnEpoch | None = None,
        on_recipe: Callable[[Recipe], None] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Return the model, trained on the raw counts of `cells`, which stay as they are.

        `on_epoch` is called with the record of each epoch, for a progress display, `on_recipe` with the recipe before
        the training begins: an error that it raises ends the call. `checkpoint` names a file from which
        an interrupted run can go on; it stays until you delete it. `InputError` or `TrainingError` if the values are
        not raw counts, the genes cannot be used, or the loss becomes infinite.
        """
        config, rng, device = self.config, self.rng, self.device
        with noted_warnings() as messages:
            recipe, training = self._prepare(cells)
            if on_recipe is not None:
                on_recipe(recipe)
            fitted = fit_network(
                recipe, training, config=config, rng=rng, device=device, on_epoch=on_epoch, checkpoint=checkpoint
            )
        fitted.summary["warnings"] = messages
        return self.learned(fitted, config)

    def tune(
        self, cells: AnnData, *, search: Search | None = None, on_trial: Callable[[int, float], None] = lambda *_: None
    ) -> pd.DataFrame:
        """Return a table of the trials of a search for settings; the model is trained with the best of them.

        Arguments, table and errors: `scprism.search.search.tune_network`; what `search` leaves open is the preset's.
        """
        given, chosen = self.config, search or Search()
        with noted_warnings() as messages:
            recipe, training = self._prepare(cells)
            fitted, config, trials = tune_network(
                recipe, training, config=given, search=chosen, seed=self.rng, device=self.device, on_trial=on_trial
            )
        fitted.summary["warnings"] = messages
        self.learned(fitted, config)
        return trials

    def embed(
        self,
        cells: AnnData,
        *,
        layer: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> FloatArray:
        """Return the latent, float32 (cells, units), in the order of `cells`; their genes may come in any order.

        Parameters
        ----------
        layer
            Where the counts are; that of the model if not given.
        organism
            Organism of `cells`; detected if not given. Another than the model's goes through orthologs.
        min_coverage
            Least share of the model's genes that `cells` must have; that of the model's settings if not given.
        """
        query = self._open(cells, layer=layer, organism=organism, min_coverage=min_coverage)
        return embed_cells(self.weights_, query.chunks(), fill=query.fill)

    def denoise(
        self,
        cells: AnnData,
        *,
        adjust: bool | None = None,
        layer: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> FloatArray:
        """Return decoded expression, log1p counts per million, float32 (cells, genes of the recipe, ``recipe_.genes``).

        `adjust` fits it to the totals and the molecules of `cells` (docs/denoise.md), so that a cell's values depend on
        the others; not given: as the preset says (the default does, the paper's do not). The rest is as in `embed`.
        """
        query = self._open(cells, layer=layer, organism=organism, min_coverage=min_coverage)
        return denoise_query(query, weights=self.weights_, config=self.config_, adjust=adjust)

    def index(self, reference: AnnData, *, labels: str | Sequence[str], layer: str | None = None) -> Self:
        """Return the model with labelled cells learned for `label`; `save` keeps them: latents and labels, no counts.

        `labels` names a column of ``reference.obs``, or several; cells without a label (NaN, "NA", empty) do not vote.
        """
        self.index_ = self._learn_labels(reference, labels, layer)
        return self

    @keeps_warnings
    def label(
        self,
        cells: AnnData,
        *,
        reference: AnnData | None = None,
        labels: str | None = None,
        layer: str | None = None,
        reference_layer: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> pd.DataFrame:
        """Return each cell's label by its nearest reference cells and the centres of the labels; index: cell.

        ``confidence`` is the estimated probability that ``label`` is right, ``distance`` the mean distance to the
        neighbours; ``novel`` are cells that lie farther out than 95 % of the reference's own kind.

        `reference` holds labelled cells, their counts in `reference_layer`; they are seen through the genes that
        `cells` have. Without it the labelled cells are those of `index`. `labels` is a column of ``reference.obs``, or
        of the index, where it may be left out if it is the only one.
        """
        query = self._open(cells, layer=layer, organism=organism, min_coverage=min_coverage)
        if reference is None:
            chosen = indexed(self.index_, labels, query=query)
        else:
            chosen = indexed(self._learn_labels(reference, labels, reference_layer, seen_as=query), labels)
        return label_query(query, chosen, weights=self.weights_, names=cells.obs_names, config=self.config_)

    @keeps_warnings
    def explain(
        self,
        cells: AnnData,
        *,
        groupby: "str | pd.Series[str] | None" = None,
        method: AttributionMethod | None = None,
        baseline: Baseline | None = None,
        reference: AnnData | None = None,
        directions: pd.DataFrame | None = None,
        layer: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> Explanation:
        """Return which genes drive each unit, per group of cells and for all of them.

        Parameters
        ----------
        groupby
            Column of ``cells.obs``, or a Series of groups indexed by cell. There is always the group ``"all"``.
        method, baseline
            Attribution method; whether attributions say what a cell's expression adds to a unit (``"zero"``), or what
            its difference from the mean training cell adds (``"mean"``). Those of the preset if not given.
        reference
            For ``"expected_gradients"``: the data whose cells are the baselines; 100 of them are used.
        directions
            Explained in place of units: a row a direction, a column a unit (see `scprism.explain.directions`).
        """
        query = self._open(cells, layer=layer, organism=organism, min_coverage=min_coverage)
        known = None if reference is None else self._open(reference, layer=None, organism=None, min_coverage=None)
        attribution = asked_attribution(
            self.config_,
            method=method,
            baseline=baseline,
            reference=known,
            directions=directions,
            mean=self.recipe_.mean,
        )
        return explain_query(query, cells, weights=self.weights_, groupby=groupby, attribution=attribution)

    def align(self, cells: AnnData, *, layer: str | None = None, organism: Organism | None = None) -> Alignment:
        """Return how the genes of `cells` meet the model's: the coverage table and its shares, however low."""
        _, names = find_counts(cells, layer=self.layer if layer is None else layer)
        return align_genes(list(names), self.recipe_, organism=organism)

    def save(self, folder: PathLike) -> None:
        """Write the model folder: ``weights.safetensors``, ``model.json``, ``log.csv``, and ``index.*`` of `index`."""
        self._check_fitted()
        preset = self.preset if isinstance(self.preset, str) else "custom"
        bundle = Bundle(preset, self.config_, self.recipe_, self.weights_, self.log_, self.summary_)
        save_bundle(bundle, folder, add=partial(write_index, self.index_, fingerprint=self.fingerprint))

    @property
    def fingerprint(self) -> str:
        """A short hash of the weights."""
        self._check_fitted()
        return self.weights_.fingerprint()

    @property
    def config(self) -> Config:
        """The settings: those of the preset, with what was given in their place."""
        names = ("genes", "hidden_size", "bottleneck_size", "max_epochs", "min_coverage")
        given = {name: getattr(self, name) for name in names}
        if self.genes is not None and not isinstance(self.genes, str):
            given["genes"] = tuple(self.genes)
        return resolve_config(self.preset, given)

    def _prepare(self, cells: AnnData) -> tuple[Recipe, TrainingCells]:
        config = self.config
        matrix, names = checked_counts(cells, layer=self.layer, integers=config.normalise != "none")
        strata = None if config.stratify is None else pd.factorize(known_labels(cells, config.stratify))[0]
        return prepare_training(matrix, list(names), config=config, organism=self.organism, strata=strata)

    def learned(self, fitted: Fitted, config: Config) -> Self:
        """Return the model with what was learned in place of what it had."""
        self.config_, self.recipe_, self.weights_ = config, fitted.recipe, fitted.weights
        self.log_, self.summary_, self.index_ = fitted.log, fitted.summary, {}
        return self

    def _learn_labels(
        self, reference: AnnData, labels: str | Sequence[str] | None, layer: str | None, *, seen_as: Query | None = None
    ) -> dict[str, LabelReference]:
        query = self._open(reference, layer=layer, organism=None, min_coverage=None)
        unseen, config = self.summary_.get("unseen_cells", ()), self.config_
        return learn_labels(
            query, reference, labels, weights=self.weights_, config=config, unseen=unseen, seen_as=seen_as
        )

    def _open(
        self, cells: AnnData, *, layer: str | None, organism: Organism | None, min_coverage: float | None
    ) -> Query:
        self._check_fitted()
        return open_query(
            cells,
            self.recipe_,
            self.config_,
            layer=self.layer if layer is None else layer,
            organism=organism,
            min_coverage=self.min_coverage if min_coverage is None else min_coverage,
        )

    def _check_fitted(self) -> None:
        if "weights_" not in vars(self):
            msg = "This model is not trained yet. Call `fit(reference)`, or load one with scprism.load(folder)."
            raise PrismError(msg)
