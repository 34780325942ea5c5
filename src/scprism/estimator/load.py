"""Models from their folders, and from whatever else holds one."""

from scprism.estimator.archive import model_folder
from scprism.estimator.model import Model
from scprism.label.index import read_index
from scprism.model.bundle import load_bundle
from scprism.types import PathLike
from scprism.units.named import read_units

__all__ = ["load"]


def load(source: PathLike, *, checksum: str | None = None) -> Model:
    """Return the model that `Model.save` or `scprism fit` wrote, as it was saved.

    Parameters
    ----------
    source
        A model folder; a zip file of one; the address of such a zip file, which is downloaded once; or the name of a
        model that comes with scprism.
    checksum
        SHA-256 of the zip file. An address needs it, here or at its end: ``https://…/model.zip#sha256=…``.

    Raises
    ------
    InputError
        If an address has no checksum.
    BundleError
        If it is no model, or is truncated, edited or from a newer scprism; if a zip file has another checksum, leads
        out of its folder, holds links, or unpacks to more than any model.
    PrismError
        If an address cannot be reached.

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
    with model_folder(source, checksum=checksum) as folder:
        bundle = load_bundle(folder)
        fingerprint = bundle.weights.fingerprint()
        return Model(
            config=bundle.config,
            recipe=bundle.recipe,
            weights=bundle.weights,
            log=bundle.log,
            summary=bundle.summary,
            asked=bundle.asked,
            labels_known=read_index(
                folder, fingerprint=fingerprint, weights=bundle.weights, settings=bundle.config.labels
            ),
            warnings=bundle.warnings,
            trials=bundle.trials,
            named_units=read_units(folder, genes=bundle.recipe.genes, fingerprint=fingerprint),
        )
