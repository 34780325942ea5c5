"""Label transfer from AnnData to AnnData: a reference learned from labelled cells, a query labelled by it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from scprism._check import closest, some
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.label.expression_rule import learn_expression_rule
from scprism.label.genes import label_recipe
from scprism.label.labels import known_labels
from scprism.label.latent_rule import learn_latent_rule
from scprism.label.query_shift import describe_difference, joined_quality
from scprism.label.reference import LabelledCells, LabelReference, Learn, calls_of, learn_reference
from scprism.label.simulated_platforms import rank_in_label
from scprism.model.config import Config
from scprism.model.weights import Weights
from scprism.prepare.cell_hashes import cell_marks
from scprism.prepare.draws import count_keys, gene_keys
from scprism.prepare.recipe import Recipe
from scprism.query.model_genes import in_model_genes
from scprism.query.view import USUAL_COVERAGE, Query, query_in, with_gaps_of
from scprism.read.checked import CheckedCells
from scprism.read.chunks import picked_rows, row_chunks
from scprism.types import FloatArray, IntArray, Organism

__all__ = [
    "Learner",
    "cells_among",
    "indexed",
    "keys_of",
    "label_query",
    "labelled_cells",
    "learn_labels",
    "told_by_latent",
    "warn_of_gaps",
]

LEAST_CELLS = 10
LEAST_UNSEEN = 20
"""With one in twenty cells called novel, a threshold takes at least 20 cells."""
MOST_CELLS = 20_000
"""Labelled cells that are learned from; of the common labels as many are left out as it takes."""


@dataclass(frozen=True)
class Learner:
    """What of a model label transfer needs.

    Attributes
    ----------
    config, recipe, weights
        Of the model.
    unseen
        Hashes of cells that the network was not trained on (`scprism.prepare.cell_hashes`).
    """

    config: Config
    recipe: Recipe
    weights: Weights
    unseen: Collection[str] = ()


def told_by_latent(config: Config) -> bool:
    """Return whether labels are told by the latent: if the settings say so, or there are no counts."""
    return bool(config.label_by == "latent" or config.normalise != "per_cell")


def learn_labels(
    checked: CheckedCells,
    columns: str | Sequence[str] | None,
    *,
    learner: Learner,
    organism: Organism | None,
    seen_as: Callable[[Recipe], Query] | None = None,
) -> dict[str, LabelReference]:
    """Return labelled cells ready for label transfer, by the name of the column of ``cells.obs`` with the labels.

    The result is the same whatever the order of the cells and genes, and the names of the labels.

    Parameters
    ----------
    checked
        The labelled cells. Those without a label are left out.
    columns
        One column of ``cells.obs`` or several.
    learner
        The model.
    organism
        Of the labelled cells; None to detect it.
    seen_as
        From the genes that labels are told by to a query in these genes: the labelled cells are seen through those
        that it has.

    Raises
    ------
    InputError
        If no column is named, or one is missing or has too few labels.
    """
    if not columns:
        msg = "`labels` is needed beside `reference`: the column of its `.obs` that holds the labels."
        raise InputError(msg)
    wanted = [columns] if isinstance(columns, str) else list(columns)
    labels = {column: known_labels(checked.cells, column) for column in wanted}
    keys = keys_of(checked)
    return {
        column: learn_reference(
            *labelled_cells(checked, known, keys, learner=learner, organism=organism, seen_as=seen_as)
        )
        for column, known in labels.items()
    }


def label_query(query: Query, reference: LabelReference, *, names: pd.Index) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the labels of a query as a table, and the probability of each label, (cells, labels); both index ``cell``.

    The table has ``label confidence runner_up margin distance novelty_p novel``. Warn if the query is unlike the
    reference.

    Parameters
    ----------
    query
        The cells, in the genes of the reference's recipe.
    reference
        What was learned from labelled cells.
    names
        Of the query cells.
    """
    label_names = np.asarray(reference.names, dtype=object)
    parts, probabilities, seen = [], [np.zeros((0, len(label_names)), np.float32)], []
    asked: list[tuple[IntArray, FloatArray, FloatArray]] = [(np.zeros(0, int), np.zeros(0), np.zeros(0))]
    for calls, evidence, quality in calls_of(query, reference):
        table = {
            "label": label_names[calls.best.label],
            "runner_up": label_names[calls.best.runner_up],
            "margin": calls.best.margin,
            "distance": evidence.distance,
        }
        parts.append(pd.DataFrame(table))
        probabilities.append(np.exp(calls.log_probabilities).astype(np.float32))
        asked.append((calls.best.label, calls.log_odds, calls.strangeness))
        seen.append(quality)
    index = pd.Index(names, name="cell")
    trust = reference.calibration.trust(*(np.concatenate(values) for values in zip(*asked, strict=True)))
    whole = pd.concat(parts or [_no_cells()]).set_axis(index)
    whole.insert(1, "confidence", trust.confidence)
    whole = whole.assign(novelty_p=trust.p_value, novel=trust.novel)
    spread = np.concatenate(probabilities)
    difference = describe_difference(joined_quality(seen), reference.usual, calls=whole, is_outside=trust.is_outside)
    if difference:
        warn(difference)
    return whole, pd.DataFrame(spread, index=index, columns=list(reference.names)).sort_index(axis=1)


def indexed(index: Mapping[str, LabelReference], column: str | None) -> LabelReference:
    """Return the reference of a label column in a model's index; of its only one if no column is named.

    Raises
    ------
    InputError
        If there is no index, no such column, or several to choose from.
    """
    if not index:
        msg = (
            "`reference` is needed, because this model has no reference index. Give labelled cells with reference= and "
            "labels= (--reference and --labels), or make an index: model.index(cells, labels='cell_type'), on the "
            "command line: scprism index MODEL REFERENCE --labels KEY. An adapted model needs an index of its own."
        )
        raise InputError(msg)
    if column is None and len(index) == 1:
        return next(iter(index.values()))
    if column is None:
        msg = f"`labels` is needed, because this model's index has several label columns: {some(index, limit=20)}."
        raise InputError(msg)
    if column not in index:
        msg = f"`labels` must be a column of the model's index, got {column!r}. Closest: {closest(column, index)}."
        raise InputError(f"{msg} Add it: scprism index MODEL REFERENCE --labels KEY, once for all columns.")
    return index[column]


def warn_of_gaps(query: Query) -> None:
    """Warn if a query, to be labelled by an index, lacks many genes: an index has seen its cells with all of them."""
    if query.alignment.share_of_genes < USUAL_COVERAGE:
        msg = (
            "The query lacks many of the genes that labels are told by, and the index has seen its cells with all of "
            "them. Labels will be better with reference= (--reference), which sees the labelled cells as the query is "
            "seen."
        )
        warn(msg)


def cells_among(query: Query, hashes: Collection[str]) -> np.ndarray:
    """Return which cells have one of the hashes (`scprism.prepare.cell_hashes`), bool (cells,)."""
    if not hashes:
        return np.zeros(query.matrix.shape[0], dtype=bool)
    known = frozenset(hashes)
    return np.array([name in known for chunk in query.chunks() for name in cell_marks(chunk.inputs)], dtype=bool)


def labelled_cells(
    checked: CheckedCells,
    known: "pd.Series[str]",
    keys: IntArray,
    *,
    learner: Learner,
    organism: Organism | None,
    seen_as: Callable[[Recipe], Query] | None,
) -> tuple[LabelledCells, Learn]:
    """Return labelled cells in the genes that labels are told by, and what a rule is learned from them by.

    `known` has each cell's label, NaN for none, `keys` a number of each (`keys_of`); otherwise as in `learn_labels`.
    """
    rows, codes, names = _chosen(known, keys)
    matrix = picked_rows(checked.matrix, np.sort(rows))[np.argsort(np.argsort(rows))]
    cells = replace(checked, matrix=matrix)
    if told_by_latent(learner.config):
        recipe, learn = learner.recipe, _by_latent(learner, n_labels=len(names))
    else:
        recipe, is_variable = label_recipe(matrix, list(checked.genes), organism=organism)
        if seen_as is not None and seen_as(recipe).alignment.share_of_genes < USUAL_COVERAGE:
            # a library of a few genes is no whole one: both sides' are those of the genes that both have
            recipe = replace(recipe, library="recipe")
        learn = _by_expression(learner.config, is_variable, n_labels=len(names))
    query = query_in(cells, recipe, learner.config, organism=organism)
    unseen = cells_among(query, learner.unseen) if told_by_latent(learner.config) else np.zeros(len(rows), dtype=bool)
    query = query if seen_as is None else with_gaps_of(query, seen_as(recipe))
    query = in_model_genes(query, np.arange(len(rows)))
    judged = np.flatnonzero(unseen) if unseen.sum() >= LEAST_UNSEEN else np.arange(len(rows))
    labelled = LabelledCells(query, codes, names, keys[rows], judged, int(known.notna().sum()))
    return labelled, learn


def _by_expression(config: Config, is_variable: np.ndarray, *, n_labels: int) -> Learn:
    return partial(learn_expression_rule, is_variable=is_variable, n_labels=n_labels, settings=config.labels)


def _by_latent(learner: Learner, *, n_labels: int) -> Learn:
    return partial(learn_latent_rule, weights=learner.weights, n_labels=n_labels, settings=learner.config.labels)


def keys_of(checked: CheckedCells) -> IntArray:
    """Return a number of each cell that its counts and the names of their genes decide, uint64 (cells,)."""
    of_genes = gene_keys(list(checked.genes))
    parts = [count_keys(chunk, of_genes) for _, chunk in row_chunks(checked.matrix)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def _chosen(known: "pd.Series[str]", keys: IntArray) -> tuple[IntArray, IntArray, tuple[str, ...]]:
    """Return the cells to learn from, in an order that does not depend on the file's, label numbers and labels.

    Of more than `MOST_CELLS` every label keeps as many as the rarest ones allow, those of the lowest keys.
    """
    labelled = np.flatnonzero(known.notna())
    if len(labelled) < LEAST_CELLS:
        msg = (
            f"A reference needs at least {LEAST_CELLS} labelled cells to tell how often its labels are right, got "
            f"{len(labelled)}. Label more cells, or use a larger reference."
        )
        raise InputError(msg)
    text = known.iloc[labelled].to_numpy(dtype=str)
    order = np.lexsort((text, keys[labelled]))
    labelled = labelled[order]
    codes, names = pd.factorize(text[order])  # numbered by their cells, so that names change nothing
    kept = np.sort(np.argsort(rank_in_label(codes, keys[labelled]), kind="stable")[:MOST_CELLS])
    return labelled[kept], codes[kept].astype(np.int64), tuple(str(name) for name in names)


def _no_cells() -> pd.DataFrame:
    words, numbers = dict.fromkeys(("label", "runner_up"), object), dict.fromkeys(("margin", "distance"), float)
    return pd.DataFrame({name: np.zeros(0, kind) for name, kind in (words | numbers).items()})
