"""The trained model: a record that is applied to cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from scprism._warnings import kept_warnings, note
from scprism.errors import InputError, PrismError
from scprism.estimator.card import CARD_FILE, model_card
from scprism.estimator.view import View
from scprism.explain.attribution import raw_unit_names
from scprism.explain.explanation import Explanation
from scprism.label.index import write_index
from scprism.label.reference import LabelReference
from scprism.label.result import Labels
from scprism.model.asked import Asked
from scprism.model.bundle import Bundle, save_bundle
from scprism.model.config import Config
from scprism.model.weights import Weights
from scprism.prepare.recipe import Recipe
from scprism.query.align import Alignment, align_genes
from scprism.query.view import open_query
from scprism.read.checked import CheckedCells, check_cells
from scprism.read.counts import find_counts
from scprism.types import AttributionMethod, Baseline, FloatArray, Organism, PathLike, UnitKind
from scprism.units.named import NamedUnits, write_units
from scprism.units.unit import Unit, describe_unit

__all__ = ["Model"]


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained model, from `Prism.fit`, `Prism.tune` or `scprism.load`; it is never changed.

    Every method that takes cells also takes a `View` of them, from `view`, which checks counts and matches genes once
    for all that is asked after.

    Attributes
    ----------
    config
        The settings.
    recipe
        How cells are prepared: the genes in order, the scale, each gene's mean in the reference.
    weights
        The network as plain arrays.
    log
        The training: one row an epoch.
    summary
        Seeds, versions, fingerprints, numbers of cells, losses.
    asked
        What was asked for: preset, settings, layer, organism, seed, device.
    labels_known
        Labelled cells that `index` learned, by the column of their labels.
    warnings
        What was warned of during the training, and when labels were learned or the model was adapted.
    trials
        The trials of the search for settings, one row each; None for a model of `Prism.fit`.
    named_units
        The units as they were found: programs, replication, ranges, sets. None for a model with raw units, the numbers
        of the network's bottleneck.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> reference, cells = make_cells(rng=0), make_cells(rng=1)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(reference)
    >>> model.embed(cells).shape
    (300, 50)
    """

    config: Config
    recipe: Recipe
    weights: Weights
    log: pd.DataFrame
    summary: dict[str, Any]
    asked: Asked
    labels_known: Mapping[str, LabelReference] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    trials: pd.DataFrame | None = None
    named_units: NamedUnits | None = None

    def __repr__(self) -> str:
        """Return data, network and labels in one line."""
        return f"Model({'; '.join(self._facts().values())})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self._facts().items())
        return f"<table><caption>scprism model</caption>{rows}</table>"

    @property
    def fingerprint(self) -> str:
        """A short hash of the weights."""
        return self.weights.fingerprint()

    @property
    def genes(self) -> tuple[str, ...]:
        """The genes that the network reads, in order."""
        return self.recipe.genes

    @property
    def organism(self) -> Organism | None:
        """The organism that the genes belong to, None where it could not be told."""
        return self.recipe.organism

    @property
    def units(self) -> pd.DataFrame:
        """The units, a row each, the best replicated first; their names are the index.

        ``proposed_name`` (empty where the unit is not trusted), ``replication`` (correlation of the activity with that
        of the unit's counterpart, found in other cells from another start), ``trusted``, ``sets`` that it forms and
        ``top_genes``, both joined by ``;``, ``n_runs_found``, ``coherence``. Of raw units nothing is known, and none is
        trusted.
        """
        if self.named_units is not None:
            return self.named_units.table()
        names = pd.Index(raw_unit_names(self.weights.n_units), name="unit")
        unknown = {"proposed_name": "", "replication": float("nan"), "trusted": False, "sets": "", "top_genes": ""}
        return pd.DataFrame({**unknown, "n_runs_found": 0, "coherence": float("nan")}, index=names)

    @property
    def programs(self) -> pd.DataFrame:
        """The programs, units × genes: what a unit adds to log1p counts per 10,000 where its activity is 1.

        Raises
        ------
        PrismError
            If the model has raw units.
        """
        return self.program_units().programs()

    def unit(self, name: str) -> Unit:
        """Return the record of one unit: its proposed name, genes with their range over the runs, gene sets.

        What it does in a data set, its labels and cells, is in that of `View.unit`.

        Raises
        ------
        PrismError
            If the model has raw units.
        InputError
            If there is no such unit.

        Examples
        --------
        >>> from scprism import Prism, load_dataset
        >>> model = Prism(max_epochs=1, device="cpu", rng=0).fit(load_dataset("tm_droplet_immune"))
        >>> model.unit("U01").genes["gene"].tolist()[:2]
        ['S100a9', 'Ltf']
        """
        return describe_unit(self.program_units(), name)

    def program_units(self) -> NamedUnits:
        """Return the units as they were found.

        Raises
        ------
        PrismError
            If the model has raw units.
        """
        if self.named_units is None:
            msg = "This model has raw units, which are no programs of genes. Train one with Prism(units='programs')."
            raise PrismError(msg)
        return self.named_units

    def activity(
        self,
        cells: AnnData | View,
        *,
        layer: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> pd.DataFrame:
        """Return the activity of each unit in each cell, cells × units: `View.activity`."""
        return self.view(cells, layer=layer, organism=organism, min_coverage=min_coverage).activity()

    def view(
        self,
        cells: AnnData | CheckedCells | View,
        *,
        layer: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> View:
        """Return the cells as this model sees them: counts checked, genes matched; `cells` are not changed or copied.

        Parameters
        ----------
        cells
            Raw counts; their genes may come in any order. A view of this model is returned as it is.
        layer
            Where the counts are: a layer, ``"raw"``, or ``"X"``; where those of the reference were if not given.
        organism
            Organism of `cells`; detected if not given. Another than the model's goes through orthologs.
        min_coverage
            Least share of the model's genes that `cells` must have; that of the model's settings if not given.

        Raises
        ------
        InputError
            If the values are not raw counts, or too few of the model's genes are there.
        """
        if isinstance(cells, View):
            if any(told is not None for told in (layer, organism, min_coverage)):
                msg = "`layer`, `organism` and `min_coverage` are those a view was opened with. Give them to `view`."
                raise InputError(msg)
            return cells.of_model(self)
        with kept_warnings() as messages:
            checked = check_cells(cells, layer=self._layer(layer), integers=self.recipe.normalise != "none")
            query = open_query(checked, self.recipe, self.config, organism=organism, min_coverage=min_coverage)
        return View(self, checked.cells, query, checked, tuple(messages))

    def embed(
        self,
        cells: AnnData | View,
        *,
        layer: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> FloatArray:
        """Return the latent, float32 (cells, latent values), in the order of `cells`; arguments as in `view`."""
        return self.view(cells, layer=layer, organism=organism, min_coverage=min_coverage).embed()

    def denoise(
        self,
        cells: AnnData | View,
        *,
        adjust: bool | None = None,
        layer: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> FloatArray:
        """Return decoded expression, log1p counts per million, float32 (cells, `genes`): `View.denoise`."""
        return self.view(cells, layer=layer, organism=organism, min_coverage=min_coverage).denoise(adjust=adjust)

    def label(
        self,
        cells: AnnData | View,
        *,
        reference: AnnData | View | None = None,
        labels: str | None = None,
        layer: str | None = None,
        reference_layer: str | None = None,
        threshold: float | None = None,
        over: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> Labels:
        """Return each cell's label, the probability that it is right, and whether the cell is new (`View.label`).

        Labelled cells are those of `reference`, their counts in `reference_layer`, with the labels in the column
        `labels` of its ``.obs``; without it those of `index`.
        """
        view = self.view(cells, layer=layer, organism=organism, min_coverage=min_coverage)
        return view.label(
            reference=reference, labels=labels, reference_layer=reference_layer, threshold=threshold, over=over
        )

    def explain(
        self,
        cells: AnnData | View,
        *,
        groupby: "str | pd.Series[str] | None" = None,
        method: AttributionMethod | None = None,
        baseline: Baseline | None = None,
        reference: AnnData | View | None = None,
        directions: pd.DataFrame | None = None,
        units: UnitKind | None = None,
        layer: str | None = None,
        organism: Organism | None = None,
        min_coverage: float | None = None,
    ) -> Explanation:
        """Return which genes drive each unit, per group of cells and for all of them: `View.explain`."""
        view = self.view(cells, layer=layer, organism=organism, min_coverage=min_coverage)
        return view.explain(
            groupby=groupby, method=method, baseline=baseline, reference=reference, directions=directions, units=units
        )

    def align(self, cells: AnnData, *, layer: str | None = None, organism: Organism | None = None) -> Alignment:
        """Return how the genes of `cells` meet the model's: the coverage table and its shares, however low."""
        _, names = find_counts(cells, layer=self._layer(layer))
        return align_genes(list(names), self.recipe, organism=organism)

    def index(self, reference: AnnData | View, *, labels: str | Sequence[str], layer: str | None = None) -> "Model":
        """Return a model with labelled cells learned for `label`; `save` keeps what was learned, no counts.

        `labels` names a column of ``reference.obs``, or several; cells without a label (NaN, "NA", empty) do not count.
        What an earlier call learned is replaced. What was warned of is kept with the model's `warnings`.
        """
        with kept_warnings() as messages:
            view = self.view(reference, layer=layer)
            note(view.warnings)
            known = view.learn_labels(labels)
        return replace(self, labels_known=known, warnings=tuple(dict.fromkeys([*self.warnings, *messages])))

    def save(self, folder: PathLike) -> None:
        """Write the model folder: weights and settings, the log, ``units.*``, ``index.*``, and its card, ``README.md``.

        Raises
        ------
        BundleError
            If the path exists and is not a model folder.
        """
        bundle = Bundle(
            config=self.config,
            recipe=self.recipe,
            weights=self.weights,
            log=self.log,
            summary=self.summary,
            asked=self.asked,
            warnings=self.warnings,
            trials=self.trials,
        )
        save_bundle(bundle, folder, add=self._add_files)

    def _add_files(self, folder: PathLike) -> None:
        write_index(self.labels_known, folder, fingerprint=self.fingerprint)
        write_units(self.named_units, folder, fingerprint=self.fingerprint)
        if self.summary:
            (Path(folder) / CARD_FILE).write_text(model_card(self), encoding="utf-8")

    def _layer(self, told: str | None) -> str | None:
        return self.asked.layer if told is None else told

    def _facts(self) -> dict[str, str]:
        units, hidden = self.weights.latent_weight.shape
        facts = {
            "network": f"{self.weights.n_genes:,} genes → {hidden} hidden → {units} latent",
            "trained on": f"{self.summary['n_cells']:,} {self.organism or ''} cells".replace("  ", " "),
            "preset": f"preset {self.asked.preset!r}",
            "units": "raw units" if self.named_units is None else f"{len(self.named_units.units.names)} units",
            "labels": f"labels known: {', '.join(self.labels_known) or 'none'}",
            "fingerprint": self.fingerprint,
        }
        if "adapted_from" in self.summary:
            facts["adapted"] = f"adapted to {self.summary['adapted_from']['n_query']:,} further cells"
        return facts
