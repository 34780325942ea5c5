"""The loss of every data set under every model (Section E), beside that of a constant."""

import numpy as np

from scprism._torch import torch
from scprism.model.losses import reconstruction_loss
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.workshop import Network, Workshop
from scprism.paper.measures.loss import foreign_loss
from scprism.prepare.stream import PreparedChunk
from scprism.query.view import Query
from scprism.types import FloatArray

__all__ = ["LOSS_MATRIX", "constant_loss"]


def plan_losses(plan: Plan) -> list[Cell]:
    return [
        Cell(
            "loss-matrix",
            {"preset": preset, "model": source.name},
            tuple(plan.wholes),
            (plan.network(source, preset),),
        )
        for preset in plan.presets
        for source in plan.wholes
    ]


def run_losses(cell: Cell, workshop: Workshop) -> Rows:
    """Return the mean loss a cell of each data set, over all its cells, and a constant's.

    The constant is each gene's mean in the cells that the model was trained on: what a model must beat to say anything
    of a cell.
    """
    network = workshop.network(cell.networks[0])
    config = network.config.changed(foreign_loss="all_cells")  # `as_released` would take the first cell alone
    rows: Rows = []
    for source in cell.sources:
        query = network.opened(workshop.cells(source))
        chunks = list(query.chunks())
        rows.append(
            {
                "data": source.name,
                "own": source == cell.networks[0].source,
                "coverage": query.alignment.share_of_genes,
                "loss": foreign_loss(network.weights, chunks, fill=query.fill, config=config),
                "constant": constant_loss(network, query, chunks),
            }
        )
    return rows


def constant_loss(network: Network, query: Query, chunks: list[PreparedChunk]) -> float:
    """Return the mean loss a cell of predicting each gene's mean in the training cells, for every cell."""
    config = network.config
    output = _constant_output(network)
    total, n_cells = 0.0, 0
    for chunk in chunks:
        target = chunk.counts if config.counts_as_targets else chunk.inputs
        dense = target.toarray().astype(np.float32) + (0 if config.counts_as_targets else query.fill)
        rows = torch.from_numpy(np.broadcast_to(output, dense.shape).copy())
        losses = reconstruction_loss(rows, torch.from_numpy(dense), likelihood=config.likelihood)
        total, n_cells = total + float(losses.sum(dtype=torch.float64)), n_cells + len(dense)
    return total / n_cells


def _constant_output(network: Network) -> FloatArray:
    """Return the output that decodes to the training cells' means, float32 (genes,)."""
    config, recipe = network.config, network.recipe
    if config.likelihood == "poisson":
        return recipe.mean.astype(np.float32)
    if config.likelihood == "poisson_log_input":
        # the output's softplus keeps it above 0
        return np.asarray(np.log(np.maximum(recipe.mean, 1.0)), dtype=np.float32)
    share: FloatArray = recipe.share / recipe.share.sum()
    return np.asarray(np.log(np.maximum(share, 1e-9)), dtype=np.float32)


LOSS_MATRIX = Experiment(
    "loss-matrix", "Loss of every data set under every model (Section E)", plan_losses, run_losses, version=2
)
