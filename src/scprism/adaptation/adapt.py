"""A model trained further on a query: a choice, never silent."""

import logging
from copy import copy
from typing import TYPE_CHECKING

from anndata import AnnData

from scprism.adaptation.change import Change, change_of
from scprism.adaptation.fit import adapt_fitted
from scprism.adaptation.training import Part
from scprism.query.view import open_query
from scprism.train.fit import Fitted
from scprism.types import Organism, RNGLike

if TYPE_CHECKING:
    from scprism.estimator.prism import Prism

__all__ = ["adapt"]

logger = logging.getLogger("scprism")


def adapt(
    model: "Prism",
    cells: AnnData,
    *,
    reference: AnnData | None = None,
    part: Part = "decoder",
    layer: str | None = None,
    reference_layer: str | None = None,
    organism: Organism | None = None,
    rng: RNGLike = None,
) -> "tuple[Prism, Change]":
    """Return a new model, trained further on `cells` without labels, and what that changed; `model` stays as it is.

    What it helps and what it costs is in `docs/adapt.md`. The recipe stays; genes that `cells` lack keep their weights.
    The new model has no index: call `index` again. The training is too short to need a checkpoint.

    Parameters
    ----------
    model
        A trained model.
    cells
        The cells to adapt to, at least 50; a tenth of them end the training, and a tenth are held out for the report.
    reference
        Cells like those that `model` was trained on. As many as there are `cells`
        are trained on beside, so that they are not forgotten.
    part
        ``"decoder"``: the decoder alone, for `Prism.denoise`; latents, labels and explanations stay as they are, to the
        bit. ``"input"``: the first layer alone, which the rest of the network shows where cells belong; cosine
        neighbours in the latent get better, the labels of `Prism.label` sometimes far worse. ``"network"``: all layers;
        labels get no better.
    layer, organism
        Where the counts of `cells` are; their organism: as in `Prism.embed`.
    reference_layer
        Where the counts of `reference` are; that of the model if not given.
    rng
        Seed or generator.

    Returns
    -------
    tuple
        The new model, and the change: losses before and after, what became of each unit and of each weight matrix.

    Raises
    ------
    InputError
        If the counts cannot be used or the cells are too few.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(make_cells(rng=0))
    >>> adapted, change = adapt(model, make_cells(rng=1), part="decoder", rng=0)
    >>> adapted.summary_["adapted_from"]["fingerprint"] == model.fingerprint, bool(change.units["same"].all())
    (True, True)
    """
    logger.info("adapting the model %s to %d cells", model.fingerprint, cells.n_obs)
    before = Fitted(model.recipe_, model.weights_, model.log_, model.summary_)
    config, least = model.config_, model.min_coverage
    place = model.layer if layer is None else layer
    query = open_query(cells, model.recipe_, config, layer=place, organism=organism, min_coverage=least)
    known = None
    if reference is not None:
        where = model.layer if reference_layer is None else reference_layer
        known = open_query(reference, model.recipe_, config, layer=where, min_coverage=least)
    after, losses = adapt_fitted(before, query, reference=known, part=part, config=config, rng=rng, device=model.device)
    change = change_of(before.weights, after.weights, query, losses=losses, config=config)
    return copy(model).learned(after, config), change
