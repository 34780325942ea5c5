"""The whole path in one call: from a reference and a query to labelled, embedded, explained cells and a report."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anndata import AnnData

from scprism.enrich.genesets import GeneSets, gene_sets, match_sets
from scprism.enrich.pathways import enrich, write_enrichment
from scprism.errors import InputError, PrismWarning, noted_warnings
from scprism.estimator.prism import Prism
from scprism.explain.explanation import write_explanation
from scprism.label.labels import known_labels
from scprism.prepare.recipe import Recipe
from scprism.query.align import align_genes, check_coverage, coverage_summary
from scprism.query.files import write_embedding, write_labels
from scprism.read.counts import checked_counts
from scprism.report.page import write_report
from scprism.train.checkpoint import Checkpoint
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
    sets: str = "hallmark",
    query_layer: str | None = None,
    checkpoint: Checkpoint | None = None,
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
    sets
        ``"hallmark"``, or a GMT file.
    query_layer
        Where the query's counts are; that of the model if not given.
    checkpoint
        From which an interrupted training goes on; removed when all is written.

    Raises
    ------
    InputError
        If the data cannot be used; of labels, counts, genes and gene sets it is known before the training.
    """
    where = model.layer if query_layer is None else query_layer
    _, names = checked_counts(query, layer=where, integers=model.config.normalise != "none")
    with noted_warnings() as messages, warnings.catch_warnings():
        warnings.simplefilter("always", PrismWarning)
        if known_labels(reference, labels).notna().sum() < 2:
            msg = f"{labels!r} labels fewer than 2 reference cells. Choose a column that holds cell types."
            raise InputError(msg)
        watch.on_step("training")
        prism, model = (
            model,
            model.fit(
                reference,
                on_epoch=watch.on_epoch,
                on_recipe=lambda recipe: _check_query(list(names), recipe, model, sets),
                checkpoint=checkpoint,
            ),
        )
        watch.on_step(f"  {model.summary_['n_epochs']} epochs in {model.summary_['seconds']:.1f} s")
        watch.on_step("embedding and labelling")
        embedding = model.embed(query, layer=query_layer)
        model = model.index(reference, labels=labels)
        alignment = model.align(query, layer=query_layer)
        seen_alike = None if alignment.share_of_genes == 1 else reference  # the index holds cells with all genes
        calls = model.label(query, reference=seen_alike, labels=labels, layer=query_layer)
        known = model.embed(reference)
        watch.on_step(f"  {coverage_summary(alignment)}")
        watch.on_step("explaining")
        explanation = model.explain(query, groupby=calls["label"], layer=query_layer)
        watch.on_step("testing gene sets")
        pathways = enrich(explanation, _sets(sets, model.recipe_), rng=prism.rng)
    watch.on_step("writing")
    folder = Path(out)
    model.save(folder / "model")
    write_embedding(folder / "reference.h5ad", known, cells=reference, fingerprint=model.fingerprint)
    write_embedding(folder / "embedding.h5ad", embedding, cells=query, fingerprint=model.fingerprint, messages=messages)
    write_labels(folder / "labels.csv", calls)
    write_explanation(explanation, folder / "explanation.h5ad")
    write_enrichment(pathways, folder / "enrichment.tsv")
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
    if checkpoint is not None:
        checkpoint.path.unlink(missing_ok=True)
    return folder / "report.html"


def _sets(source: str, recipe: Recipe) -> GeneSets:
    return gene_sets(source, organism=recipe.organism)


def _check_query(names: list[str], recipe: Recipe, model: Prism, sets: str) -> None:
    """Raise `InputError` if the query or the gene sets do not fit the genes that a model will have."""
    given, usual = model.min_coverage, model.config.min_coverage
    check_coverage(align_genes(names, recipe), min_coverage=usual if given is None else given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)  # said when the sets are tested
        match_sets(_sets(sets, recipe), recipe.genes)
