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
ZERO, ONE = np.float32(0), np.float32(1)
NEGLIGIBLE = np.float32(1e-30)
"""A momentum smaller than this is taken for zero: processors are slow with the numbers below 1e-38, where it would
stay for good."""


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
            penalty += rule.l1_weight * _sum_of_sizes(layers)
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
    empty = np.zeros((n_cells, n_hidden), dtype=np.float32)
    units = np.zeros((n_cells, n_units), dtype=np.float32)
    return _Memory(
        _Values(empty, empty.copy(), empty.copy()),
        _Values(units, units.copy(), units.copy()),
        _Values(empty.copy(), empty.copy(), empty.copy()),
        np.zeros((n_cells, n_genes), dtype=np.float32),
        np.zeros(n_genes, dtype=np.int64),
        np.zeros(n_genes, dtype=np.bool_),
        np.zeros((n_units, n_hidden), dtype=np.float32),
    )


@compiled_sums
def _read(
    layer: Layer, cells: CellRows, batch: IntArray, rule: Rule, waiting: Waiting, memory: _Memory
) -> int:
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
    hidden, latent, decoder = memory.hidden, memory.latent, memory.decoder
    _forward(layers.latent, hidden, latent, n_cells)
    _forward(layers.decoder, latent, decoder, n_cells)
    loss = _output(layers.output, decoder, memory.dense, n_cells, rule)
    _backward(layers.decoder, latent, decoder, n_cells, rule, memory.penalty[:0])
    _backward(layers.latent, hidden, latent, n_cells, rule, memory.penalty)
    gradient = np.zeros(len(layers.hidden.bias), dtype=np.float32)
    for c in range(n_cells):
        slope, gate = hidden.slope[c], hidden.gate[c]
        for k in range(len(slope)):
            slope[k] *= gate[k]
            gradient[k] += slope[k]
    _descend(layers.hidden.bias, layers.hidden.bias_momentum, gradient, rule)
    for i in range(n_genes):
        gene = memory.genes[i]
        gradient[:] = ZERO
        for c in range(n_cells):
            x, slope = memory.dense[c, gene], hidden.slope[c]
            for k in range(len(gradient)):
                gradient[k] += x * slope[k]
        _descend(layers.hidden.weight[gene], layers.hidden.weight_momentum[gene], gradient, rule)
        waiting.reached[gene] += 1
    waiting.n_steps[0] += 1
    return loss


@compiled_sums
def _forward(layer: Layer, inputs: _Values, outputs: _Values, n_cells: int) -> None:
    for c in range(n_cells):
        x, value = inputs.value[c], outputs.value[c]
        for j in range(len(value)):
            weight, z = layer.weight[j], layer.bias[j]
            for k in range(len(x)):
                z += weight[k] * x[k]
            value[j] = z
        _activate(value, outputs.gate[c], layer.beta)


@compiled_sums
def _activate(value: FloatArray, gate: FloatArray, beta: np.float32) -> None:
    """Replace values by their softplus, and fill in its slopes."""
    for j in range(len(value)):
        value[j], gate[j] = _softplus(value[j], beta)


@compiled_sums
def _softplus(z: np.float32, beta: np.float32) -> tuple[np.float32, np.float32]:
    scaled = beta * z
    if beta == ZERO or scaled > LINEAR_ABOVE:
        return z, ONE
    e = math.exp(-abs(scaled))
    slope = ONE / (ONE + e)
    if scaled >= ZERO:
        return z + math.log1p(e) / beta, slope
    return math.log1p(e) / beta, e * slope


@compiled_sums
def _output(layer: Layer, inputs: _Values, targets: FloatArray, n_cells: int, rule: Rule) -> float:
    """Return the sum of the losses; the layer has taken its step, and the slopes of its inputs are filled in.

    A gene's row is read for the output, for the slopes of the inputs and for the step at once.
    """
    n_genes, width = layer.weight.shape
    scale = ONE / np.float32(n_genes * n_cells)
    gradient, bias_gradient = np.zeros(width, dtype=np.float32), np.zeros(n_genes, dtype=np.float32)
    inputs.slope[:n_cells] = ZERO
    total = 0.0
    for gene in range(n_genes):
        weight = layer.weight[gene]
        gradient[:] = ZERO
        for c in range(n_cells):
            value, slope = inputs.value[c], inputs.slope[c]
            z = layer.bias[gene]
            for k in range(width):
                z += weight[k] * value[k]
            loss, by_z = _loss(z, targets[c, gene], layer.beta, rule.log_input)
            total += loss
            by_z *= scale
            bias_gradient[gene] += by_z
            for k in range(width):
                slope[k] += by_z * weight[k]
                gradient[k] += by_z * value[k]
        _descend(weight, layer.weight_momentum[gene], gradient, rule)
    _descend(layer.bias, layer.bias_momentum, bias_gradient, rule)
    return total / n_genes


@compiled_sums
def _loss(z: np.float32, x: np.float32, beta: np.float32, log_input: bool) -> tuple[np.float32, np.float32]:
    """Return the loss of one value and its slope by the value before the activation."""
    y, gate = _softplus(z, beta)
    if log_input:
        e = math.exp(y)
        return e - x * y, (e - x) * gate
    if x == ZERO:
        return y, gate
    return y - x * math.log(y + EPSILON), (ONE - x / (y + EPSILON)) * gate


@compiled_sums
def _backward(layer: Layer, inputs: _Values, outputs: _Values, n_cells: int, rule: Rule, more: FloatArray) -> None:
    """Fill in the slopes of a layer's inputs and take its step; `more` is added to its gradient, unless it is empty."""
    width = layer.weight.shape[1]
    gradient, bias_gradient = np.zeros(width, dtype=np.float32), np.zeros(len(layer.bias), dtype=np.float32)
    inputs.slope[:n_cells] = ZERO
    for j in range(len(layer.bias)):
        weight = layer.weight[j]
        if len(more):
            gradient[:] = more[j]
        else:
            gradient[:] = ZERO
        for c in range(n_cells):
            value, slope = inputs.value[c], inputs.slope[c]
            by_z = outputs.slope[c, j] * outputs.gate[c, j]
            bias_gradient[j] += by_z
            for k in range(width):
                slope[k] += by_z * weight[k]
                gradient[k] += by_z * value[k]
        _descend(weight, layer.weight_momentum[j], gradient, rule)
    _descend(layer.bias, layer.bias_momentum, bias_gradient, rule)


@compiled_sums
def _descend(values: FloatArray, momenta: FloatArray, gradient: FloatArray, rule: Rule) -> None:
    """Take a step of SGD with Nesterov's momentum, as PyTorch has it."""
    rate, mu, decay = rule.learning_rate, rule.momentum, rule.weight_decay
    if rule.l1_gradient and rule.l1_weight > ZERO:
        for k in range(len(values)):
            gradient[k] += rule.l1_weight * np.sign(values[k])
    for k in range(len(values)):
        g = gradient[k] + decay * values[k]
        m = mu * momenta[k] + g
        momenta[k] = m if abs(m) > NEGLIGIBLE else ZERO
        values[k] -= rate * (g + mu * m)


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
            squares += off * off
    by_columns = max(squares + width - n_units, 0.0)
    if rule.squared:
        value, slope = rule.rows * squares + rule.columns * by_columns, float(rule.rows + rule.columns)
    else:
        value = rule.rows * math.sqrt(squares) + rule.columns * math.sqrt(by_columns)
        slope = rule.rows * _half_inverse(squares) + rule.columns * _half_inverse(by_columns)
    if rule.penalty_gradient:
        np.dot(gram, weight, memory.penalty)
        factor = np.float32(4 * rule.penalty_weight * slope)
        for i in range(n_units):
            for k in range(width):
                memory.penalty[i, k] = factor * (memory.penalty[i, k] - weight[i, k])
    return rule.penalty_weight * value


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
