"""What training may add to the reconstruction loss so that units do not share tasks, and L1."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from scprism._torch import torch
from scprism.model.network import Autoencoder

__all__ = ["Penalty", "decorrelation_penalty", "l1_penalty", "map_penalty", "weight_penalty", "wide_maps"]

Penalty: TypeAlias = Literal[
    "rows", "columns", "squared", "double_soft", "coherence", "hard", "decorrelated", "separate_maps"
]


def weight_penalty(weight: torch.Tensor, *, form: Penalty, has_gradient: bool) -> torch.Tensor:
    """Return how far a weight matrix is from orthonormal.

    Parameters
    ----------
    weight
        W of the last encoding layer, (units, hidden).
    form
        ``"rows"``: Frobenius norm of I − W Wᵀ, as the paper writes; ``"columns"``: of I − Wᵀ W, as its released code
        has it, whose least value is sqrt(hidden − units). ``"squared"``: the square of the first, ``"double_soft"``:
        the sum of both squares, ``"coherence"``: the largest absolute value in I − W Wᵀ (all three after Bansal et al.,
        NeurIPS 2018).
    has_gradient
        False takes the weights detached: a constant for training, as both released versions do.
    """
    w = weight if has_gradient else weight.detach()
    rows, columns = _off_identity(w @ w.T), _off_identity(w.T @ w)
    if form == "rows":
        return _norm(rows)
    if form == "columns":
        return _norm(columns)
    if form == "squared":
        return rows.square().sum()
    if form == "double_soft":
        return rows.square().sum() + columns.square().sum()
    return rows.abs().max()


def decorrelation_penalty(latent: torch.Tensor) -> torch.Tensor:
    """Return the mean squared correlation between the activations of different units over a batch (cells, units).

    A unit that is constant over the batch is correlated with none; a batch of one cell has no correlations.
    """
    centred = latent - latent.mean(dim=0)
    unit = centred / centred.norm(dim=0).clamp_min(1e-6)
    return _mean_squared_off_diagonal(unit.T @ unit)


def map_penalty(model: Autoencoder, hidden: torch.Tensor) -> torch.Tensor:
    """Return the mean squared cosine between the end-to-end gene maps of different units (`wide_maps`)."""
    maps = wide_maps(model, hidden)
    unit = maps / maps.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return _mean_squared_off_diagonal(unit @ unit.T)


def wide_maps(model: Autoencoder, hidden: torch.Tensor) -> torch.Tensor:
    """Return the gene map of each unit, W2 D1 W1, (units, genes), D1 being the mean gate of the hidden layer.

    Parameters
    ----------
    model
        The network.
    hidden
        First layer before its activation, (cells, hidden); the gate is taken as given, without gradient.
    """
    beta = model.betas.hidden
    gate = torch.ones_like(hidden[0]) if beta is None else torch.sigmoid(beta * hidden.detach()).mean(dim=0)
    maps: torch.Tensor = (model.latent.weight * gate) @ model.hidden.weight
    return maps


def l1_penalty(parameters: Iterable[torch.Tensor], *, has_gradient: bool) -> torch.Tensor:
    """Return the sum of the absolute values of all parameters, biases included as in the released code (row 3)."""
    return torch.stack([(p if has_gradient else p.detach()).abs().sum() for p in parameters]).sum()


def _off_identity(gram: torch.Tensor) -> torch.Tensor:
    return torch.eye(len(gram), dtype=gram.dtype, device=gram.device) - gram


def _norm(matrix: torch.Tensor) -> torch.Tensor:
    norm: torch.Tensor = torch.linalg.matrix_norm(matrix)
    return norm


def _mean_squared_off_diagonal(gram: torch.Tensor) -> torch.Tensor:
    n = len(gram)
    squares = gram.square()
    return (squares.sum() - squares.diagonal().sum()) / max(n * (n - 1), 1)
