"""Models from their folders."""

from typing import cast

from scprism.estimator.prism import Prism
from scprism.label.index import read_index
from scprism.model.bundle import load_bundle
from scprism.model.presets import Preset
from scprism.train.fit import Fitted
from scprism.types import PathLike

__all__ = ["load"]


def load(folder: PathLike) -> Prism:
    """Return the model that `Prism.save` or `scprism fit` wrote into a folder, with its index of labels if it has one.

    Raises
    ------
    BundleError
        If the folder is not a model, or is truncated, edited or from a newer scprism.
    """
    bundle = load_bundle(folder)
    model = Prism(bundle.config if bundle.preset == "custom" else cast("Preset", bundle.preset))
    model.learned(Fitted(bundle.recipe, bundle.weights, bundle.log, bundle.summary), bundle.config)
    model.index_ = read_index(folder, fingerprint=model.fingerprint)
    return model
