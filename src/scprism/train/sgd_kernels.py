"""Steps of SGD on single cells, compiled: each row of a weight matrix is read once a step, and changed in passing.

What a step must move, for G genes, hidden width H and one cell of which a share d is not zero: the output layer's
weights and their momenta are read and written, 4 · 4GH bytes, those of the first layer for the cell's genes alone,
4 · 4dGH. At 2,100 genes, H = 128 and d = 0.2 that is 5.2 MB, about what a core's second cache holds and takes a fifth
of a millisecond from the third; the operations, 8GH + 8dGH = 2.6 million, take less. PyTorch's step moves the gradients
too, all of the first layer, and starts some eighty operations.

A weight whose gradient is zero for k steps moves by its momentum and its decay alone, which is a linear map of the
weight and its momentum; the rows of genes that a cell lacks wait, and get the k-th power of that map when they are next
needed (`Rule.idle`).
"""

import math
from typing import NamedTuple

import numpy as np

from scprism._compiled import compiled_sums
from scprism.types import FloatArray, IntArray

__all__ = ["CellRows", "Layer", "Layers", "Rule", "Waiting", "catch_up", "take_steps"]

EPSILON = np.float32(1e-8)
"""As `scprism.model.losses.EPSILON`."""
LINEAR_ABOVE = np.float32(20)
"""PyTorch's softplus(z) is z where beta z is above this."""
ZERO, ONE, HALF, TWO = np.float32(0), np.float32(1), np.float32(0.5), np.float32(2)
LEAST_EXPONENT, MOST_EXPONENT, INFINITE = np.float32(-87), np.float32(88), np.float32(np.inf)
PER_LOG_2, LOG_2_HIGH, LOG_2_LOW = np.float32(1.4426950408889634), np.float32(0.693359375), np.float32(-2.12194440e-4)
EXP_3, EXP_4, EXP_5, EXP_6 = (np.float32(1 / math.factorial(n)) for n in (3, 4, 5, 6))
LOG_3, LOG_5, LOG_7, LOG_9, LOG_11, LOG_13, LOG_15 = (np.float32(1 / n) for n in range(3, 16, 2))
SMALLEST, NEGLIGIBLE = np.float32(1e-15), np.float32(1e-30)
"""Exponentials and momenta smaller than these are taken for zero: processors are slow with numbers below 1e-38, which
products of two would be, and where a momentum would stay for good."""


class Layer(NamedTuple):
    """Weights, (outputs, inputs), of the first layer (genes, outputs); biases; their momenta; beta, 0 for linear."""

    weight: FloatArray
    bias: FloatArray
    weight_momentum: FloatArray
    bias_momentum: FloatArray
    beta: np.float32


class Layers(NamedTuple):
    """A network's layers, which the steps change."""

    hidden: Layer
    latent: Layer
    decoder: Layer
    output: Layer


class CellRows(NamedTuple):
    """Inputs of all cells, csr, which are the targets too."""

    data: FloatArray
    indices: IntArray
    indptr: IntArray


class Rule(NamedTuple):
    """How a step is taken.

    Attributes
    ----------
    idle
        Powers 0, 1, 2 … of what a step does to a weight and its momentum without a gradient, (powers, 2, 2).
    log_input
        Whether the loss is exp(y) − x y, not y − x log(y + 1e-8).
    penalty_weight, columns, rows, squared
        The penalty is the weight times ``rows`` ‖I − W Wᵀ‖ + ``columns`` ‖I − Wᵀ W‖, or, if ``squared``, their squares.
    """

    learning_rate: np.float32
    momentum: np.float32
    weight_decay: np.float32
    idle: FloatArray
    batch_size: int
    log_input: bool
    penalty_weight: np.float32
    rows: np.float32
    columns: np.float32
    squared: bool
    penalty_gradient: bool
    l1_weight: np.float32
    l1_gradient: bool


class Waiting(NamedTuple):
    """Steps that have reached each gene's row of the first layer, (genes,), and all steps taken, (1,)."""

    reached: IntArray
    n_steps: IntArray


class _Values(NamedTuple):
    """A layer's values after its activation, the activation's slopes, and the gradients, each (cells, outputs)."""

    value: FloatArray
    gate: FloatArray
    slope: FloatArray


class _Memory(NamedTuple):
    """What a batch is computed in; ``dense`` are its inputs, (cells, genes), zero between batches."""

    hidden: _Values
    latent: _Values
    decoder: _Values
    output: _Values
    dense: FloatArray
    genes: IntArray
    is_listed: np.ndarray
    penalty: FloatArray


@compiled_sums
def take_steps(layers: Layers, cells: CellRows, order: IntArray, rule: Rule, waiting: Waiting) -> tuple[float, float]:
    """Return the sum of the cells' losses and that of the batches' penalties times their cells.

    Steps are taken on the cells of `order`, `Rule.batch_size` at a time; they end where a loss is not finite. Rows of
    the first layer may wait afterwards (`catch_up`).
    """
    memory = _new_memory(layers, min(rule.batch_size, len(order)))
    total, total_penalty = 0.0, 0.0
    for start in range(0, len(order), rule.batch_size):
        batch = order[start : start + rule.batch_size]
        n_genes = _read(layers.hidden, cells, batch, rule, waiting, memory)
        penalty = _penalty(layers.latent, rule, memory)
        if rule.l1_weight > ZERO:
            penalty += float(rule.l1_weight) * _sum_of_sizes(layers)
        loss = _step(layers, len(batch), n_genes, rule, waiting, memory)
        total += loss
        total_penalty += penalty * len(batch)
        _forget(cells, batch, n_genes, memory)
        if not math.isfinite(loss + penalty):
            break
    return total, total_penalty


@compiled_sums
def catch_up(layer: Layer, rule: Rule, waiting: Waiting) -> None:
    """Bring all rows of the first layer to the last step."""
    for gene in range(len(waiting.reached)):
        _reach(layer, gene, rule, waiting)


@compiled_sums
def _new_memory(layers: Layers, n_cells: int) -> _Memory:
    n_genes, n_hidden = layers.hidden.weight.shape
    n_units = len(layers.latent.bias)
    return _Memory(
        _new_values(n_cells, n_hidden),
        _new_values(n_cells, n_units),
        _new_values(n_cells, n_hidden),
        _new_values(n_cells, n_genes),
        np.zeros((n_cells, n_genes), dtype=np.float32),
        np.zeros(n_genes, dtype=np.int64),
        np.zeros(n_genes, dtype=np.bool_),
        np.zeros((n_units, n_hidden), dtype=np.float32),
    )


@compiled_sums
def _new_values(n_cells: int, width: int) -> _Values:
    values = np.zeros((n_cells, width), dtype=np.float32)
    return _Values(values, values.copy(), values.copy())


@compiled_sums
def _read(layer: Layer, cells: CellRows, batch: IntArray, rule: Rule, waiting: Waiting, memory: _Memory) -> int:
    """Return the number of genes that the step changes, listed in `memory`; the first layer's values are there too."""
    n_genes = 0
    if rule.l1_weight > ZERO:  # asks for every weight: its gradient has no zeros, its sum no gaps
        for gene in range(len(memory.genes)):
            memory.genes[gene] = gene
            memory.is_listed[gene] = True
        n_genes = len(memory.genes)
    for c in range(len(batch)):
        value = memory.hidden.value[c]
        value[:] = layer.bias
        for i in range(cells.indptr[batch[c]], cells.indptr[batch[c] + 1]):
            gene, x = cells.indices[i], cells.data[i]
            if not memory.is_listed[gene]:
                memory.is_listed[gene] = True
                memory.genes[n_genes] = gene
                n_genes += 1
                _reach(layer, gene, rule, waiting)
            memory.dense[c, gene] = x
            weight = layer.weight[gene]
            for k in range(len(value)):
                value[k] += x * weight[k]
        _activate(value, memory.hidden.gate[c], layer.beta)
    return n_genes


@compiled_sums
def _reach(layer: Layer, gene: int, rule: Rule, waiting: Waiting) -> None:
    """Take the steps that a row of the first layer has waited for."""
    left = waiting.n_steps[0] - waiting.reached[gene]
    waiting.reached[gene] = waiting.n_steps[0]
    while left > 0:
        n = min(left, len(rule.idle) - 1)
        a, b, c, d = rule.idle[n, 0, 0], rule.idle[n, 0, 1], rule.idle[n, 1, 0], rule.idle[n, 1, 1]
        weight, momentum = layer.weight[gene], layer.weight_momentum[gene]
        for k in range(len(weight)):
            w, m = weight[k], momentum[k]
            weight[k] = a * w + b * m
            m = c * w + d * m
            momentum[k] = m if abs(m) > NEGLIGIBLE else ZERO
        left -= n


@compiled_sums
def _step(layers: Layers, n_cells: int, n_genes: int, rule: Rule, waiting: Waiting, memory: _Memory) -> float:
    """Return the sum of a batch's losses, after a step along its gradients."""
    hidden, latent, decoder, output = memory.hidden, memory.latent, memory.decoder, memory.output
    _forward(layers.latent, hidden, latent, n_cells)
    _forward(layers.decoder, latent, decoder, n_cells)
    _forward(layers.output, decoder, output, n_cells)
    loss = _loss(output, memory.dense, n_cells, rule)
    _backward(layers.output, decoder, output, n_cells, rule, memory.penalty[:0])
    _backward(layers.decoder, latent, decoder, n_cells, rule, memory.penalty[:0])
    _backward(layers.latent, hidden, latent, n_cells, rule, memory.penalty)
    _gated(hidden, n_cells)
    _descend_bias(layers.hidden, hidden, n_cells, rule)
    _change_first(layers.hidden, n_cells, n_genes, rule, waiting, memory)
    waiting.n_steps[0] += 1
    return loss


@compiled_sums
def _change_first(layer: Layer, n_cells: int, n_genes: int, rule: Rule, waiting: Waiting, memory: _Memory) -> None:
    """Take the step of the listed genes' rows of the first layer."""
    weight, momentum, slope = layer.weight, layer.weight_momentum, memory.hidden.slope
    gradient = np.zeros(weight.shape[1], dtype=np.float32)
    for i in range(n_genes):
        gene = memory.genes[i]
        gradient[:] = ZERO
        for c in range(n_cells):
            x = memory.dense[c, gene]
            for k in range(len(gradient)):
                gradient[k] += x * slope[c, k]
        _descend(weight[gene], momentum[gene], gradient, rule)
        waiting.reached[gene] += 1


@compiled_sums
def _forward(layer: Layer, inputs: _Values, outputs: _Values, n_cells: int) -> None:
    weight, bias, x, value = layer.weight, layer.bias, inputs.value, outputs.value
    for c in range(n_cells):
        for j in range(weight.shape[0]):
            z = bias[j]
            for k in range(weight.shape[1]):
                z += weight[j, k] * x[c, k]
            value[c, j] = z
        _activate(value[c], outputs.gate[c], layer.beta)


@compiled_sums
def _activate(value: FloatArray, gate: FloatArray, beta: np.float32) -> None:
    """Replace values by their softplus, log(1 + exp(beta z)) / beta, and fill in its slopes."""
    if beta == ZERO:
        gate[:] = ONE
        return
    for j in range(len(value)):
        z = value[j]
        scaled = beta * z
        e = _exp(-abs(scaled))
        e = e if e > SMALLEST else ZERO
        half = e / (TWO + e)  # log(1 + e) = 2 artanh(e / (2 + e)), exact where e is small too
        square = half * half
        series = square * (LOG_9 + square * (LOG_11 + square * (LOG_13 + square * LOG_15)))
        series = square * (LOG_3 + square * (LOG_5 + square * (LOG_7 + series)))
        above = TWO * half * (ONE + series) / beta
        is_linear = scaled > LINEAR_ABOVE
        value[j] = z if is_linear else max(z, ZERO) + above
        slope = (ONE if z >= ZERO else e) / (ONE + e)
        gate[j] = ONE if is_linear else slope


@compiled_sums
def _exp(x: np.float32) -> np.float32:
    """Return exp(x) to the precision of float32; unlike the library's it is computed for several numbers at once.

    2ⁿ exp(r) with |r| at most half of log 2, exp(r) by its series.
    """
    bounded = min(max(x, LEAST_EXPONENT), MOST_EXPONENT)
    n = np.floor(bounded * PER_LOG_2 + HALF)
    r = (bounded - n * LOG_2_HIGH) - n * LOG_2_LOW
    series = ONE + r * (ONE + r * (HALF + r * (EXP_3 + r * (EXP_4 + r * (EXP_5 + r * EXP_6)))))
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return INFINITE if x > MOST_EXPONENT else series * power


@compiled_sums
def _loss(outputs: _Values, targets: FloatArray, n_cells: int, rule: Rule) -> float:
    """Return the sum of the losses; the slopes of their mean are filled in."""
    n_genes = targets.shape[1]
    value, slope = outputs.value, outputs.slope
    scale = ONE / np.float32(n_genes * n_cells)
    total = 0.0
    for c in range(n_cells):
        part = ZERO
        if rule.log_input:
            for gene in range(n_genes):
                y, x = value[c, gene], targets[c, gene]
                e = _exp(y)
                part += e - x * y
                slope[c, gene] = scale * (e - x)
        else:
            for gene in range(n_genes):
                y, x = value[c, gene], targets[c, gene]
                part += y
                slope[c, gene] = scale * (ONE - x / (y + EPSILON))
            for gene in range(n_genes):
                if targets[c, gene] != ZERO:
                    total -= float(targets[c, gene] * math.log(value[c, gene] + EPSILON))
        total += float(part)
    return total / float(n_genes)


@compiled_sums
def _gated(outputs: _Values, n_cells: int) -> None:
    """Take the slopes back through the activation."""
    slope, gate = outputs.slope, outputs.gate
    for c in range(n_cells):
        for j in range(slope.shape[1]):
            slope[c, j] *= gate[c, j]


@compiled_sums
def _backward(layer: Layer, inputs: _Values, outputs: _Values, n_cells: int, rule: Rule, more: FloatArray) -> None:
    """Fill in the slopes of a layer's inputs and take its step; `more` is added to its gradient, unless it is empty."""
    weight, value, by_input, by_output = layer.weight, inputs.value, inputs.slope, outputs.slope
    _gated(outputs, n_cells)
    _descend_bias(layer, outputs, n_cells, rule)
    by_input[:n_cells] = ZERO
    if n_cells == 1 and len(more) == 0 and not rule.l1_gradient:
        _backward_one(layer, inputs, outputs, rule)
        return
    gradient = np.zeros(weight.shape[1], dtype=np.float32)
    for j in range(weight.shape[0]):
        if len(more):
            gradient[:] = more[j]
        else:
            gradient[:] = ZERO
        for c in range(n_cells):
            slope = by_output[c, j]
            for k in range(weight.shape[1]):
                by_input[c, k] += slope * weight[j, k]
                gradient[k] += slope * value[c, k]
        _descend(weight[j], layer.weight_momentum[j], gradient, rule)


@compiled_sums
def _backward_one(layer: Layer, inputs: _Values, outputs: _Values, rule: Rule) -> None:
    """Do the same for one cell without other gradients: each weight and momentum is read and written once."""
    weight, momentum, value, by_input = layer.weight, layer.weight_momentum, inputs.value[0], inputs.slope[0]
    rate, mu, decay = rule.learning_rate, rule.momentum, rule.weight_decay
    for j in range(weight.shape[0]):
        slope = outputs.slope[0, j]
        for k in range(weight.shape[1]):
            w = weight[j, k]
            by_input[k] += slope * w
            g = slope * value[k] + decay * w
            m = mu * momentum[j, k] + g
            momentum[j, k] = m if abs(m) > NEGLIGIBLE else ZERO
            weight[j, k] = w - rate * (g + mu * m)


@compiled_sums
def _descend_bias(layer: Layer, outputs: _Values, n_cells: int, rule: Rule) -> None:
    gradient, slope = np.zeros(len(layer.bias), dtype=np.float32), outputs.slope
    for c in range(n_cells):
        for j in range(len(gradient)):
            gradient[j] += slope[c, j]
    _descend(layer.bias, layer.bias_momentum, gradient, rule)


@compiled_sums
def _descend(weight: FloatArray, momentum: FloatArray, gradient: FloatArray, rule: Rule) -> None:
    """Take a step of SGD with Nesterov's momentum, as PyTorch has it, on a row of weights."""
    rate, mu, decay = rule.learning_rate, rule.momentum, rule.weight_decay
    if rule.l1_gradient:
        for k in range(len(weight)):
            gradient[k] += rule.l1_weight * np.sign(weight[k])
    for k in range(len(weight)):
        g = gradient[k] + decay * weight[k]
        m = mu * momentum[k] + g
        momentum[k] = m if abs(m) > NEGLIGIBLE else ZERO
        weight[k] -= rate * (g + mu * m)


@compiled_sums
def _penalty(layer: Layer, rule: Rule, memory: _Memory) -> float:
    """Return the weighted penalty of the last encoding layer's weights W; its gradient is in `memory`, or zero.

    ‖I − Wᵀ W‖² is ‖I − W Wᵀ‖² with the difference of the two widths added, and the gradients of both squares are
    −4 (I − W Wᵀ) W.
    """
    if rule.penalty_weight == ZERO:
        return 0.0
    weight = layer.weight
    n_units, width = weight.shape
    gram = np.dot(weight, weight.T)
    squares = 0.0
    for i in range(n_units):
        for j in range(n_units):
            off = gram[i, j] - (ONE if i == j else ZERO)
            squares += float(off * off)
    by_columns = max(squares + width - n_units, 0.0)
    rows, columns = float(rule.rows), float(rule.columns)
    if rule.squared:
        value, slope = rows * squares + columns * by_columns, rows + columns
    else:
        value = rows * math.sqrt(squares) + columns * math.sqrt(by_columns)
        slope = rows * _half_inverse(squares) + columns * _half_inverse(by_columns)
    if rule.penalty_gradient:
        np.dot(gram, weight, memory.penalty)
        factor = np.float32(4 * rule.penalty_weight * slope)
        for i in range(n_units):
            for k in range(width):
                memory.penalty[i, k] = factor * (memory.penalty[i, k] - weight[i, k])
    return float(rule.penalty_weight * value)


@compiled_sums
def _half_inverse(squares: float) -> float:
    """Return the slope of a square root, 0 at 0 as PyTorch's norm has it."""
    return 0.5 / math.sqrt(squares) if squares > 0 else 0.0


@compiled_sums
def _sum_of_sizes(layers: Layers) -> float:
    """Return the sum of the absolute values of all weights and biases."""
    total = 0.0
    for layer in (layers.hidden, layers.latent, layers.decoder, layers.output):
        total += np.abs(layer.bias).sum()
        for row in layer.weight:
            total += np.abs(row).sum()
    return total


@compiled_sums
def _forget(cells: CellRows, batch: IntArray, n_genes: int, memory: _Memory) -> None:
    for c in range(len(batch)):
        for i in range(cells.indptr[batch[c]], cells.indptr[batch[c] + 1]):
            memory.dense[c, cells.indices[i]] = ZERO
    for i in range(n_genes):
        memory.is_listed[memory.genes[i]] = False
