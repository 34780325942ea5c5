"""Explanations where there is nothing to explain: by networks that have learned nothing, or of groups by chance."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import check_choice
from scprism._random import random_generator
from scprism.errors import InputError
from scprism.estimator.model import Model
from scprism.estimator.view import View
from scprism.explain.attribution import MEAN_CELL, Attribution, baseline_row
from scprism.explain.explanation import Explanation
from scprism.explain.grouping import group_codes
from scprism.explain.groups import explain_groups
from scprism.explain.randomise import shuffle_within_genes
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.weights import Weights
from scprism.query.view import Query
from scprism.train.batches import collect_cells
from scprism.train.fit import fit_network
from scprism.types import AttributionMethod, Baseline, IntArray, RNGLike

__all__ = ["NullKind", "Nulls", "null_explanations"]

NullKind: TypeAlias = Literal["untrained", "gene_shuffled", "permuted_labels"]
KINDS = ("untrained", "gene_shuffled", "permuted_labels")


@dataclass(frozen=True)
class Nulls:
    """Which null explanations, and how many.

    Attributes
    ----------
    kind
        ``"untrained"``: networks of the model's shape with random weights, as before training. ``"gene_shuffled"``:
        networks trained with the model's settings on the reference after each gene's values were dealt out to the
        cells anew, so that genes keep their mean and spread but have nothing in common. ``"permuted_labels"``: the
        model itself, the cells' groups dealt out anew; a null for what sets groups apart, and for contrasts.
    n
        How many. Each unit of a network counts as a draw, each permutation of labels as one.
    reference
        The data that the model was trained on; for ``"gene_shuffled"`` and for that only.
    max_epochs
        Epochs after which training on shuffled genes ends at the latest; those of the model if not given.
    absolute
        Whether means of |attribution| are taken too, which cost far more; for scores made of them.
    baseline
        What attributions are relative to, as in `Model.explain`; that of the model's settings if None.
    """

    kind: NullKind = "untrained"
    n: int = 100
    reference: AnnData | View | None = None
    max_epochs: int | None = None
    absolute: bool = False
    baseline: Baseline | None = None


def null_explanations(
    model: Model,
    cells: AnnData | View,
    *,
    nulls: Nulls = Nulls(),
    groupby: "str | pd.Series[str] | None" = None,
    method: AttributionMethod | None = None,
    layer: str | None = None,
    rng: RNGLike = None,
) -> Iterator[Explanation]:
    """Return explanations of the same cells and groups by nulls of the model, made one by one as they are asked for.

    Arguments are those of `Model.explain` with which the model's own explanation was made; `scprism.enrich` tests that
    one against these. Memory does not grow with their number.

    Raises
    ------
    InputError
        If the cells cannot be used, or the reference is missing or not wanted.
    """
    chosen = method or model.config.attribution
    _check(nulls, chosen)
    view = model.view(cells, layer=layer)
    query = view.query
    groups, codes = group_codes(view.cells, groupby)
    plan = _Plan(query, groups, _attribution(query, chosen, nulls, config=model.config))
    # A model's own seed must not start null networks from the weights that the model itself was trained from.
    generator = random_generator(rng).spawn(1)[0]
    if nulls.kind == "permuted_labels":
        return (_explain(plan, model.weights, _dealt(codes, generator)) for _ in range(nulls.n))
    networks = _untrained(model, generator)
    if nulls.reference is not None:
        networks = _shuffled(model, nulls.reference, max_epochs=nulls.max_epochs, rng=generator)
    return (_explain(plan, weights, codes) for weights in islice(networks, nulls.n))


@dataclass(frozen=True)
class _Plan:
    query: Query
    groups: tuple[str, ...]
    attribution: Attribution


def _check(nulls: Nulls, method: AttributionMethod) -> None:
    check_choice("kind", nulls.kind, KINDS)
    if nulls.n < 1:
        msg = f"`n` must be at least 1, got {nulls.n}."
        raise InputError(msg)
    if (nulls.kind == "gene_shuffled") != (nulls.reference is not None):
        msg = "Give `reference`, the data that the model was trained on, for kind='gene_shuffled' and only for it."
        raise InputError(msg)
    if method == "expected_gradients":
        msg = "There are no nulls for method='expected_gradients'; 'integrated_gradients' has them, or 'deeplift'."
        raise InputError(msg)


def _attribution(query: Query, method: AttributionMethod, nulls: Nulls, *, config: Config) -> Attribution:
    return Attribution(
        method=method,
        baseline=baseline_row(nulls.baseline or config.baseline, method=method, mean=query.recipe.mean),
        first_unit_plain=config.first_unit_plain and method == "guided",
        absolute=nulls.absolute,
    )


def _explain(plan: _Plan, weights: Weights, codes: IntArray) -> Explanation:
    explanation = explain_groups(
        weights,
        ((chunk.inputs, codes[chunk.rows]) for chunk in plan.query.chunks()),
        genes=plan.query.recipe.genes,
        groups=plan.groups,
        attribution=plan.attribution,
        fill=plan.query.fill,
    )
    return explanation if plan.attribution.baseline is None else replace(explanation, baseline=MEAN_CELL)


def _dealt(codes: IntArray, rng: np.random.Generator) -> IntArray:
    """Return the labels of the labelled cells dealt out among these anew; cells in no group stay in none."""
    dealt = codes.copy()
    dealt[codes >= 0] = rng.permutation(codes[codes >= 0])
    return dealt


def _untrained(model: Model, rng: np.random.Generator) -> Iterator[Weights]:
    while True:
        yield to_weights(build_autoencoder(model.config, n_genes=len(model.recipe.genes), rng=rng))


def _shuffled(
    model: Model, reference: AnnData | View, *, max_epochs: int | None, rng: np.random.Generator
) -> Iterator[Weights]:
    recipe = model.recipe
    config = model.config.changed(max_epochs=max_epochs or model.config.max_epochs)
    cells = collect_cells(model.view(reference).query.chunks(), counts_as_targets=config.counts_as_targets)
    while True:
        shuffled = shuffle_within_genes(cells, rng=rng)
        yield fit_network(recipe, shuffled, config=config, rng=rng, device="cpu").weights
