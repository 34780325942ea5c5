"""What training minimises: a reconstruction loss, the orthogonality penalty and L1."""

from collections.abc import Iterable
from typing import Literal

import torch

__all__ = ["EPSILON", "l1_penalty", "orthogonality_penalty", "reconstruction_loss"]

EPSILON = 1e-8
"""The constant inside the logarithm of the paper's loss (its section 1)."""


def reconstruction_loss(
    output: torch.Tensor, target: torch.Tensor, *, likelihood: Literal["multinomial", "poisson", "poisson_log_input"]
) -> torch.Tensor:
    """Return each cell's loss, (cells,), a mean over genes.

    Parameters
    ----------
    output
        The network's output y, (cells, genes): logits for ``"multinomial"``, otherwise positive values.
    target
        Counts for ``"multinomial"``, otherwise normalised expression x; (cells, genes).
    likelihood
        ``"multinomial"``: −Σ_g n_g log softmax(y)_g / Σ_g n_g, nats a molecule. ``"poisson"``: y − x log(y + 1e-8),
        the paper's loss with x and y in the places where a Poisson likelihood has them (`method.md`, row 15).
        ``"poisson_log_input"``: exp(y) − x y (row 6).
    """
    if likelihood == "multinomial":
        total = target.sum(dim=1).clamp_min(1.0)
        return -(target * torch.log_softmax(output, dim=1)).sum(dim=1) / total
    if likelihood == "poisson":
        return (output - target * torch.log(output + EPSILON)).mean(dim=1)
    return (torch.exp(output) - target * output).mean(dim=1)


def orthogonality_penalty(
    weight: torch.Tensor, *, form: Literal["rows", "columns"], has_gradient: bool
) -> torch.Tensor:
    """Return the Frobenius norm of I − W Wᵀ (``"rows"``) or of I − Wᵀ W (``"columns"``).

    Parameters
    ----------
    weight
        W of the last encoding layer, (units, hidden).
    form
        The paper writes the first; the released code has the second, whose least value is sqrt(hidden − units).
    has_gradient
        False takes the norm of detached weights, a constant for training, as both released versions do.
    """
    w = weight if has_gradient else weight.detach()
    gram = w @ w.T if form == "rows" else w.T @ w
    norm: torch.Tensor = torch.linalg.matrix_norm(torch.eye(len(gram), dtype=w.dtype, device=w.device) - gram)
    return norm


def l1_penalty(parameters: Iterable[torch.Tensor], *, has_gradient: bool) -> torch.Tensor:
    """Return the sum of the absolute values of all parameters, biases included as in the released code (row 3)."""
    return torch.stack([(p if has_gradient else p.detach()).abs().sum() for p in parameters]).sum()
