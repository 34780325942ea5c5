"""The loss of every data set under every model (Section E), beside that of a constant."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scprism._torch import torch
from scprism.model.losses import reconstruction_loss
from scprism.paper.measures.bootstrap import Outcome
from scprism.paper.measures.loss import foreign_loss
from scprism.paper.networks import Network, NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.section import Section, Verdict
from scprism.prepare.stream import PreparedChunk
from scprism.query.view import Query
from scprism.types import FloatArray

__all__ = ["LOSS_MATRIX", "constant_loss", "run_losses"]


NAME = "loss-matrix"


def plan_losses(plan: Plan) -> list[Cell]:
    return [
        Cell(
            NAME,
            {"preset": preset, "model": source.name},
            tuple(plan.wholes),
            (plan.network(source, preset),),
        )
        for preset in plan.presets
        for source in plan.wholes
    ]


def run_losses(cell: Cell, store: NetworkStore) -> Rows:
    """Return the mean loss a cell of each data set, over all its cells, and a constant's.

    The constant is each gene's mean in the cells that the model was trained on: what a model must beat to say anything
    of a cell.
    """
    network = store.network(cell.networks[0])
    config = network.config.changed(foreign_loss="all_cells")  # `as_released` would take the first cell alone
    rows: Rows = []
    for source in cell.sources:
        query = network.opened(store.cells(source))
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


def report_losses(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of the loss matrix."""
    frame = frames[NAME]
    if "loss" not in frame or frame["loss"].notna().sum() == 0:
        return Section("No data set here could be used.")
    known = frame[frame["loss"].notna()].assign(gain=lambda t: t["constant"] - t["loss"])
    summary = (
        known.groupby(["preset", "own"], sort=False)
        .agg(
            models=("loss", "size"),
            loss=("loss", "mean"),
            constant=("constant", "mean"),
            better=("gain", lambda g: (g > 0).sum()),
        )
        .reset_index()
        .replace({"own": {True: "the model's own", False: "foreign"}})
        .rename(columns={"own": "data", "models": "losses", "better": "below the constant"})
    )
    text = (
        "Mean loss over all cells; the released code takes one cell. The yardstick is a constant: each gene's mean in "
        "the cells that the model was trained on. Losses of different presets are on different scales. "
        "Genes that a data set lacks are filled as in any query."
    )
    figures = {
        f"loss-{preset}": (
            f"`{preset}`: loss less the constant's (below 0: the model says more than a mean)",
            _matrix(part),
        )
        for preset, part in known.groupby("preset", sort=False)
    }
    foreign = known[~known["own"].astype(bool)]
    by_preset = foreign.groupby("preset", sort=False)["gain"]
    ours = "; ".join(f"`{p!s}`: in {(g > 0).sum()} of {len(g)}" for p, g in by_preset)
    shares = by_preset.apply(lambda g: (g > 0).mean())
    of_the_paper = shares.drop("default", errors="ignore")
    outcome = _outcome(of_the_paper if len(of_the_paper) else shares)
    verdict = Verdict(
        "A model reconstructs unseen data sets (better than the mean of its own)",
        "Section E",
        "supplement; the released code averages over one cell",
        ours,
        outcome,
        "foreign pairs, across species too",
        _outcome(shares[["default"]]) if "default" in shares else "",
    )
    return Section(text, (("Losses", summary),), figures, (verdict,))


def _outcome(shares: pd.Series) -> Outcome:
    """Return whether the loss is below the constant's in nearly all pairs, in few, or in some, of all presets."""
    return "holds" if shares.min() > 0.9 else "does not hold" if shares.max() < 0.5 else "mixed"


def _matrix(part: pd.DataFrame) -> Figure:
    table = part.assign(shown=-part["gain"]).pivot_table(index="model", columns="data", values="shown")
    figure, ax = plt.subplots(figsize=(1.2 + 0.9 * table.shape[1], 1 + 0.5 * table.shape[0]), layout="constrained")
    values = table.to_numpy()
    limit = float(np.nanmax(np.abs(values))) or 1.0
    image = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize="x-small")
    ax.set_xticks(range(table.shape[1]), list(table.columns), rotation=30, ha="right", fontsize="small")
    ax.set_yticks(range(table.shape[0]), list(table.index), fontsize="small")
    ax.set(xlabel="data", ylabel="model")
    figure.colorbar(image, ax=ax)
    return figure


LOSS_MATRIX = Experiment(
    NAME, "Loss of every data set under every model (Section E)", plan_losses, run_losses, report_losses, version=2
)
