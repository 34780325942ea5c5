"""Models from their folders."""

from scprism.estimator.model import Model
from scprism.label.index import read_index
from scprism.model.bundle import load_bundle
from scprism.types import PathLike
from scprism.units.named import read_units

__all__ = ["load"]


def load(folder: PathLike) -> Model:
    """Return the model that `Model.save` or `scprism fit` wrote into a folder, as it was saved.

    Raises
    ------
    BundleError
        If the folder is not a model, or is truncated, edited or from a newer scprism.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import Prism, load, make_cells
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(make_cells(rng=0))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     model.save(f"{place}/model")
    ...     again = load(f"{place}/model")
    >>> again.fingerprint == model.fingerprint, again.asked == model.asked
    (True, True)
    """
    bundle = load_bundle(folder)
    fingerprint = bundle.weights.fingerprint()
    return Model(
        config=bundle.config,
        recipe=bundle.recipe,
        weights=bundle.weights,
        log=bundle.log,
        summary=bundle.summary,
        asked=bundle.asked,
        labels_known=read_index(folder, fingerprint=fingerprint, weights=bundle.weights, settings=bundle.config.labels),
        warnings=bundle.warnings,
        trials=bundle.trials,
        named_units=read_units(folder, genes=bundle.recipe.genes, fingerprint=fingerprint),
    )
