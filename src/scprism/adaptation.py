"""A model trained further on a query: a choice, never silent."""

from copy import copy
from typing import TYPE_CHECKING

from anndata import AnnData

from scprism.explain.change import Change, change_of
from scprism.train.adapt import Part
from scprism.train.fit import Fitted
from scprism.transfer.adapt import adapt_fitted
from scprism.transfer.query import open_query
from scprism.types import Organism, RNGLike

if TYPE_CHECKING:
    from scprism.estimator import Prism

__all__ = ["adapt"]


def adapt(
    model: "Prism",
    cells: AnnData,
    *,
    reference: AnnData | None = None,
    part: Part = "decoder",
    layer: str | None = None,
    organism: Organism | None = None,
    rng: RNGLike = None,
) -> "tuple[Prism, Change]":
    """Return a new model, trained further on `cells` without labels, and what that changed; `model` stays as it is.

    TODO
    """
    before = Fitted(model.recipe_, model.weights_, model.log_, model.summary_)
    config, least = model.config_, model.min_coverage
    place = model.layer if layer is None else layer
    query = open_query(cells, model.recipe_, config, layer=place, organism=organism, min_coverage=least)
    known = None
    if reference is not None:
        known = open_query(reference, model.recipe_, config, layer=model.layer, min_coverage=least)
    after, losses = adapt_fitted(before, query, reference=known, part=part, config=config, rng=rng, device=model.device)
    change = change_of(before.weights, after.weights, query, losses=losses, config=config)
    return copy(model).learned(after, config), change
