"""A data set seen by a model: opened once, then embedded, denoised, labelled and explained."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import check_choice, closest
from scprism._warnings import keeps_warnings, note
from scprism.denoise.adjust import denoise_query
from scprism.errors import InputError
from scprism.estimator.programs import cell_labels, cell_parts, explain_programs, program_activity
from scprism.explain.explanation import Explanation
from scprism.explain.grouping import asked_attribution, explain_query
from scprism.label.grouped import check_threshold, groups_of, one_label_a_group, unassigned_below
from scprism.label.reasons import reasons
from scprism.label.result import Labels
from scprism.label.transfer import Learner, indexed, label_query, learn_labels, told_by_latent, warn_of_gaps
from scprism.prepare.recipe import Recipe
from scprism.query.align import coverage_summary
from scprism.query.embed import embed_cells
from scprism.query.view import Query, query_in
from scprism.read.checked import CheckedCells
from scprism.types import AttributionMethod, Baseline, FloatArray, UnitKind
from scprism.units.inference import warn_of_lacking
from scprism.units.unit import Unit, describe_unit, describe_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scprism.estimator.model import Model
    from scprism.label.reference import LabelReference

__all__ = ["View"]


def _place(cells: AnnData, cell: str | int) -> int:
    """Return the number of a cell."""
    if isinstance(cell, str):
        places = np.flatnonzero(cells.obs_names == cell)
        if len(places) != 1:
            found = f"{len(places):,} cells have it" if len(places) else f"Closest: {closest(cell, cells.obs_names)}"
            msg = f"`cell` must be the name of one cell, got {cell!r}. {found}."
            raise InputError(msg)
        return int(places[0])
    if not 0 <= cell < cells.n_obs:
        msg = f"`cell` must be a number from 0 to {cells.n_obs - 1:,}, got {cell}."
        raise InputError(msg)
    return int(cell)


@dataclass(frozen=True, eq=False, repr=False)
class View:
    """Cells as one model sees them, from `Model.view`: their counts are checked and their genes matched, once.

    What several results need, the latent, is computed once and remembered. The cells are not copied, and must not
    change while the view is in use.

    Attributes
    ----------
    model
        The model.
    cells
        The cells as they came.
    query
        What the functions on plain arrays take: counts, matched genes, and what fills the gaps.
    checked
        The counts and names of all genes.
    warnings
        What was warned of when the cells were opened; every result of the view keeps it.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> reference, cells = make_cells(rng=0), make_cells(rng=1)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(reference)
    >>> view = model.view(cells)
    >>> view.embed().shape
    (300, 50)
    >>> view.label(reference=reference, labels="cell_type").table.index.equals(cells.obs_names)
    True
    """

    model: "Model"
    cells: AnnData
    query: Query
    checked: CheckedCells
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the number of cells and the coverage of the model's genes."""
        return f"View({self.cells.n_obs:,} cells; {coverage_summary(self.query.alignment)})"

    @property
    def coverage(self) -> pd.DataFrame:
        """How the model's genes were found: one row a gene, ``gene found sources share``.

        ``found`` is ``"name"``, ``"id"``, ``"ortholog"``, ``"alias"`` or ``"missing"``; ``sources`` are the genes of
        the data set that count for it, joined by ``;``; ``share`` is its part of the reference's expression of the
        model's genes.
        """
        return self.query.alignment.coverage.copy()

    def embed(self) -> FloatArray:
        """Return the latent, float32 (cells, latent values), in the order of the cells."""
        return self._latent.copy()

    def denoise(self, *, adjust: bool | None = None) -> FloatArray:
        """Return decoded expression, log1p counts per million, float32 (cells, genes of the model).

        `adjust` fits it to the totals and the molecules of these cells (docs/denoise.md), so that a cell's values
        depend on the others; not given: as the preset says (the default does, the paper's do not).
        """
        return denoise_query(
            self.query,
            weights=self.model.weights,
            config=self.model.config,
            adjust=adjust,
            latent=lambda: self._latent,
        )

    def activity(self) -> pd.DataFrame:
        """Return the activity of each unit in each cell, non-negative, cells × units, in the order of the cells.

        A cell's expression is taken apart into the units' programs: its activities are the non-negative numbers whose
        sum of programs comes nearest to it (least squares). They depend on that cell alone, and on the genes that were
        measured; 1 is as much as the most active hundredth of the training cells has. Of a model with raw units it is
        the latent.
        """
        names = list(self.model.units.index)
        if self.model.named_units is not None:
            warn_of_lacking(self.model.named_units.units, self.query.alignment.gene_map.present)
        return pd.DataFrame(self._activity.copy(), index=self.cells.obs_names, columns=names)

    def unit(self, name: str, *, labels: "str | pd.Series[str] | None" = None) -> Unit:
        """Return the record of one unit with what it does in these cells: its labels, and the cells with most of it.

        Parameters
        ----------
        name
            Of the unit, such as ``"U07"``.
        labels
            A column of ``cells.obs``, or a label for each cell, such as ``calls["label"]``.

        Raises
        ------
        PrismError
            If the model has raw units.
        InputError
            If there is no such unit or column.
        """
        named = self.model.program_units()
        values = self.activity().to_numpy()
        given = None if labels is None else cell_labels(self.cells, labels)
        return describe_unit(named, name, activities=values, cells=self.cells.obs_names, labels=given)

    def units(self, *, labels: "str | pd.Series[str] | None" = None) -> list[Unit]:
        """Return the record of each unit in these cells: `unit`."""
        named = self.model.program_units()
        values = self.activity().to_numpy()
        given = None if labels is None else cell_labels(self.cells, labels)
        return describe_units(named, activities=values, cells=self.cells.obs_names, labels=given)

    def why(self, cell: str | int) -> pd.DataFrame:
        """Return which genes made the activities of one cell, units × genes; each row sums to that unit's activity.

        Exact: among cells with the same active units an activity is linear in the expression, so that a gene's part is
        its expression times its coefficient. A part is negative where the gene speaks for another active unit.

        Parameters
        ----------
        cell
            Its name, or its number from 0.

        Raises
        ------
        PrismError
            If the model has raw units.
        InputError
            If there is no such cell, or several of its name.
        """
        named = self.model.program_units()
        parts = cell_parts(self.query, named, _place(self.cells, cell))
        return pd.DataFrame(parts, index=list(named.units.names), columns=list(named.genes))

    @keeps_warnings
    def label(
        self,
        *,
        reference: "AnnData | View | None" = None,
        labels: str | None = None,
        reference_layer: str | None = None,
        threshold: float | None = None,
        over: str | None = None,
    ) -> Labels:
        """Return each cell's label, the probability that it is right, and whether the cell is of a new kind.

        Parameters
        ----------
        reference
            Labelled cells; they are seen through the genes that these cells have. Not given: those of `Model.index`.
        labels
            A column of ``reference.obs``, or of the index, where it may be left out if it is the only one.
        reference_layer
            Where the counts of `reference` are; that of the model if not given.
        threshold
            Cells whose confidence is lower are called ``"unassigned"``.
        over
            One label for each group of cells: a column of ``cells.obs``, or ``"leiden"`` for clusters of the latent.
            The group gets the label of the highest mean probability.

        Raises
        ------
        InputError
            If there are no labelled cells, or no such column, or `threshold` is no probability.
        """
        note(self.warnings)
        check_threshold(threshold)
        groups = None if over is None else groups_of(over, self.cells, latent=lambda: self._latent)
        chosen, query = self._labelled_cells(reference, labels, reference_layer)
        table, probabilities = label_query(query, chosen, names=self.cells.obs_names)
        if groups is not None:
            table = one_label_a_group(table, probabilities, groups)
        if threshold is not None:
            table = unassigned_below(table, threshold)
        settings: dict[str, Any] = {
            "labels": next(iter(self.model.labels_known)) if labels is None else labels,
            "labelled_cells": "index" if reference is None else "reference",
            "n_labelled_cells": chosen.n_cells,
            "held_out_accuracy": round(chosen.calibration.accuracy, 4),
            "fingerprint": self.model.fingerprint,
        }
        told = {"threshold": threshold, "over": over}
        settings |= {name: value for name, value in told.items() if value is not None}
        return Labels(table, settings, probabilities=probabilities)

    def reasons(
        self,
        *,
        reference: "AnnData | View | None" = None,
        labels: str | None = None,
        reference_layer: str | None = None,
        cells: "Sequence[str]" = (),
    ) -> pd.DataFrame:
        """Return the genes that speak for each label against the next likely one, and for those of some cells.

        Two of the three methods that decide a label are sums over genes, so each gene's part is exact; it is relative
        to the mean labelled cell, so a marker that a cell lacks speaks against.

        Parameters
        ----------
        reference, labels, reference_layer
            As in `label`; what was learned there is remembered.
        cells
            Names of cells that get reasons of their own.

        Returns
        -------
        A row a label (or cell) and gene, the genes that count most first: ``cell`` (empty for all cells of a label),
        ``label``, ``against``, ``n_cells``, ``gene``, ``expression`` (mean log1p counts per 10,000), ``regressions``
        and ``centroids`` (what the gene adds to the log odds of the label against the other, by each method).

        Raises
        ------
        InputError
            If there are no labelled cells, no cell of a name, or the labels are told by the latent.
        """
        chosen, query = self._labelled_cells(reference, labels, reference_layer)
        return reasons(query, chosen, names=self.cells.obs_names, cells=cells)

    def _labelled_cells(
        self, reference: "AnnData | View | None", labels: str | None, layer: str | None
    ) -> "tuple[LabelReference, Query]":
        """Return what was learned from labelled cells, and these cells in the genes that labels are told by."""
        if reference is None:
            chosen = indexed(self.model.labels_known, labels)
            query = self._in_genes_of(chosen.recipe)
            warn_of_gaps(query)
            return chosen, query
        asked = id(reference), labels, layer
        if asked not in self._learned:
            known = self.model.view(reference, layer=layer)
            chosen = indexed(known.learn_labels(labels, seen_as=self), labels)
            # the cells are kept too, so that no others get their id
            self._learned[asked] = reference, chosen, self._in_genes_of(chosen.recipe)
        return self._learned[asked][1:]

    def _in_genes_of(self, recipe: Recipe) -> Query:
        """Return the cells in another recipe's genes; the same ones are matched once."""
        if recipe is self.query.recipe or (told_by_latent(self.model.config) and recipe.genes == self.model.genes):
            return self.query
        query = query_in(self.checked, recipe, self.model.config, organism=self.query.alignment.organism)
        if not query.alignment.gene_map.present.any():
            msg = "The cells have none of the genes that the labelled cells have. Check the names of their genes."
            raise InputError(msg)
        return query

    @keeps_warnings
    def explain(
        self,
        *,
        groupby: "str | pd.Series[str] | None" = None,
        method: AttributionMethod | None = None,
        baseline: Baseline | None = None,
        reference: "AnnData | View | None" = None,
        directions: pd.DataFrame | None = None,
        units: UnitKind | None = None,
    ) -> Explanation:
        """Return which genes drive each unit, per group of cells and for all of them.

        Parameters
        ----------
        groupby
            Column of ``cells.obs``, or a Series of groups indexed by cell. There is always the group ``"all"``.
        method, baseline
            Attribution method; whether attributions are of a cell's expression (``"zero"``), or of its difference from
            the mean training cell (``"mean"``). Those of the preset if not given.
        reference
            For ``"expected_gradients"``: the data whose cells are the baselines; 100 of them are used.
        directions
            Explained in place of units: a row a direction, a column a raw unit (see `scprism.explain.directions`).
        units
            ``"programs"``: what each gene adds to the activity of the model's units, exact, so that only groups can be
            chosen. ``"raw"``: the numbers of the network's bottleneck, by any method. Not given: the model's units,
            or the raw ones where a method, baseline, reference or direction is asked for.

        Raises
        ------
        InputError
            If the groups or directions are not of these cells or units, or the method needs a reference.
        """
        note(self.warnings)
        model = self.model
        told = {"method": method, "baseline": baseline, "reference": reference, "directions": directions}
        asked = [f"`{name}`" for name, value in told.items() if value is not None]
        if units is not None:
            check_choice("units", units, get_args(UnitKind))
        if units == "programs" and asked:
            msg = f"Programs are explained exactly, without {' and '.join(asked)}. For that choose units='raw'."
            raise InputError(msg)
        if units == "programs" and model.named_units is None:
            msg = "This model has raw units alone. Leave `units` out, or train one that has programs with "
            raise InputError(f"{msg}Prism(units='programs').fit(…), on the command line: scprism fit --units programs.")
        if model.named_units is not None and units != "raw" and not asked:
            fingerprint = model.fingerprint
            return explain_programs(self.query, self.cells, model.named_units, groupby=groupby, fingerprint=fingerprint)
        attribution = asked_attribution(
            model.config,
            method=method,
            baseline=baseline,
            reference=None if reference is None else model.view(reference).query,
            directions=directions,
            mean=model.recipe.mean,
        )
        return explain_query(self.query, self.cells, weights=model.weights, groupby=groupby, attribution=attribution)

    def learn_labels(
        self, labels: "str | Sequence[str] | None", *, seen_as: "View | None" = None
    ) -> "dict[str, LabelReference]":
        """Return these cells as labelled ones, ready for label transfer, by the column of their labels.

        With `seen_as` they are seen through the genes that another data set has.
        """
        model = self.model
        return learn_labels(
            self.checked,
            labels,
            learner=Learner(model.config, model.recipe, model.weights, model.summary.get("unseen_cells", ())),
            organism=self.query.alignment.organism,
            seen_as=None if seen_as is None else seen_as._in_genes_of,
        )

    def of_model(self, model: "Model") -> "View":
        """Return the same view for a model of the same weights, such as one that has learned labels since.

        Raises
        ------
        InputError
            If the model sees cells in another way.
        """
        if model is self.model:
            return self
        if model.fingerprint != self.model.fingerprint or model.config != self.model.config:
            msg = "This view of the cells is another model's. Give the cells themselves, or this model's view of them."
            raise InputError(msg)
        other = View(model, self.cells, self.query, self.checked, self.warnings)
        for known in ("_latent", "_activity"):
            if known in vars(self):
                vars(other)[known] = getattr(self, known)
        return other

    @cached_property
    def _activity(self) -> FloatArray:
        named = self.model.named_units
        return self._latent if named is None else program_activity(self.query, named.units)

    @cached_property
    def _learned(self) -> "dict[tuple[int, str | None, str | None], tuple[AnnData | View, LabelReference, Query]]":
        """What labelled cells taught, for the genes that these cells have."""
        return {}

    @cached_property
    def _latent(self) -> FloatArray:
        return embed_cells(self.model.weights, self.query.chunks(), fill=self.query.fill)
