"""A model trained further on a query's cells, without labels; the model that it starts from stays as it is."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pandas as pd
from scipy import sparse

from scprism._check import check_choice
from scprism._random import random_generator, told_seed
from scprism._version import __version__
from scprism.adaptation.training import Part, loss_of, of_genes, train_further, with_genes
from scprism.errors import InputError
from scprism.label.transfer import cells_among
from scprism.model.config import Config
from scprism.model.weights import Weights
from scprism.prepare.cell_hashes import cell_marks
from scprism.query.view import Query, with_gaps_of
from scprism.train.batches import TrainingCells, collect_cells
from scprism.train.fit import MAX_MARKS, Fitted, data_fingerprint, resolve_device
from scprism.train.loop import TrainingResult
from scprism.types import IntArray, RNGLike

__all__ = ["adapt_fitted"]

LEAST_CELLS = 50
"""Of fewer cells not even five would be left to end the training, and five to say what it did."""
SPLIT = (0.8, 0.1, 0.1)
"""Shares of the cells for training, early stopping and the losses that are reported."""


@dataclass(frozen=True)
class _Gathered:
    """What is trained on, the query's cells first, in the genes that are learned.

    Attributes
    ----------
    cells
        Of the query, and of the reference.
    n_query
        How many are the query's.
    genes
        Which genes of the recipe these are, bool (genes of the recipe,).
    fill
        Values of the other genes, (genes of the recipe,).
    held_out
        Reference cells that the model to start from was not trained on, and that stay out of this training too.
    """

    cells: TrainingCells
    n_query: int
    genes: np.ndarray
    fill: np.ndarray
    held_out: TrainingCells | None


def adapt_fitted(
    fitted: Fitted,
    query: Query,
    *,
    reference: Query | None,
    part: Part,
    config: Config,
    rng: RNGLike,
    device: str,
) -> tuple[Fitted, pd.DataFrame]:
    """Return the model after further training on a query's cells, and losses; `fitted` stays as it is.

    Only genes that the query has are learned; what the weights of the others add is taken as given. Log and summary go
    on to tell of the first training; the summary's ``adapted_from`` says which weights were adapted, to what, and how.

    Parameters
    ----------
    fitted, config
        The model to start from. Its settings hold for the further training too, but for the split.
    query
        The cells to train on.
    reference
        Cells like those that the model was trained on, to train on beside the query's, lest they be forgotten: no more
        of them than the query has. Only genes that they have, too, are learned.
    part
        What is trained: see `scprism.adaptation.training.train_further`.

    Returns
    -------
    tuple
        The model, and a table with the rows ``query`` and, where reference cells were given, ``reference``, and the
        columns ``cells``, ``before`` and ``after``: mean loss of held-out cells, over the genes that are learned.

    Raises
    ------
    InputError
        If there are too few cells, or no gene is learned.
    """
    _check(query, part, config)
    generator, chosen = random_generator(rng), resolve_device(device)
    unseen = fitted.summary.get("unseen_cells", ())
    gathered = _gather(query, reference, unseen=unseen, config=config, rng=generator)
    before = of_genes(fitted.weights, gathered.genes, fill=gathered.fill)
    settings = config.changed(split=SPLIT)
    after, result = train_further(before, gathered.cells, part=part, config=settings, rng=generator, device=chosen)
    losses = _losses(before, after, gathered, result, config=config)
    weights = with_genes(fitted.weights, before, after, gathered.genes)
    seed = told_seed(rng)
    record = {
        "fingerprint": fitted.weights.fingerprint(),
        "part": part,
        "n_query": gathered.n_query,
        "n_reference": gathered.cells.n_cells - gathered.n_query,
        "n_genes": int(gathered.genes.sum()),
        "losses": losses.to_dict("index"),
        "data_fingerprint": data_fingerprint(fitted.recipe, gathered.cells),
        "seed": seed,
        "settings": {name: getattr(settings, name) for name in ("learning_rate", "max_epochs", "patience", "split")},
        "best_epoch": result.best_epoch,
        "n_epochs": len(result.log),
        "seconds": result.log[-1].seconds,
        "version": __version__,
        "adapted_from": fitted.summary.get("adapted_from"),
    }
    marks = _marks(query, result.unseen[result.unseen < gathered.n_query])
    summary = {**fitted.summary, "unseen_cells": [*unseen, *marks], "adapted_from": record}
    return replace(fitted, weights=weights, summary=summary), losses


def _check(query: Query, part: Part, config: Config) -> None:
    check_choice("part", part, get_args(Part))
    if part == "network" and config.penalty == "hard" and config.penalty_weight > 0:
        msg = "The units of a model with penalty='hard' stay orthonormal only if part='decoder' is adapted."
        raise InputError(msg)
    n_cells = query.matrix.shape[0]
    if n_cells < LEAST_CELLS:
        msg = (
            f"Adapting needs at least {LEAST_CELLS} cells, of which a tenth end the training and a tenth say what it "
            f"did, got {n_cells}. Use the model as it is, or adapt it to more cells of the same kind."
        )
        raise InputError(msg)


def _gather(
    query: Query, reference: Query | None, *, unseen: Collection[str], config: Config, rng: np.random.Generator
) -> _Gathered:
    seen = query if reference is None else with_gaps_of(query, reference)
    genes = query.alignment.gene_map.present
    cells = collect_cells(seen.chunks(), counts_as_targets=config.counts_as_targets)
    if reference is None:
        return _Gathered(_taken(cells, genes), cells.n_cells, genes, seen.fill, None)
    genes = genes & reference.alignment.gene_map.present
    if not genes.any():
        msg = "The query and the reference have none of the model's genes in common. Check how their genes are named."
        raise InputError(msg)
    others = collect_cells(with_gaps_of(reference, query).chunks(), counts_as_targets=config.counts_as_targets)
    is_unseen = cells_among(reference, unseen)
    known = np.flatnonzero(~is_unseen)
    replayed = np.sort(rng.permutation(known)[: cells.n_cells])
    both = [_taken(cells, genes), _taken(others, genes, replayed)]
    joined = TrainingCells(
        sparse.vstack([part.inputs for part in both], format="csr"),
        sparse.vstack([part.targets for part in both], format="csr"),
        np.repeat([0, 1], [part.n_cells for part in both]),
    )
    held_out = _taken(others, genes, np.flatnonzero(is_unseen)) if is_unseen.any() else None
    return _Gathered(joined, cells.n_cells, genes, seen.fill, held_out)


def _taken(cells: TrainingCells, genes: np.ndarray, rows: IntArray | slice = slice(None)) -> TrainingCells:
    return TrainingCells(cells.inputs[rows][:, genes], cells.targets[rows][:, genes])


def _losses(
    before: Weights, after: Weights, gathered: _Gathered, result: TrainingResult, *, config: Config
) -> pd.DataFrame:
    cells, held = gathered.cells, result.unseen[result.n_validation :]
    asked = {"query": (cells, held[held < gathered.n_query])}
    if gathered.held_out is not None:
        asked["reference"] = (gathered.held_out, np.arange(gathered.held_out.n_cells))
    elif cells.n_cells > gathered.n_query:
        asked["reference"] = (cells, held[held >= gathered.n_query])
    rows = {
        name: {
            "cells": len(rows),
            "before": loss_of(before, chosen, rows, config=config),
            "after": loss_of(after, chosen, rows, config=config),
        }
        for name, (chosen, rows) in asked.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").astype({"cells": int})


def _marks(query: Query, rows: IntArray) -> list[str]:
    wanted = np.zeros(query.matrix.shape[0], dtype=bool)
    wanted[rows[:MAX_MARKS]] = True
    return [mark for chunk in query.chunks() for mark in cell_marks(chunk.inputs[wanted[chunk.rows]])]
