"""The reconstruction losses that training minimises, and their derivatives."""

from typing import Literal, TypeAlias

import torch
from torch import nn

__all__ = ["EPSILON", "Likelihood", "loss_and_slope", "reconstruction_loss"]

Likelihood: TypeAlias = Literal["multinomial", "poisson", "poisson_log_input"]

EPSILON = 1e-8
"""The constant inside the logarithm of the paper's loss (its section 1)."""


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor, *, likelihood: Likelihood) -> torch.Tensor:
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


def loss_and_slope(
    z: torch.Tensor, target: torch.Tensor, *, likelihood: Likelihood, beta: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sum of the cells' reconstruction losses, and its derivative by `z`, (cells, genes).

    The derivatives are written out, in as few passes over the cells as there can be; autograd finds the same.

    Parameters
    ----------
    z
        The last layer before its activation, (cells, genes); overwritten.
    target
        As in `reconstruction_loss`; overwritten.
    beta
        Softplus beta of the output; None where it is linear.
    """
    if likelihood == "multinomial":
        total = target.sum(dim=1, keepdim=True)
        share = target.div_(total.clamp_min(1.0))
        log_p = torch.log_softmax(z, dim=1, out=z)
        loss = -torch.dot(share.view(-1), log_p.view(-1))
        slope = log_p.exp_().sub_(share)
        if bool((total == 0).any()):
            slope[total[:, 0] == 0] = 0  # a cell without counts has nothing to say
        return loss, slope
    gate = None if beta is None else torch.sigmoid(beta * z)
    y = z if beta is None else nn.functional.softplus(z, beta=beta)
    loss = reconstruction_loss(y, target, likelihood=likelihood).sum()
    slope = 1 - target.div_(y.add_(EPSILON)) if likelihood == "poisson" else y.exp_().sub_(target)
    slope.div_(target.shape[1])
    return loss, slope if gate is None else slope.mul_(gate)
