"""The whole path in one call: from a reference and a query to labelled, embedded, explained cells and a report."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anndata import AnnData

from scprism._warnings import warn
from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import gene_sets
from scprism.errors import PrismWarning
from scprism.estimator.prism import Prism
from scprism.explain.explanation import write_explanation
from scprism.label.labels import known_labels
from scprism.query.align import coverage_summary
from scprism.query.files import write_embedding, write_labels
from scprism.read.checked import check_cells
from scprism.report.page import write_report
from scprism.train.loop import EpochRecord
from scprism.types import PathLike

__all__ = ["Watch", "run_path"]


@dataclass(frozen=True)
class Watch:
    """Who is told of progress: of each step as it begins, and of each epoch as it ends."""

    on_step: Callable[[str], None] = lambda _: None
    on_epoch: Callable[[EpochRecord], None] = lambda _: None


def run_path(
    reference: AnnData,
    query: AnnData,
    *,
    model: Prism,
    labels: str,
    out: PathLike,
    query_layer: str | None = None,
    watch: Watch = Watch(),
) -> Path:
    """Return where the report is, after training `model` on the reference and applying it to the query.

    Writes into `out`: ``model/``, ``reference.h5ad`` and ``embedding.h5ad`` (latents), ``labels.csv``,
    ``explanation.h5ad`` (groups are the labels given to the query), ``enrichment.tsv`` and ``report.html``; each as the
    single steps write it, and none before all steps have ended well.

    Parameters
    ----------
    reference, query
        Raw counts, cells by genes.
    model
        A model with its settings, not trained yet. Its seed is that of the enrichment too.
    labels
        Column of ``reference.obs`` to transfer.
    query_layer
        Where the query's counts are; that of the model if not given.

    Raises
    ------
    InputError
        If the data cannot be used.
    """
    known_labels(reference, labels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PrismWarning)
        # data that cannot be read are known before a model is trained
        integers = model.config.normalise != "none"
        known = check_cells(reference, layer=model.layer, integers=integers)
        foreign = check_cells(query, layer=model.layer if query_layer is None else query_layer, integers=integers)
        watch.on_step("training")
        trained = model.fit(known, on_epoch=watch.on_epoch)
        watch.on_step(f"  {trained.summary['n_epochs']} epochs in {trained.summary['seconds']:.1f} s")
        watch.on_step("embedding and labelling")
        reference_view, view = trained.view(known), trained.view(foreign)
        trained = trained.index(reference_view, labels=labels)
        reference_view, view = trained.view(reference_view), trained.view(view)
        has_all = view.query.alignment.share_of_genes == 1
        # the index holds cells with all of the model's genes
        calls = view.label(reference=None if has_all else reference_view, labels=labels)
        watch.on_step(f"  {coverage_summary(view.query.alignment)}")
        watch.on_step("explaining")
        explanation = view.explain(groupby=calls["label"])
        watch.on_step("testing gene sets")
        sets = gene_sets("hallmark", organism=trained.organism)
        pathways = enrich(explanation, sets, rng=model.rng)
    messages = list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, PrismWarning)))
    for message in messages:
        warn(message)
    watch.on_step("writing")
    folder = Path(out)
    trained.save(folder / "model")
    write_embedding(folder / "reference.h5ad", reference_view.embed(), cells=reference, fingerprint=trained.fingerprint)
    write_embedding(folder / "embedding.h5ad", view.embed(), cells=query, fingerprint=trained.fingerprint)
    write_labels(folder / "labels.csv", calls)
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
    )
    return folder / "report.html"
