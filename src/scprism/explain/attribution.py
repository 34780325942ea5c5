"""What is attributed, by which method, relative to what."""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from scprism._check import check_choice
from scprism.errors import InputError
from scprism.explain.encoder import Encoder
from scprism.types import AttributionMethod, Baseline, FloatArray, Matrix

__all__ = ["GRADIENTS", "MEAN_CELL", "SUMMING", "Attribution", "baseline_row", "check_attribution", "raw_unit_names"]

GRADIENTS = ("plain", "guided")
"""Methods that say how a direction would change with a gene; they have no baseline."""

SUMMING = ("deeplift", "integrated_gradients", "expected_gradients")
"""Methods whose attributions sum to what a direction differs from its baseline."""

MEAN_CELL = "the mean of the cells that the model was trained on"
"""The words for the baseline ``"mean"`` in an explanation."""


@dataclass(frozen=True)
class Attribution:
    """One way to explain: a method, the directions it explains, and a baseline.

    With ``J`` the derivative of a direction by the genes (`method.md` section 5):

    * ``plain``: J.
    * ``guided``: J, but a signal that arrives at a softplus from above is set to 0 where it is negative, after
      multiplication by the softplus' slope. For a unit this deletes the negative weights between the hidden layer
      and the unit. For a mix of units it also deletes the negative parts of the mix, so that the guided map of a
      contrast is not the difference of guided maps.
    * ``gradient_x_input``: J times what the cell differs from the baseline.
    * ``deeplift``: the rescale rule; the slopes in J are replaced by difference quotients to the baseline.
    * ``integrated_gradients``: J averaged on the straight line from the baseline, times the difference. With at
      most one nonlinear layer this is ``deeplift``.
    * ``expected_gradients``: integrated gradients averaged over many baselines, the rows of `baseline`.

    Attributes
    ----------
    method
        One of the above.
    directions
        Directions in latent space, (directions, units); None for every unit by itself.
    names
        Their names; ``latent_0, latent_1, …`` or ``direction_0, …`` where None.
    baseline
        One cell's values, (genes,), or for ``expected_gradients`` several cells', (cells, genes). None means zero
        expression, and where a query lacks genes, these genes at the value they are filled with: what was not
        measured then gets no attribution.
    first_unit_plain
        Give the first direction the plain gradient under the guided rule, as the released code does (`method.md` 5.3).
    absolute
        Whether `explain_groups` also takes the means of |attribution|, which cost far more than the signed means.
    """

    method: AttributionMethod = "deeplift"
    directions: FloatArray | None = None
    names: tuple[str, ...] | None = None
    baseline: Matrix | None = None
    first_unit_plain: bool = False
    absolute: bool = True

    def direction_names(self, n_units: int) -> tuple[str, ...]:
        """Return the name of each direction."""
        if self.names is not None:
            return self.names
        if self.directions is None:
            return raw_unit_names(n_units)
        return tuple(f"direction_{i}" for i in range(len(self.directions)))

    def clamped(self, n_units: int) -> np.ndarray:
        """Return which directions follow the guided rule, as bool."""
        clamped = np.full(n_units if self.directions is None else len(self.directions), self.method == "guided")
        if self.first_unit_plain:
            clamped[0] = False
        return clamped


def raw_unit_names(n_units: int) -> tuple[str, ...]:
    """Return the names of the numbers of a network's bottleneck: ``latent_0``, ``latent_1`` and so on."""
    return tuple(f"latent_{i}" for i in range(n_units))


def baseline_row(kind: Baseline, *, method: AttributionMethod, mean: FloatArray) -> FloatArray | None:
    """Return the baseline of that kind, float32 (genes,), as `Attribution` takes it: None for zero and for gradients.

    `mean` is the mean of the cells that the model was trained on.
    """
    check_choice("baseline", kind, get_args(Baseline))
    return None if kind == "zero" or method in GRADIENTS else np.asarray(mean, dtype=np.float32)


def check_attribution(attribution: Attribution, encoder: Encoder) -> None:
    """Raise `InputError` where `attribution` does not fit the network or contradicts itself."""
    method, shape = attribution.method, getattr(attribution.baseline, "shape", ())
    check_choice("method", method, get_args(AttributionMethod))
    if attribution.first_unit_plain and method != "guided":
        msg = f"`first_unit_plain` is a switch of the guided rule, got method {method!r}. Leave it out."
        raise InputError(msg)
    if attribution.baseline is not None and method in GRADIENTS:
        msg = f"`baseline` has no meaning for {method!r}, a gradient. Leave it out, or use 'deeplift'."
        raise InputError(msg)
    if method == "expected_gradients" and (len(shape) != 2 or 0 in shape):
        msg = f"'expected_gradients' needs cells as `baseline`, (cells, genes), got shape {shape}. Pass training cells."
        raise InputError(msg)
    if method != "expected_gradients" and attribution.baseline is not None and shape != (encoder.n_genes,):
        msg = f"`baseline` must be one row of the model's {encoder.n_genes:,} genes for {method!r}, got shape {shape}."
        raise InputError(msg)
    _check_directions(attribution, encoder.n_units)


def _check_directions(attribution: Attribution, n_units: int) -> None:
    directions, names = attribution.directions, attribution.names
    if directions is not None:
        shape = np.shape(directions)
        if len(shape) != 2 or shape[1] != n_units or shape[0] == 0 or not np.isfinite(directions).all():
            msg = f"`directions` must be finite, one row a direction with {n_units} units, got shape {shape}."
            raise InputError(msg)
    n_directions = n_units if directions is None else len(directions)
    if names is not None and (len(names) != n_directions or len(set(names)) != n_directions):
        msg = f"`names` must be {n_directions} different names, one a direction, got {len(names)}: {names[:5]}."
        raise InputError(msg)
