"""What is learned from labelled cells, and the labels of other cells by it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from scipy import sparse

from scprism._threads import in_threads
from scprism.label.calibrate import Calibration, Calls, cross_fitted, fold_numbers, learn_calibration
from scprism.label.evidence import Evidence, Rule
from scprism.label.expression_rule import ExpressionRule
from scprism.label.latent_rule import LatentRule
from scprism.label.query_shift import CellQuality, UsualRange, joined_quality, quality_of, usual_range
from scprism.label.simulated_platforms import THINNED, UNSEEN_PLATFORMS, Platform, by_platform, rank_in_label
from scprism.prepare.recipe import Recipe
from scprism.prepare.stream import PreparedChunk
from scprism.query.view import Query, rows_of
from scprism.types import IntArray

__all__ = ["LabelReference", "LabelledCells", "Learn", "calls_of", "learn_reference"]

JUDGED = 2000
"""Cells that calibration looks at; more would not change it."""
LEARNED_FROM = 5000
"""Cells that what judges them is learned from, beside the judged ones themselves: in larger references labels are a
little better than calibration believes."""


class Learn(Protocol):
    """What makes a rule of cells, their label numbers and their keys."""

    def __call__(self, query: Query, codes: IntArray, *, keys: IntArray) -> ExpressionRule | LatentRule:
        """Return the rule."""
        ...


@dataclass(frozen=True)
class LabelledCells:
    """Labelled cells in the genes that labels are told by, in an order that does not depend on the file's.

    Attributes
    ----------
    query
        The cells (`scprism.query.model_genes.in_model_genes`).
    codes
        Number of each cell's label, int64 (cells,).
    names
        The labels.
    keys
        A number of each cell that its counts decide, uint64 (cells,).
    judged
        Row numbers of the cells that confidence may be learned on, ascending.
    n_cells
        Labelled cells of the reference; more than those here where it is large.
    """

    query: Query
    codes: IntArray
    names: tuple[str, ...]
    keys: IntArray
    judged: IntArray
    n_cells: int


@dataclass(frozen=True)
class LabelReference:
    """What was learned from labelled cells.

    Attributes
    ----------
    names
        The labels.
    recipe
        The genes that they are told by, and how cells are prepared.
    rule
        From expression to the probability of each label.
    calibration
        From there to confidence and novelty.
    usual
        What the cells are like, to tell whether a query is like them.
    n_cells
        Labelled cells of the reference.
    """

    names: tuple[str, ...]
    recipe: Recipe
    rule: ExpressionRule | LatentRule
    calibration: Calibration
    usual: UsualRange
    n_cells: int


def learn_reference(cells: LabelledCells, learn: Learn) -> LabelReference:
    """Return what labelled cells teach, and how far to trust it.

    Parameters
    ----------
    cells
        Labelled cells.
    learn
        What a rule is learned by: `scprism.label.expression_rule`, or `scprism.label.latent_rule`.
    """
    judged = np.sort(cells.judged[np.argsort(cells.keys[cells.judged], kind="stable")[:JUDGED]])
    folds = fold_numbers(cells.codes[judged], cells.keys[judged], n_cells=len(cells.codes))

    some = np.argsort(rank_in_label(cells.codes, cells.keys), kind="stable")[:LEARNED_FROM]
    beside = np.setdiff1d(some, judged)

    def fitted(rows: IntArray) -> ExpressionRule | LatentRule:
        return learn(rows_of(cells.query, rows), cells.codes[rows], keys=cells.keys[rows])

    def without_fold(kept: IntArray) -> Rule:
        return fitted(np.sort(np.concatenate([beside, judged[kept]])))

    def judge(platform: Platform | None, rule: Rule, rows: IntArray) -> Evidence:
        own = rows_of(cells.query, judged[rows])
        return said_of(own if platform is None else by_platform(own, platform, keys=cells.keys[judged[rows]]), rule)

    n_labels, codes = len(cells.names), cells.codes[judged]
    others = (*UNSEEN_PLATFORMS, *THINNED) if cells.query.recipe.normalise != "none" else ()
    said = cross_fitted(folds, without_fold, [partial(judge, platform) for platform in (None, *others)])
    known, thinned = said[: 1 + len(UNSEEN_PLATFORMS)], said[1 + len(UNSEEN_PLATFORMS) :]
    calibration = learn_calibration(known, thinned, codes, n_labels=n_labels)
    rule = fitted(np.arange(len(cells.codes)))
    quality = joined_quality([quality_of(chunk, n_genes=_n_present(cells.query)) for chunk in cells.query.chunks()])
    return LabelReference(cells.names, cells.query.recipe, rule, calibration, usual_range(quality), cells.n_cells)


def calls_of(query: Query, reference: LabelReference) -> Iterator[tuple[Calls, Evidence, CellQuality]]:
    """Yield what the cells of a query are called, chunk by chunk, what is said of them, and what they are like."""
    rule, n_genes = reference.rule.seen_by(query), _n_present(query)

    def called(chunk: PreparedChunk) -> tuple[Calls, Evidence, CellQuality]:
        evidence = rule.evidence(chunk)
        return reference.calibration.calls(evidence), evidence, quality_of(chunk, n_genes=n_genes)

    return in_threads(called, query.chunks())


def said_of(query: Query, rule: Rule) -> Evidence:
    """Return what a rule says of all cells of a query, which has the genes that the rule was learned on."""
    chunks = list(query.chunks())
    whole = PreparedChunk(
        slice(0, query.matrix.shape[0]),
        sparse.vstack([chunk.counts for chunk in chunks], format="csr"),
        sparse.vstack([chunk.inputs for chunk in chunks], format="csr"),
    )
    return rule.evidence(whole)


def _n_present(query: Query) -> int:
    return int(query.alignment.gene_map.present.sum())
