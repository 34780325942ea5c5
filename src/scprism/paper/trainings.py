"""What the verdicts rest on: which networks there are, how long they were trained, and whether they had stopped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from scprism.model.config import Config
from scprism.model.presets import PRESETS
from scprism.paper.networks import NetworkSpec, NetworkStore
from scprism.paper.plan import Cell, Plan
from scprism.paper.scale import adam_config, scaled_config

__all__ = ["Basis", "basis_of", "trained_networks", "training_curves", "training_summary", "training_table"]

ADAM = "paper, Adam"
OTHER = "other settings"
LAST_TENTH = 0.9
STILL = 0.01
"""Share of the fall of a loss: networks whose loss fell by more in the last tenth of their training had not stopped."""


@dataclass(frozen=True)
class Basis:
    """What an experiment's verdicts rest on: cells of the grid computed and planned, and networks by their settings."""

    n_cells: int
    n_planned: int
    networks: Mapping[str, int]

    def __str__(self) -> str:
        """Return it as the page says it."""
        counts = ", ".join(f"`{name}` {n}" for name, n in self.networks.items())
        return f"{self.n_cells} of {self.n_planned} results" + (f"; networks: {counts}" if counts else "")


def basis_of(computed: Sequence[Cell], *, n_planned: int, plan: Plan) -> Basis:
    """Return what the verdicts of an experiment rest on, given its computed cells."""
    names = _names(plan)
    trained = {spec.key: names.get(spec.config, OTHER) for spec in trained_networks(computed)}
    counts = pd.Series(list(trained.values()), dtype=object).value_counts(sort=False)
    return Basis(len(computed), n_planned, {str(name): int(n) for name, n in counts.items()})


def trained_networks(cells: Iterable[Cell]) -> list[NetworkSpec]:
    """Return the trained networks of cells, each once."""
    return list({spec.key: spec for cell in cells for spec in cell.networks if spec.is_trained}.values())


def training_table(cells: Iterable[Cell], folder: Path, *, plan: Plan) -> pd.DataFrame:
    """Return a row for each epoch of each kept network that cells need.

    Columns: ``settings`` (a preset's name, "paper, Adam" or "other settings"), ``data``, ``seed``, ``epoch``, ``loss``
    (of the cells for early stopping) and ``max_epochs``.
    """
    store, names = NetworkStore(folder, max_cells=plan.scale.max_cells), _names(plan)
    frames = []
    for spec in trained_networks(cells):
        if store.has(spec):
            network = store.network(spec)
            log = network.log[["epoch", "validation_loss"]].rename(columns={"validation_loss": "loss"})
            log.insert(0, "settings", names.get(spec.config, OTHER))
            frames.append(
                log.assign(
                    data=spec.source.name,
                    seed=spec.seed,
                    max_epochs=network.config.max_epochs,
                )
            )
    columns = ["settings", "epoch", "loss", "data", "seed", "max_epochs"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def training_summary(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each kind of settings: networks, epochs, and how many had stopped improving.

    Parameters
    ----------
    epochs
        As `training_table` returns.
    """
    rows = []
    for settings, part in epochs.groupby("settings", sort=False):
        runs = [run for _, run in part.groupby(["data", "seed"], sort=False)]
        n_epochs = pd.Series([len(run) for run in runs])
        rows.append(
            {
                "settings": settings,
                "data sets": part["data"].nunique(),
                "networks": len(runs),
                "epochs at most": int(part["max_epochs"].max()),
                "epochs run": f"{n_epochs.median():.0f} ({n_epochs.min()}–{n_epochs.max()})",
                "ended before the last epoch": int((n_epochs < part["max_epochs"].max()).sum()),
                "fall in the last tenth": f"{100 * pd.Series([_late_fall(run) for run in runs]).median():.1f} %",
                "had stopped": sum(_late_fall(run) <= STILL for run in runs),
            }
        )
    return pd.DataFrame(rows)


def _late_fall(run: pd.DataFrame) -> float:
    """Return the share of a loss's whole fall that came in the last tenth of the epochs."""
    lowest = run["loss"].cummin().to_numpy()
    whole = lowest[0] - lowest[-1]
    before = lowest[max(int(LAST_TENTH * len(lowest)) - 1, 0)]
    return float((before - lowest[-1]) / whole) if whole > 0 else 0.0


def training_curves(epochs: pd.DataFrame) -> Figure:
    """Return the course of the held-out loss of each network, a panel for each kind of settings.

    Losses are drawn from 1 in the first epoch to 0 at their lowest, as those of data sets are on different scales.
    """
    kinds = list(epochs["settings"].unique())
    figure, axes = plt.subplots(
        1, len(kinds), figsize=(3.2 * len(kinds), 2.8), squeeze=False, sharey=True, layout="constrained"
    )
    for ax, kind in zip(axes[0], kinds, strict=True):
        for _, run in epochs[epochs["settings"] == kind].groupby(["data", "seed"], sort=False):
            fall = run["loss"].iloc[0] - run["loss"].min()
            ax.plot(run["epoch"], (run["loss"] - run["loss"].min()) / (fall or 1.0), linewidth=0.8, alpha=0.7)
        ax.set(title=kind, xlabel="epoch", ylim=(-0.02, 1.02))
    axes[0, 0].set_ylabel("loss of held-out cells")
    return figure


def _names(plan: Plan) -> dict[Config, str]:
    presets = {scaled_config(name, plan.scale): name for name in PRESETS}
    adam = adam_config(plan.scale)
    return {adam: ADAM, adam.changed(normalise="per_gene"): f"{ADAM}, per gene", **presets}
