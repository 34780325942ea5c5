"""Steps of SGD on batches of one to a few cells, by the compiled kernel: the same steps as PyTorch's, sooner."""

from collections.abc import Callable

import numpy as np

from scprism._torch import torch
from scprism.model.config import Config
from scprism.model.network import Autoencoder
from scprism.train.batches import AnyCells, TrainingCells
from scprism.train.optimiser import Moments
from scprism.train.sgd_kernels import CellRows, Layer, Layers, Rule, Waiting, catch_up, take_steps
from scprism.types import FloatArray, IntArray

__all__ = ["compiled_steps", "has_compiled_steps"]

MOST_CELLS = 16
"""Cells of a batch up to which the kernel is faster; PyTorch's matrix products are for more."""
LIKELIHOODS = ("poisson", "poisson_log_input")
PENALTIES = {
    # of ‖I − W Wᵀ‖, of ‖I − Wᵀ W‖, and whether their squares are meant
    "rows": (1, 0, False),
    "columns": (0, 1, False),
    "squared": (1, 0, True),
    "double_soft": (1, 1, True),
}
POWERS = 512
"""Steps that a gene's row catches up with at once."""


def has_compiled_steps(model: Autoencoder, *, config: Config, batch_size: int) -> bool:
    """Return whether the kernel has this optimiser, loss and penalty, and is faster than PyTorch."""
    training, on_cpu = config.training, model.hidden.weight.device.type == "cpu"
    is_sgd = training.optimiser == "sgd" and config.likelihood in LIKELIHOODS
    has_penalty = training.penalty in PENALTIES or (training.penalty_weight == 0 and training.penalty != "hard")
    return is_sgd and has_penalty and on_cpu and batch_size <= MOST_CELLS


def compiled_steps(
    model: Autoencoder, moments: Moments, cells: AnyCells, *, config: Config, batch_size: int
) -> Callable[[IntArray], tuple[float, float]]:
    """Return what takes steps on the cells of an order, changing the network and its moments.

    It returns the sum of the cells' losses, and that of the batches' penalties times their cells. Equal to PyTorch's
    steps up to the rounding of float32.
    """
    layers, rule = _layers(model, moments), _rule(config, batch_size=batch_size)
    waiting = Waiting(np.zeros(len(layers.hidden.weight), dtype=np.int64), np.zeros(1, dtype=np.int64))

    def take(order: IntArray) -> tuple[float, float]:
        # the kernel has all cells at hand, or those of this order
        inputs = cells.inputs if isinstance(cells, TrainingCells) else cells.inputs[order]
        places = order if isinstance(cells, TrainingCells) else np.arange(len(order))
        rows = CellRows(inputs.data, inputs.indices, inputs.indptr)
        sums = take_steps(layers, rows, places, rule, waiting)
        catch_up(layers.hidden, rule, waiting)
        return sums

    return take


def _layers(model: Autoencoder, moments: Moments) -> Layers:
    """Return the parameters as the kernel takes them, views of the network's own."""

    def layer(name: str, beta: float | None) -> Layer:
        weight, bias = (getattr(getattr(model, name), part) for part in ("weight", "bias"))
        return Layer(
            _stored(weight.detach()),
            _stored(bias.detach()),
            _momentum(weight, moments),
            _momentum(bias, moments),
            np.float32(0 if beta is None else beta),
        )

    betas = model.betas
    return Layers(
        layer("hidden", betas.hidden),
        layer("latent", betas.latent),
        layer("decoder", betas.decoder),
        layer("output", betas.output),
    )


def _stored(tensor: torch.Tensor) -> FloatArray:
    """Return an array that shares a tensor's memory, transposed if the tensor lies so."""
    array: FloatArray = (tensor if tensor.is_contiguous() else tensor.t()).numpy()
    return array


def _momentum(parameter: torch.Tensor, moments: Moments) -> FloatArray:
    """Return a parameter's part of the momenta, which lie as the gradients do; zeros that nobody reads without."""
    gradient = parameter.grad
    if gradient is None or "momentum_buffer" not in moments:
        return np.zeros_like(_stored(parameter.detach()))
    buffer = moments["momentum_buffer"]
    return _stored(buffer.as_strided(gradient.shape, gradient.stride(), gradient.storage_offset()))


def _rule(config: Config, *, batch_size: int) -> Rule:
    training = config.training
    rows, columns, squared = PENALTIES.get(training.penalty, (0, 0, False))
    return Rule(
        np.float32(training.learning_rate),
        np.float32(training.momentum),
        np.float32(training.weight_decay),
        _idle_steps(training.learning_rate, training.momentum, training.weight_decay),
        batch_size,
        config.likelihood == "poisson_log_input",
        np.float32(training.penalty_weight),
        np.float32(rows),
        np.float32(columns),
        squared,
        training.penalty_gradient,
        np.float32(training.l1_weight),
        training.l1_gradient and training.l1_weight > 0,
    )


def _idle_steps(rate: float, momentum: float, decay: float) -> FloatArray:
    """Return the powers of what a step without a gradient does to a weight and its momentum, float32 (powers, 2, 2).

    m ← momentum · m + decay · w, then w ← w − rate (decay · w + momentum · m).
    """
    by_momentum = np.array([[1.0, 0.0], [decay, momentum]])
    by_rate = np.array([[1 - rate * decay, -rate * momentum], [0.0, 1.0]])
    powers = [np.eye(2)]
    for _ in range(POWERS):
        powers.append(by_rate @ by_momentum @ powers[-1])
    return np.array(powers, dtype=np.float32)
