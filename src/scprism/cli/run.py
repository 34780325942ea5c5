"""The whole path in one call: from a reference and a query to labelled, embedded, explained cells and a report."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from anndata import AnnData

from scprism._files import write_table
from scprism._warnings import kept_warnings
from scprism.annotation import MOST_CELLS_OF_UMAP, write_annotated
from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import GeneSets, gene_sets, match_sets
from scprism.errors import InputError, PrismWarning
from scprism.estimator.compare import cell_column, compare
from scprism.estimator.prism import Prism
from scprism.estimator.view import View
from scprism.explain.explanation import write_explanation
from scprism.label.agreement import agreement, truth_of
from scprism.label.labels import known_labels
from scprism.label.result import Labels
from scprism.prepare.recipe import Recipe
from scprism.query.align import align_genes, check_coverage, coverage_summary
from scprism.query.files import write_embedding
from scprism.read.checked import CheckedCells, check_cells
from scprism.report.composition import check_sample
from scprism.report.page import write_report
from scprism.train.checkpoint import Checkpoint
from scprism.train.loop import EpochRecord
from scprism.trust.assess import assess_units
from scprism.trust.programs import judged
from scprism.trust.result import Trust
from scprism.types import PathLike
from scprism.units.comparison import Comparison, check_labels, other_groups
from scprism.units.unit import unit_table

__all__ = ["Columns", "Conditions", "Watch", "run_path"]


@dataclass(frozen=True)
class Conditions:
    """Columns of the query's obs by which its units are compared; the arguments of `scprism.compare`."""

    groupby: str
    against: str
    replicate: str | None = None
    within: str | None = None

    def check(self, cells: AnnData) -> None:
        """Raise `InputError` if the cells cannot be compared in this way."""
        other_groups(cell_column(cells, "groupby", self.groupby), self.against, called="against")
        if self.replicate is not None:
            cell_column(cells, "replicate", self.replicate)
        if self.within is not None:
            check_labels(cell_column(cells, "within", self.within))


@dataclass(frozen=True)
class Columns:
    """Columns of the query's obs that the report sets beside the labels: the arguments of `scprism.write_report`."""

    truth: str | None = None
    sample: str | None = None

    def check(self, reference: AnnData, query: AnnData, labels: str) -> None:
        """Raise `InputError` if the query has no such columns, or known labels of other names than the reference's."""
        if self.sample is not None:
            check_sample(query, self.sample)
        if self.truth is not None:
            names = tuple(sorted(known_labels(reference, labels).dropna().unique()))
            anything = pd.DataFrame({"label": names[0], "confidence": 1.0, "novel": False}, index=query.obs_names)
            agreement(anything, names, truth_of(query, self.truth))  # refuses truth in other names than the labels'


@dataclass(frozen=True)
class Watch:
    """Who is told of progress: of each step as it begins, and of each epoch as it ends; and what the work is part of.

    `made_by` is kept with the annotated cells and shown on the page: the command, and when. `files` are shown on the
    page: the names of ``reference`` and ``query``.
    """

    on_step: Callable[[str], None] = lambda _: None
    on_epoch: Callable[[EpochRecord], None] = lambda _: None
    made_by: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def run_path(
    reference: AnnData,
    query: AnnData,
    *,
    model: Prism,
    labels: str,
    out: PathLike,
    sets: str = "hallmark",
    query_layer: str | None = None,
    conditions: Conditions | None = None,
    columns: Columns = Columns(),
    checkpoint: Checkpoint | None = None,
    watch: Watch = Watch(),
) -> Path:
    """Return where the report is, after training `model` on the reference and applying it to the query.

    Writes into `out`: ``annotated.h5ad`` (the query with all that is said of its cells), ``model/``,
    ``reference.h5ad`` and ``embedding.h5ad`` (latents alone), ``labels.csv``, ``explanation.h5ad`` (groups are the
    labels given to the query), ``enrichment.tsv``, ``units.tsv`` (the records of the units), ``trust.tsv`` (of
    programs), ``comparison.tsv`` (with `conditions`) and ``report.html``; each as the
    single steps write it, and none before all steps have ended well.

    Parameters
    ----------
    reference, query
        Raw counts, cells by genes.
    model
        A model with its settings, not trained yet. Its seed is that of the enrichment too.
    labels
        Column of ``reference.obs`` to transfer.
    sets
        ``"hallmark"``, or a GMT file.
    query_layer
        Where the query's counts are; that of the model if not given.
    conditions
        What the query's units are compared by; not given: they are not compared.
    columns
        What the page sets beside the labels: known ones, and samples.
    checkpoint
        From which an interrupted training goes on; removed when all is written.

    Raises
    ------
    InputError
        If the data cannot be used; of labels, counts, genes and gene sets it is known before the training.
    """
    with kept_warnings() as messages, warnings.catch_warnings():
        warnings.simplefilter("always", PrismWarning)
        known, foreign = _checked(reference, query, model, labels=labels, query_layer=query_layer)
        if conditions is not None:
            conditions.check(query)
        columns.check(reference, query, labels)
        watch.on_step("training")
        trained = model.fit(
            known,
            on_epoch=watch.on_epoch,
            on_recipe=lambda recipe: _check_query(list(foreign.genes), recipe, model, sets),
            on_pace=lambda pace: watch.on_step(f"  {pace}"),
            checkpoint=checkpoint,
        )
        watch.on_step(f"  {trained.summary['n_epochs']} epochs in {trained.summary['seconds']:.1f} s")
        watch.on_step("embedding and labelling")
        reference_view, view = trained.view(known), trained.view(foreign)
        trained = trained.index(reference_view, labels=labels)
        reference_view, view = trained.view(reference_view), trained.view(view)
        has_all = view.query.alignment.share_of_genes == 1
        calls = view.label(reference=None if has_all else reference_view, labels=labels)
        watch.on_step(f"  {coverage_summary(view.query.alignment)}")
        watch.on_step("explaining")
        explanation = view.explain(groupby=calls["label"])
        watch.on_step("testing gene sets")
        pathways = enrich(explanation, _sets(sets, trained.recipe), rng=model.rng)
        trust = None if trained.named_units is None else assess_units(trained, view, rng=model.rng)
        comparison = _compared(view, conditions)
    watch.on_step("writing")
    folder, fingerprint = Path(out), trained.fingerprint
    trained.save(folder / "model")
    _write_embeddings(folder, {"reference": reference_view, "embedding": view}, fingerprint, messages)
    umap = view.cells.n_obs <= MOST_CELLS_OF_UMAP
    write_annotated(folder / "annotated.h5ad", view, labels=calls, umap=umap, made_by=watch.made_by)
    calls.save(folder / "labels.csv")
    _write_units(folder, view, calls, trust, comparison)
    write_explanation(explanation, folder / "explanation.h5ad")
    pathways.save(folder / "enrichment.tsv")
    write_report(
        folder / "report.html",
        model=trained,
        explanation=explanation,
        enrichment=pathways,
        embedding=view.embed(),
        cells=view,
        labels=calls,
        reference=reference_view,
        reference_labels=labels,
        messages=messages,
        trust=trust,
        comparison=comparison,
        truth=columns.truth,
        sample=columns.sample,
        made_by={**watch.files, **watch.made_by},
    )
    if checkpoint is not None:
        checkpoint.path.unlink(missing_ok=True)
    return folder / "report.html"


def _checked(
    reference: AnnData, query: AnnData, model: Prism, *, labels: str, query_layer: str | None
) -> tuple[CheckedCells, CheckedCells]:
    """Return both data sets checked: what cannot be used is known before a model is trained."""
    integers = model.config.normalise != "none"
    known = check_cells(reference, layer=model.layer, integers=integers)
    foreign = check_cells(query, layer=model.layer if query_layer is None else query_layer, integers=integers)
    if known_labels(reference, labels).notna().sum() < 2:
        msg = f"{labels!r} labels fewer than 2 reference cells. Choose a column that holds cell types."
        raise InputError(msg)
    return known, foreign


def _compared(view: View, conditions: Conditions | None) -> Comparison | None:
    if conditions is None:
        return None
    return compare(
        view.model,
        view,
        groupby=conditions.groupby,
        reference=conditions.against,
        replicate=conditions.replicate,
        within=conditions.within,
    )


def _write_units(folder: Path, view: View, calls: Labels, trust: Trust | None, comparison: Comparison | None) -> None:
    """Write the units with what they do in the query, the verdicts on them and the comparison, where there are any."""
    if trust is None:
        write_table(view.model.units.reset_index(), folder / "units.tsv")
    else:
        units = judged(view.units(labels=calls["label"]), trust)
        write_table(unit_table(units), folder / "units.tsv")
        trust.save(folder / "trust.tsv")
    if comparison is not None:
        comparison.save(folder / "comparison.tsv")


def _write_embeddings(folder: Path, views: dict[str, View], fingerprint: str, messages: list[str]) -> None:
    for name, view in views.items():
        write_embedding(
            folder / f"{name}.h5ad",
            view.embed(),
            cells=view.cells,
            fingerprint=fingerprint,
            activity=None if view.model.named_units is None else view.activity(),
            messages=messages if name == "embedding" else (),
        )


def _sets(source: str, recipe: Recipe) -> GeneSets:
    return gene_sets(source, organism=recipe.organism)


def _check_query(names: list[str], recipe: Recipe, model: Prism, sets: str) -> None:
    """Raise `InputError` if the query or the gene sets do not fit the genes that a model will have."""
    given, usual = model.min_coverage, model.config.min_coverage
    check_coverage(align_genes(names, recipe), min_coverage=usual if given is None else given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)  # said when the sets are tested
        match_sets(_sets(sets, recipe), recipe.genes)
