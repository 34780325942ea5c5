"""The training loop: one optimiser, early stopping, the best weights restored."""

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from scprism.errors import InputError, TrainingError
from scprism.model.autoencoder import Autoencoder
from scprism.model.config import Config
from scprism.model.losses import l1_penalty, orthogonality_penalty, reconstruction_loss
from scprism.train.batches import TrainingCells, batches, split_cells
from scprism.types import IntArray

__all__ = ["EpochRecord", "TrainingResult", "mean_loss", "train_model"]

logger = logging.getLogger("scprism")

EVALUATION_BATCH = 512
MIN_IMPROVEMENT = 1e-8
"""A loss must fall by more than this to count as better (`method.md` 3.6)."""


@dataclass(frozen=True)
class EpochRecord:
    """One row of `log.csv`: mean losses a cell, the weighted penalties, and seconds since training began."""

    epoch: int
    train_loss: float
    validation_loss: float
    penalty: float
    seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """What training ended with, the network holding its best weights."""

    log: tuple[EpochRecord, ...]
    best_epoch: int
    validation_loss: float
    test_loss: float
    n_train: int
    n_validation: int
    n_test: int
    unseen: IntArray
    """Cells that no step was taken on: those for early stopping and for the report."""


def train_model(
    model: Autoencoder,
    cells: TrainingCells,
    *,
    config: Config,
    rng: np.random.Generator,
    device: str = "cpu",
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> TrainingResult:
    """Train `model` in place and return the record of it.

    Parameters
    ----------
    model
        The network; it ends with the weights of the lowest validation loss.
    cells
        All cells; they are split by `config.split`. Without cells for the report, those of early stopping are reported,
        as the paper does.
    on_epoch
        Called after each epoch.

    Raises
    ------
    InputError
        If there are too few cells to split.
    TrainingError
        If the loss becomes infinite or NaN.
    """
    train, validation, test = split_cells(cells.n_cells, config.split, rng)
    if len(train) == 0:
        msg = f"Training needs at least 2 cells, one of them for early stopping, got {cells.n_cells}."
        raise InputError(msg)
    model.to(device)
    optimiser = _optimiser(model, config)
    log: list[EpochRecord] = []
    best_loss, best_epoch, n_worse = np.inf, 0, 0
    best_weights = copy.deepcopy(model.state_dict())
    start = time.monotonic()
    for epoch in range(1, config.max_epochs + 1):
        order = rng.permutation(train) if config.reshuffle else train
        train_loss, penalty = _train_epoch(model, cells, order, config=config, optimiser=optimiser, rng=rng)
        validation_loss = mean_loss(model, cells, validation, config=config)
        log.append(EpochRecord(epoch, train_loss, validation_loss, penalty, time.monotonic() - start))
        if on_epoch is not None:
            on_epoch(log[-1])
        if not np.isfinite([train_loss, validation_loss]).all():
            msg = (
                f"Training stopped in epoch {epoch}: the loss became {validation_loss}. The learning rate "
                f"({config.learning_rate:g}) is probably too high for these data; try a tenth of it."
            )
            raise TrainingError(msg)
        if epoch % config.check_every and epoch != config.max_epochs:
            continue
        if validation_loss < best_loss - MIN_IMPROVEMENT:
            best_loss, best_epoch, n_worse = validation_loss, epoch, 0
            best_weights = copy.deepcopy(model.state_dict())
        else:
            n_worse += 1
        if n_worse >= config.patience:
            break
    model.load_state_dict(best_weights)
    reported = test if len(test) else validation
    test_loss = mean_loss(model, cells, reported, config=config)
    logger.info("best epoch %d of %d, test loss %.6g", best_epoch, len(log), test_loss)
    sizes = {"n_train": len(train), "n_validation": len(validation), "n_test": len(test)}
    unseen = np.concatenate([validation, test])
    return TrainingResult(tuple(log), best_epoch, best_loss, test_loss, **sizes, unseen=unseen)


def mean_loss(model: Autoencoder, cells: TrainingCells, rows: IntArray, *, config: Config) -> float:
    """Return the mean reconstruction loss a cell over `rows`, without dropout or penalties."""
    total = 0.0
    device = model.hidden.weight.device
    with torch.no_grad():
        for x, target in batches(cells, rows, batch_size=EVALUATION_BATCH):
            _, output = model(x.to(device))
            losses = reconstruction_loss(output, target.to(device), likelihood=config.likelihood)
            total += float(losses.sum(dtype=torch.float64))
    return total / len(rows)


def _train_epoch(
    model: Autoencoder,
    cells: TrainingCells,
    rows: IntArray,
    *,
    config: Config,
    optimiser: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> tuple[float, float]:
    total = total_penalty = 0.0
    device = model.hidden.weight.device
    for x, target in batches(cells, rows, batch_size=config.batch_size, dropout=config.input_dropout, rng=rng):
        _, output = model(x.to(device))
        loss = reconstruction_loss(output, target.to(device), likelihood=config.likelihood).mean()
        penalty = _penalty(model, config)
        optimiser.zero_grad()
        torch.autograd.backward(loss + penalty)
        optimiser.step()
        total += float(loss.detach()) * len(x)
        total_penalty += float(penalty.detach()) * len(x)
    return total / len(rows), total_penalty / len(rows)


def _penalty(model: Autoencoder, config: Config) -> torch.Tensor:
    penalty = torch.zeros((), device=model.latent.weight.device)
    if config.penalty_weight:
        norm = orthogonality_penalty(model.latent.weight, form=config.penalty, has_gradient=config.penalty_gradient)
        penalty = penalty + config.penalty_weight * norm
    if config.l1_weight:
        penalty = penalty + config.l1_weight * l1_penalty(model.parameters(), has_gradient=config.l1_gradient)
    return penalty


def _optimiser(model: Autoencoder, config: Config) -> torch.optim.Optimizer:
    if config.optimiser == "adam":
        return torch.optim.Adam(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
    return torch.optim.SGD(
        model.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.momentum > 0,
        weight_decay=config.weight_decay,
    )
