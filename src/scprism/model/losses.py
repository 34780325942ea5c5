"""The reconstruction losses that training minimises, and their derivatives."""

import math
from typing import Literal, TypeAlias

from scprism._torch import nn, torch

__all__ = ["EPSILON", "Likelihood", "Slopes", "loss_and_slopes", "reconstruction_loss"]

Likelihood: TypeAlias = Literal["multinomial", "poisson_counts", "negative_binomial", "poisson", "poisson_log_input"]
Slopes: TypeAlias = tuple[torch.Tensor, torch.Tensor | None]
EPSILON = 1e-8
"""The constant inside the logarithm of the paper's loss (its section 1)."""


def reconstruction_loss(
    output: torch.Tensor, target: torch.Tensor, *, likelihood: Likelihood, log_dispersion: torch.Tensor | None = None
) -> torch.Tensor:
    """Return each cell's loss, (cells,), a mean over genes, but for the multinomial's.

    Parameters
    ----------
    output
        The network's output y, (cells, genes): positive values for ``"poisson"`` and ``"poisson_log_input"``, any
        values for the others.
    target
        Normalised expression x for ``"poisson"`` and ``"poisson_log_input"``, counts n for the others; (cells, genes).
        N is a cell's sum of counts, G the number of genes.
    likelihood
        ``"multinomial"``: −Σ_g n_g log softmax(y)_g / N, nats a molecule. ``"poisson_counts"``: μ − n log μ with
        μ = N exp(y) / G. ``"negative_binomial"``: −log NB(n; μ, θ) with μ = N softmax(y) and a dispersion θ for each
        gene, the variance being μ + μ² / θ, as in scVI (Lopez et al., Nature Methods 2018). ``"poisson"``:
        y − x log(y + 1e-8), the paper's loss with x and y in the places where a Poisson likelihood has them
        (`method.md`, row 15). ``"poisson_log_input"``: exp(y) − x y (row 6).
    log_dispersion
        log θ, (genes,), for the negative binomial alone.
    """
    if likelihood == "multinomial":
        total = target.sum(dim=1).clamp_min(1.0)
        return -(target * torch.log_softmax(output, dim=1)).sum(dim=1) / total
    if likelihood == "poisson_counts":
        log_share = _log_library(target) - math.log(target.shape[1])
        return (torch.exp(output + log_share) - target * (output + log_share)).mean(dim=1)
    if likelihood == "negative_binomial":
        if log_dispersion is None:
            msg = "The negative binomial needs the genes' dispersions."
            raise TypeError(msg)
        log_mean = torch.log_softmax(output, dim=1) + _log_library(target)
        return _negative_binomial_loss(log_mean, target, log_dispersion)
    if likelihood == "poisson":
        return (output - target * torch.log(output + EPSILON)).mean(dim=1)
    return (torch.exp(output) - target * output).mean(dim=1)


def loss_and_slopes(
    z: torch.Tensor,
    target: torch.Tensor,
    *,
    likelihood: Likelihood,
    beta: float | None,
    log_dispersion: torch.Tensor | None = None,
) -> tuple[float, Slopes]:
    """Return the sum of the cells' losses, and its derivatives by `z`, (cells, genes), and by the dispersions, if any.

    All but those of the negative binomial are written out, in as few passes over the cells as there can be; autograd
    finds the same. The multinomial has `scprism.train.likelihood`.

    Parameters
    ----------
    z
        The last layer before its activation, (cells, genes); overwritten.
    target
        As in `reconstruction_loss`; overwritten.
    beta
        Softplus beta of the output; None where it is linear.
    log_dispersion
        As in `reconstruction_loss`.
    """
    if likelihood == "multinomial":
        msg = "The derivatives of the multinomial, which reads counts sparse, are those of `scprism.train.likelihood`."
        raise TypeError(msg)
    if log_dispersion is not None:
        return _by_autograd(z, target, likelihood=likelihood, log_dispersion=log_dispersion)
    gate = None if beta is None else torch.sigmoid(beta * z)
    y = z if beta is None else nn.functional.softplus(z, beta=beta)
    loss = float(reconstruction_loss(y, target, likelihood=likelihood).sum())
    if likelihood == "poisson":
        slope = 1 - target.div_(y.add_(EPSILON))
    elif likelihood == "poisson_counts":
        slope = y.add_(_log_library(target) - math.log(target.shape[1])).exp_().sub_(target)
    else:
        slope = y.exp_().sub_(target)
    slope.div_(target.shape[1])
    return loss, (slope if gate is None else slope.mul_(gate), None)


def _log_library(counts: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of each cell's sum, (cells, 1); that of a cell without counts is nearly nothing."""
    return torch.log(counts.sum(dim=1, keepdim=True).clamp_min(EPSILON))


def _negative_binomial_loss(log_mean: torch.Tensor, counts: torch.Tensor, log_dispersion: torch.Tensor) -> torch.Tensor:
    """Return each cell's −log NB, (cells,), a mean over genes; gamma functions are taken where there are counts."""
    dispersion = log_dispersion.exp()
    log_sum = torch.logaddexp(log_mean, log_dispersion)
    losses = (dispersion * (log_sum - log_dispersion) + counts * (log_sum - log_mean)).sum(dim=1)
    cell, gene = counts.nonzero(as_tuple=True)
    n, theta = counts[cell, gene], dispersion[gene]
    arrangements = torch.lgamma(n + theta) - torch.lgamma(theta) - torch.lgamma(n + 1)
    return losses.index_add(0, cell, -arrangements) / counts.shape[1]


def _by_autograd(
    z: torch.Tensor, target: torch.Tensor, *, likelihood: Likelihood, log_dispersion: torch.Tensor
) -> tuple[float, Slopes]:
    with torch.enable_grad():
        variables = (z.detach().requires_grad_(), log_dispersion.detach().requires_grad_())
        loss = reconstruction_loss(variables[0], target, likelihood=likelihood, log_dispersion=variables[1]).sum()
        by_output, by_dispersion = torch.autograd.grad(loss, variables)
    return float(loss.detach()), (by_output, by_dispersion)
