"""The training loop: one optimiser, early stopping, checkpoints, the best weights restored."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scprism._torch import torch
from scprism.errors import InputError, TrainingError
from scprism.model.config import Config
from scprism.model.network import Autoencoder
from scprism.train.batches import AnyCells, Dropout, batches, split_cells
from scprism.train.checkpoint import Checkpoint, TrainingState, check_checkpoint, read_checkpoint, write_checkpoint
from scprism.train.flat import flatten_parameters
from scprism.train.optimiser import new_moments
from scprism.train.step import batch_loss, new_workspace
from scprism.train.steps import Run, Steps, choose_steps
from scprism.train.stored import row_blocks
from scprism.types import IntArray

__all__ = ["EpochRecord", "OnEpoch", "TrainingResult", "batch_size", "mean_loss", "train_model"]

_Parts = tuple[IntArray, IntArray, IntArray]
EVALUATION_BATCH = 128
LEAST_BATCH = 16
"""Batches are not made smaller than this for the sake of more steps."""
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


OnEpoch = Callable[[EpochRecord], None]


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


@dataclass(frozen=True)
class _Progress:
    """How far a run is, apart from the numbers that the network and its optimiser hold."""

    log: tuple[EpochRecord, ...] = ()
    best_loss: float = float("inf")
    best_epoch: int = 0
    n_worse: int = 0


def train_model(
    model: Autoencoder,
    cells: AnyCells,
    *,
    config: Config,
    rng: np.random.Generator,
    device: str = "cpu",
    on_epoch: OnEpoch | None = None,
    checkpoint: Checkpoint | None = None,
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
    checkpoint
        Where to keep what an interrupted run needs to go on. It ends with the same weights, bit for bit, as a run that
        was not interrupted; `rng` is then set to where that one was.

    Raises
    ------
    InputError
        If there are too few cells to split, or the checkpoint is of another run.
    TrainingError
        If the loss becomes infinite or NaN; the network holds the best weights until then.
    """
    parts = split_cells(cells.n_cells, config.split, rng, strata=cells.strata)
    if len(parts[0]) == 0:
        msg = f"Training needs at least 2 cells, one of them for early stopping, got {cells.n_cells}."
        raise InputError(msg)
    model.to(device)
    parameters = flatten_parameters(model)
    best = parameters.values.detach().clone()
    dropout = _dropout(cells, config=config, rng=rng)
    run = Run(model, parameters, new_moments(parameters, config), best, cells, config, rng, dropout)
    progress = _Progress()
    if checkpoint is not None and check_checkpoint(checkpoint.path, resume=checkpoint.resume):
        progress, parts = _restore(run, read_checkpoint(checkpoint))
    try:
        progress = _train_epochs(run, parts, progress=progress, on_epoch=on_epoch, checkpoint=checkpoint)
    finally:
        with torch.no_grad():
            parameters.values.copy_(best)
    sizes = dict(zip(("n_train", "n_validation", "n_test"), (len(p) for p in parts), strict=True))
    test_loss = mean_loss(model, cells, parts[2] if len(parts[2]) else parts[1], config=config)
    unseen = np.concatenate(parts[1:])
    return TrainingResult(progress.log, progress.best_epoch, progress.best_loss, test_loss, **sizes, unseen=unseen)


def mean_loss(model: Autoencoder, cells: AnyCells, rows: IntArray, *, config: Config) -> float:
    """Return the mean reconstruction loss a cell over `rows`, without dropout or penalties."""
    workspace = new_workspace(model, batch_size=min(EVALUATION_BATCH, len(rows)))
    parts = batches(cells, rows, batch_size=len(workspace.inputs))
    losses = (batch_loss(model, batch, likelihood=config.likelihood, workspace=workspace) for batch in parts)
    return sum(losses) / len(rows)


def _train_epochs(
    run: Run,
    parts: _Parts,
    *,
    progress: _Progress,
    on_epoch: OnEpoch | None,
    checkpoint: Checkpoint | None,
) -> _Progress:
    config = run.config
    n_cells = min(batch_size(config, len(parts[0])), len(parts[0]))  # of a batch
    steps = choose_steps(run, batch_size=n_cells)
    start = time.monotonic() - (progress.log[-1].seconds if progress.log else 0.0)
    written = -np.inf
    for epoch in range(len(progress.log) + 1, config.max_epochs + 1):
        if progress.n_worse >= config.patience:
            break
        order = run.rng.permutation(parts[0]) if config.reshuffle else parts[0]
        order = order[: config.max_batches * n_cells]
        train_loss, penalty = _train_epoch(run, order, steps=steps, epoch=epoch)
        validation_loss = mean_loss(run.model, run.cells, parts[1], config=config)
        _check_loss(validation_loss, epoch=epoch, config=config)
        record = EpochRecord(epoch, train_loss, validation_loss, penalty, time.monotonic() - start)
        progress = _judged(run, dataclasses.replace(progress, log=(*progress.log, record)))
        if checkpoint is not None and time.monotonic() - written >= checkpoint.every_seconds:
            write_checkpoint(checkpoint, _state(run, progress, parts))
            written = time.monotonic()
        if on_epoch is not None:
            on_epoch(record)
    return progress


def batch_size(config: Config, n_cells: int) -> int:
    """Return the cells of a batch: fewer than `config.batch_size` where an epoch would have too few steps."""
    training = config.training
    return min(training.batch_size, max(LEAST_BATCH, n_cells // training.min_batches))


def _dropout(cells: AnyCells, *, config: Config, rng: np.random.Generator) -> Dropout | None:
    if config.input_dropout == 0 and config.gene_dropout == 0:
        return None
    sums = np.zeros(cells.inputs.shape[1])
    for block in row_blocks(cells.inputs):
        sums += np.asarray(block.sum(axis=0, dtype=np.float64)).ravel()
    return Dropout(config.input_dropout, config.gene_dropout, (sums / cells.n_cells).astype(np.float32), rng)


def _judged(run: Run, progress: _Progress) -> _Progress:
    """Return the progress with the last epoch compared with the best; if it is the best, its weights are kept."""
    record, config = progress.log[-1], run.config
    if record.epoch % config.check_every and record.epoch != config.max_epochs:
        return progress
    if record.validation_loss < progress.best_loss - MIN_IMPROVEMENT:
        run.best.copy_(run.parameters.values.detach())
        return dataclasses.replace(progress, best_loss=record.validation_loss, best_epoch=record.epoch, n_worse=0)
    return dataclasses.replace(progress, n_worse=progress.n_worse + 1)


def _train_epoch(run: Run, rows: IntArray, *, steps: Steps, epoch: int) -> tuple[float, float]:
    total = total_penalty = 0.0
    for start in range(0, len(rows), steps.n_cells):
        loss, penalty = steps.take(rows[start : start + steps.n_cells])
        _check_loss(loss + penalty, epoch=epoch, config=run.config)
        total += loss
        total_penalty += penalty
    return total / len(rows), total_penalty / len(rows)


def _check_loss(loss: float, *, epoch: int, config: Config) -> None:
    if not np.isfinite(loss):
        msg = (
            f"Training stopped in epoch {epoch}: the loss became {loss}. The learning rate "
            f"({config.learning_rate:g}) is probably too high for these data; try a tenth of it. If there is a "
            f"checkpoint, it is of an epoch before, and --resume takes another rate."
        )
        raise TrainingError(msg)


def _state(run: Run, progress: _Progress, parts: _Parts) -> TrainingState:
    tensors = {f"optimiser.{name}": moment for name, moment in run.moments.items()}
    split = {f"split.{i}": torch.from_numpy(part) for i, part in enumerate(parts)}
    record = {**dataclasses.asdict(progress), "generator": run.rng.bit_generator.state}
    return TrainingState({"values": run.parameters.values, "best": run.best, **tensors, **split}, record)


def _restore(run: Run, state: TrainingState) -> tuple[_Progress, _Parts]:
    """Return the progress and split of a checkpoint, after its weights, moments and generator were put in place."""
    tensors, record = state.tensors, dict(state.record)
    with torch.no_grad():
        run.parameters.values.copy_(tensors["values"])
        run.best.copy_(tensors["best"])
        for name, moment in run.moments.items():
            moment.copy_(tensors[f"optimiser.{name}"])
    run.rng.bit_generator.state = record.pop("generator")
    log = tuple(EpochRecord(**row) for row in record.pop("log"))
    return _Progress(log=log, **record), (
        tensors["split.0"].numpy(),
        tensors["split.1"].numpy(),
        tensors["split.2"].numpy(),
    )
