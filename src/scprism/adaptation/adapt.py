"""A model trained further on a query: a choice, never silent."""

import logging
from dataclasses import replace

from anndata import AnnData

from scprism._warnings import kept_warnings, note
from scprism.adaptation.change import Change, change_of
from scprism.adaptation.fit import adapt_fitted
from scprism.adaptation.training import Part
from scprism.estimator.model import Model
from scprism.estimator.view import View
from scprism.query.view import Query
from scprism.train.fit import Fitted
from scprism.types import RNGLike

__all__ = ["adapt"]

logger = logging.getLogger("scprism")


def adapt(
    model: Model,
    cells: AnnData | View,
    *,
    reference: AnnData | View | None = None,
    part: Part = "decoder",
    layer: str | None = None,
    device: str | None = None,
    rng: RNGLike = None,
) -> tuple[Model, Change]:
    """Return a new model, trained further on `cells` without labels, and what that changed; `model` stays as it is.

    What it helps and what it costs is in `docs/adapt.md`. The recipe stays; genes that `cells` lack keep their weights.
    The new model has no index: call `index` again. What was warned of is kept with its `warnings`. The training is too
    short to need a checkpoint.

    Parameters
    ----------
    model
        A trained model.
    cells
        The cells to adapt to, at least 50, or a view of them (`Model.view`, which takes their organism and least
        coverage); a tenth of them end the training, and a tenth are held out for the report.
    reference
        Cells like those that `model` was trained on. As many as there are `cells`
        are trained on beside, so that they are not forgotten.
    part
        ``"decoder"``: the decoder alone, for `Model.denoise`; latents, labels and explanations stay as they are, to the
        bit. ``"input"``: the first layer alone, which the rest of the network shows where cells belong; cosine
        neighbours in the latent get better, the labels of `Model.label` sometimes far worse. ``"network"``: all layers;
        labels get no better.
    layer
        Where the counts of `cells` are, as in `Model.view`.
    device
        Where to train, as in `Prism`; where the model was asked to be trained if not given.
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
    >>> adapted.summary["adapted_from"]["fingerprint"] == model.fingerprint, bool(change.units["same"].all())
    (True, True)
    """
    with kept_warnings() as messages:
        query, known = _query(model, cells, layer=layer), None if reference is None else _query(model, reference)
        logger.info("adapting the model %s to %d cells", model.fingerprint, query.matrix.shape[0])
        after, losses = adapt_fitted(
            Fitted(model.recipe, model.weights, model.log, model.summary),
            query,
            reference=known,
            part=part,
            config=model.config,
            rng=rng,
            device=model.asked.device if device is None else device,
        )
        change = change_of(model.weights, after.weights, query, losses=losses, config=model.config)
    told = tuple(dict.fromkeys([*model.warnings, *messages]))
    return replace(model, weights=after.weights, summary=after.summary, labels_known={}, warnings=told), change


def _query(model: Model, cells: AnnData | View, *, layer: str | None = None) -> Query:
    view = model.view(cells, layer=layer)
    note(view.warnings)
    return view.query
