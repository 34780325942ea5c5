"""How the steps of an epoch are taken: by PyTorch, a batch at a time, or by the compiled kernel, many at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scprism._torch import torch
from scprism.model.config import Config
from scprism.model.network import Autoencoder
from scprism.model.penalties import decorrelation_penalty, map_penalty, weight_penalty
from scprism.train.batches import AnyCells, Dropout, batches
from scprism.train.flat import FlatParameters
from scprism.train.optimiser import Moments, take_step
from scprism.train.sgd import compiled_steps, has_compiled_steps
from scprism.train.step import PenaltyOf, add_gradients, new_workspace
from scprism.types import IntArray

__all__ = ["Run", "Steps", "choose_steps", "torch_steps"]

CELLS_AT_ONCE = 4096
"""Cells whose steps the kernel takes before Python is asked, for example whether Ctrl-C was pressed."""


@dataclass(frozen=True)
class Steps:
    """How steps are taken.

    Attributes
    ----------
    take
        Takes the steps on some cells, in their order, and returns the sum of their losses and that of the penalties of
        the batches times their cells. Where a sum is not finite the steps were not all taken.
    n_cells
        Cells that it is given at a time, a whole number of batches.
    """

    take: Callable[[IntArray], tuple[float, float]]
    n_cells: int


@dataclass(frozen=True)
class Run:
    """What all epochs of a run share; parameters, optimiser, generator and best weights change with each."""

    model: Autoencoder
    parameters: FlatParameters
    moments: Moments
    best: torch.Tensor
    cells: AnyCells
    config: Config
    rng: np.random.Generator
    dropout: Dropout | None


def choose_steps(run: Run, *, batch_size: int) -> Steps:
    """Return the faster of the two ways: the same steps, up to the rounding of float32."""
    model, cells, config = run.model, run.cells, run.config
    is_plain = run.dropout is None and cells.targets is cells.inputs and not run.parameters.fixed
    if is_plain and has_compiled_steps(model, config=config, batch_size=batch_size):
        take = compiled_steps(model, run.moments, cells, config=config, batch_size=batch_size)
        return Steps(take, batch_size * (CELLS_AT_ONCE // batch_size))
    return torch_steps(run, batch_size=batch_size)


def torch_steps(run: Run, *, batch_size: int) -> Steps:
    """Return the steps as PyTorch takes them, for every optimiser, loss, penalty and device."""
    model, parameters, config = run.model, run.parameters, run.config
    workspace = new_workspace(model, batch_size=batch_size)
    penalty_of = _penalty(model, config)

    def take(rows: IntArray) -> tuple[float, float]:
        (batch,) = batches(run.cells, rows, batch_size=len(rows), dropout=run.dropout)
        parameters.gradients.zero_()
        loss, penalty = add_gradients(
            model, batch, likelihood=config.likelihood, workspace=workspace, penalty_of=penalty_of
        )
        if config.l1_weight:
            values = parameters.values.detach()
            penalty += config.l1_weight * float(values.abs().sum())
            if config.l1_gradient:
                parameters.gradients.add_(values.sign(), alpha=config.l1_weight)
        if np.isfinite(loss + penalty):
            take_step(parameters, run.moments, config)
        return loss, penalty * batch.n_cells

    return Steps(take, batch_size)


def _penalty(model: Autoencoder, config: Config) -> PenaltyOf:
    """Return the weighted penalty as a function of what a batch gives."""
    training = config.training
    weight, form, has_gradient = training.penalty_weight, training.penalty, training.penalty_gradient

    def penalty_of(hidden: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        if weight == 0 or form == "hard":
            return torch.zeros(())
        if form == "decorrelated":
            penalty = decorrelation_penalty(latent)
        elif form == "separate_maps":
            penalty = map_penalty(model, hidden)
        else:
            penalty = weight_penalty(model.latent.weight, form=form, has_gradient=has_gradient)
        return weight * (penalty if has_gradient else penalty.detach())

    return penalty_of
