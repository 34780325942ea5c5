"""The attribution of single cells, in closed form."""

import numpy as np

from scprism.explain.attribution import GRADIENTS, Attribution
from scprism.explain.encoder import as_rows
from scprism.explain.plan import cell_coefficients, differences, hidden_of, make_plan
from scprism.model.weights import Weights
from scprism.types import AttributionMethod, FloatArray, Matrix

__all__ = ["attribute"]


def attribute(
    weights: Weights,
    x: Matrix,
    *,
    method: AttributionMethod = "deeplift",
    directions: FloatArray | None = None,
    baseline: Matrix | None = None,
    first_unit_plain: bool = False,
) -> FloatArray:
    """Return one cell's or a few cells' maps, float32 (cells, units or directions, genes).

    For many cells use `explain_groups`, which never holds their maps.

    Parameters
    ----------
    weights
        The network.
    x
        Normalised cells, (cells, genes), dense or sparse, or one cell, (genes,). Genes that were not measured hold
        the value they are filled with.
    method, directions, baseline, first_unit_plain
        As in `Attribution`. Here the default baseline is zero expression of every gene.

    Examples
    --------
    >>> import numpy as np
    >>> from scprism.model.weights import Weights
    >>> one, two = np.ones(1, np.float32), np.ones((1, 2), np.float32)
    >>> net = Weights(two, one, one[None], one, one[None], one, two.T, two[0], hidden_beta=None, latent_beta=None)
    >>> attribute(net, np.array([3.0, 0.0], np.float32))
    array([[[3., 0.]]], dtype=float32)
    """
    attribution = Attribution(
        method=method, directions=directions, baseline=baseline, first_unit_plain=first_unit_plain
    )
    plan = make_plan(weights, attribution)
    rows = as_rows(x, n_genes=plan.encoder.n_genes, name="x")
    coefficients = cell_coefficients(plan, hidden_of(plan, rows))
    if method in GRADIENTS:
        return np.asarray(coefficients @ plan.encoder.by_hidden)
    change = differences(plan, rows)
    change = change if isinstance(change, np.ndarray) else np.asarray(change.toarray())
    if plan.others is None:
        return np.asarray(coefficients @ plan.encoder.by_hidden * change[:, None, :])
    maps = np.zeros((len(change), coefficients.shape[2], change.shape[1]), dtype=np.float64)
    for i, other in enumerate(plan.others.toarray()):
        maps += coefficients[:, i] @ plan.encoder.by_hidden * (change - other)[:, None, :]
    return np.asarray(maps / plan.others.shape[0], dtype=np.float32)
