"""One pass of a batch through the network: its loss and its gradients, without ever holding a batch twice.

Nearly all the work lies in the two wide layers. They are written out here, so that their gradients go where the
optimiser reads them: the output layer and the likelihood take a few cells at a time, the first layer reads sparse cells
as they are where that is faster, and whatever has cells × genes values lies in memory that is used again for the next
batch. What comes between the two layers is left to autograd.
"""

from collections.abc import Callable
from dataclasses import dataclass

from scipy import sparse

from scprism._torch import nn, torch
from scprism.model.losses import Likelihood, loss_and_slopes
from scprism.model.network import Autoencoder, softplus
from scprism.train.batches import Batch
from scprism.train.likelihood import SparseShares

__all__ = ["PenaltyOf", "Workspace", "add_gradients", "batch_loss", "new_workspace"]

PenaltyOf = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The penalty, given the first layer before its activation, (cells, hidden), and the latent, (cells, units)."""

CELLS_AT_ONCE = 128
"""Cells whose output is held at a time: some thousand genes of so many cells stay in a core's second cache."""
SPARSE_BELOW = 0.2
"""Share of non-zero inputs below which the first layer is faster sparse than dense."""


@dataclass(frozen=True)
class Workspace:
    """Memory that every batch uses again; taking it anew costs more than a matrix product.

    Attributes
    ----------
    inputs
        Dense inputs of a batch, (cells, genes).
    output, target
        Output and target of a part of the batch.
    """

    inputs: torch.Tensor
    output: torch.Tensor
    target: torch.Tensor


def new_workspace(model: Autoencoder, *, batch_size: int) -> Workspace:
    """Return memory for batches of up to `batch_size` cells."""
    device, n_genes = model.hidden.weight.device, model.hidden.in_features
    at_once = min(batch_size, CELLS_AT_ONCE)
    return Workspace(*(torch.empty((n, n_genes), device=device) for n in (batch_size, at_once, at_once)))


def batch_loss(model: Autoencoder, batch: Batch, *, likelihood: Likelihood, workspace: Workspace) -> float:
    """Return the sum of the cells' reconstruction losses."""
    with torch.no_grad():
        hidden = _first_layer(model.hidden, _first_input(batch.inputs, workspace))
        last = _decode(model, _encode(model, hidden))
        return _output_layer(model, last, batch.targets, likelihood=likelihood, workspace=workspace)


def add_gradients(
    model: Autoencoder, batch: Batch, *, likelihood: Likelihood, workspace: Workspace, penalty_of: PenaltyOf
) -> tuple[float, float]:
    """Add the gradients of the mean loss a cell and of the penalty to those of `model`.

    Equal to what autograd finds for `Autoencoder.forward` and `reconstruction_loss`, up to rounding.

    Returns
    -------
    tuple
        The sum of the cells' losses, and the penalty.
    """
    with torch.no_grad():
        inputs = _first_input(batch.inputs, workspace)
        hidden = _first_layer(model.hidden, inputs)
        fill = None if batch.fill is None else torch.from_numpy(batch.fill).to(hidden.device)
        if fill is not None:
            hidden += model.hidden.weight @ fill
    hidden.requires_grad_()
    latent = _encode(model, hidden)
    last = _decode(model, latent)
    slope = torch.empty_like(last)
    with torch.no_grad():
        loss = _output_layer(
            model, last.detach(), batch.targets, likelihood=likelihood, workspace=workspace, slope=slope
        )
    penalty = penalty_of(hidden, latent)
    # one number whose gradients are those wanted: given several, torch imports sympy
    torch.autograd.backward(torch.dot(last.view(-1), slope.view(-1)) + penalty)
    with torch.no_grad():
        _add_first_gradients(model.hidden, inputs, _gradient(hidden))
        if fill is not None:
            _gradient(model.hidden.weight).addr_(_gradient(hidden).sum(dim=0), fill)
    return loss, float(penalty.detach())


def _first_input(inputs: sparse.csr_matrix, workspace: Workspace) -> torch.Tensor | sparse.csr_matrix:
    if workspace.inputs.device.type == "cpu" and inputs.nnz < SPARSE_BELOW * inputs.shape[0] * inputs.shape[1]:
        return inputs
    return _dense(inputs, workspace.inputs)


def _dense(matrix: sparse.csr_matrix, memory: torch.Tensor) -> torch.Tensor:
    """Return a sparse matrix as a tensor, in `memory` if that is the CPU's."""
    if memory.device.type != "cpu":
        return torch.from_numpy(matrix.toarray()).to(memory.device)
    place = memory[: matrix.shape[0]]
    matrix.toarray(out=place.numpy())
    return place


def _first_layer(layer: nn.Linear, inputs: torch.Tensor | sparse.csr_matrix) -> torch.Tensor:
    """Return W x + b of each cell, (cells, hidden)."""
    if isinstance(inputs, torch.Tensor):
        return torch.addmm(layer.bias, inputs, layer.weight.t())
    return _weighted_sums(inputs, layer.weight.t()).add_(layer.bias)


def _add_first_gradients(layer: nn.Linear, inputs: torch.Tensor | sparse.csr_matrix, slope: torch.Tensor) -> None:
    gradient = _gradient(layer.weight).t()  # (genes, hidden), as the weights lie
    if isinstance(inputs, torch.Tensor):
        gradient.addmm_(inputs.t(), slope)
    else:
        gradient.add_(_weighted_sums(inputs.tocsc(), slope))
    _gradient(layer.bias).add_(slope.sum(dim=0))


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.grad is None:
        tensor.grad = torch.zeros_like(tensor)
    return tensor.grad


def _weighted_sums(matrix: sparse.csr_matrix | sparse.csc_matrix, rows: torch.Tensor) -> torch.Tensor:
    """Return for each row of a csr matrix, or column of a csc one, the sum of `rows` weighted by its values."""
    starts, numbers, values = (torch.from_numpy(a) for a in (matrix.indptr, matrix.indices, matrix.data))
    return nn.functional.embedding_bag(
        numbers, rows.detach(), starts, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def _encode(model: Autoencoder, hidden: torch.Tensor) -> torch.Tensor:
    return softplus(model.latent(softplus(hidden, model.betas.hidden)), model.betas.latent)


def _decode(model: Autoencoder, latent: torch.Tensor) -> torch.Tensor:
    return softplus(model.decoder(latent), model.betas.decoder)


def _output_layer(
    model: Autoencoder,
    last: torch.Tensor,
    targets: sparse.csr_matrix,
    *,
    likelihood: Likelihood,
    workspace: Workspace,
    slope: torch.Tensor | None = None,
) -> float:
    """Return the sum of the losses; if wanted, add the gradients of their mean to the layer's, and fill in `slope`.

    Parameters
    ----------
    last
        The layer before the output, (cells, hidden).
    targets
        As in `TrainingCells`.
    slope
        Where the gradient by `last` goes.
    """
    layer, n_cells, total = model.output, len(last), 0.0
    weight, at_once = layer.weight, len(workspace.output)
    for start in range(0, n_cells, at_once):
        part = last[start : start + at_once]
        z = torch.addmm(layer.bias, part, weight.t(), out=workspace.output[: len(part)])
        counts = targets[start : start + at_once]
        if likelihood == "multinomial":
            loss = SparseShares.of_counts(counts, device=z.device).replace_by_slopes(z)
            by_output, by_dispersion = z, None
        else:
            target = _dense(counts, workspace.target)
            loss, (by_output, by_dispersion) = loss_and_slopes(
                z, target, likelihood=likelihood, beta=model.betas.output, log_dispersion=model.log_dispersion
            )
        total += loss
        if slope is not None:
            torch.mm(by_output, weight, out=slope[start : start + at_once])
            _gradient(weight).addmm_(by_output.t(), part, alpha=1 / n_cells)
            _gradient(layer.bias).addmv_(by_output.t(), part.new_ones(len(part)), alpha=1 / n_cells)
            if by_dispersion is not None and model.log_dispersion is not None:
                _gradient(model.log_dispersion).add_(by_dispersion, alpha=1 / n_cells)
    if slope is not None:
        slope.div_(n_cells)
    return total
