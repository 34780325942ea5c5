"""The whole path in one call: from a reference and a query to labelled, embedded, explained cells and a report."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anndata import AnnData

from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import gene_sets
from scprism.errors import PrismWarning
from scprism.estimator import Prism
from scprism.explain.explanation import write_explanation
from scprism.read.counts import checked_counts
from scprism.report.page import write_report
from scprism.train.loop import EpochRecord
from scprism.transfer.align import coverage_summary
from scprism.transfer.files import write_embedding, write_labels
from scprism.transfer.labels import known_labels
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
        # a query that cannot be read is known before a model is trained for it
        where = model.layer if query_layer is None else query_layer
        checked_counts(query, layer=where, integers=model.config.normalise != "none")
        watch.on_step("training")
        model.fit(reference, on_epoch=watch.on_epoch)
        watch.on_step(f"  {model.summary_['n_epochs']} epochs in {model.summary_['seconds']:.1f} s")
        watch.on_step("embedding and labelling")
        embedding = model.embed(query, layer=query_layer)
        model.index(reference, labels=labels)
        has_all = model.align(query, layer=query_layer).share_of_genes == 1
        seen_alike = None if has_all else reference  # the index holds cells with all of the model's genes
        calls = model.label(query, reference=seen_alike, labels=labels, layer=query_layer)
        known = model.embed(reference)
        watch.on_step(f"  {coverage_summary(model.align(query, layer=query_layer))}")
        watch.on_step("explaining")
        explanation = model.explain(query, groupby=calls["label"], layer=query_layer)
        watch.on_step("testing gene sets")
        sets = gene_sets("hallmark", organism=model.recipe_.organism)
        pathways = enrich(explanation, sets, rng=model.rng)
    messages = list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, PrismWarning)))
    for message in messages:
        warnings.warn(message, PrismWarning, stacklevel=2)
    watch.on_step("writing")
    folder = Path(out)
    model.save(folder / "model")
    write_embedding(folder / "reference.h5ad", known, cells=reference, fingerprint=model.fingerprint)
    write_embedding(folder / "embedding.h5ad", embedding, cells=query, fingerprint=model.fingerprint)
    write_labels(folder / "labels.csv", calls)
    write_explanation(explanation, folder / "explanation.h5ad")
    pathways.save(folder / "enrichment.tsv")
    write_report(
        folder / "report.html",
        model=model,
        explanation=explanation,
        enrichment=pathways,
        embedding=embedding,
        cells=query,
        labels=calls,
        reference=reference,
        reference_labels=labels,
        messages=messages,
        layer=query_layer,
    )
    return folder / "report.html"
