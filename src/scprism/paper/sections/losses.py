"""Section E: the loss of every data set under every model."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scprism.paper.sections.section import Outcome, Section, Verdict

__all__ = ["loss_section"]


def loss_section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of the loss matrix."""
    name, title = "loss-matrix", "Loss of every data set under every model (Section E)"
    frame = frames[name]
    if "loss" not in frame or frame["loss"].notna().sum() == 0:
        return Section(name, title, "No data set here could be used.")
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
    outcome: Outcome = "holds" if shares.min() > 0.9 else "does not hold" if shares.max() < 0.5 else "mixed"
    verdict = Verdict(
        "A model reconstructs unseen data sets (better than the mean of its own)",
        "Section E",
        "supplement; the released code averages over one cell",
        ours,
        outcome,
        "foreign pairs, across species too",
    )
    return Section(name, title, text, (("Losses", summary),), figures, (verdict,))


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
