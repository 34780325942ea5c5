"""How long a training will take, by a few of its steps."""

from dataclasses import dataclass

import numpy as np

from scprism.model.config import Config
from scprism.model.network import build_autoencoder
from scprism.train.batches import AnyCells
from scprism.train.loop import TrainingResult, batch_size, train_model

__all__ = ["Pace", "measure_pace"]

LEAST_SECONDS = 0.2
"""Steps are timed for so long, if an epoch has so many."""


@dataclass(frozen=True)
class Pace:
    """How fast a training goes.

    Attributes
    ----------
    n_steps
        Steps of an epoch.
    epoch_seconds
        Seconds that an epoch takes, with the loss of the cells for early stopping.
    max_epochs
        Epochs after which the training ends at the latest.
    """

    n_steps: int
    epoch_seconds: float
    max_epochs: int

    def __str__(self) -> str:
        """Return how long the training takes, in a sentence for who waits."""
        whole = _duration(self.epoch_seconds * self.max_epochs)
        return (
            f"training takes at most about {whole}: {self.max_epochs:,} epochs of {self.n_steps:,} steps, an epoch in "
            f"{_duration(self.epoch_seconds)}; less if the loss of held-out cells stops falling before"
        )


def measure_pace(cells: AnyCells, *, config: Config, device: str = "cpu") -> Pace:
    """Return how fast a network of these settings trains on these cells, by a few steps of one that is then forgotten.

    Takes a second, and the time in which steps are compiled where that was not done before.

    Parameters
    ----------
    cells, config, device
        As in `scprism.train.loop.train_model`.
    """
    result = _trained(cells, config, n_steps=1, device=device)
    n_cells = batch_size(config, result.n_train)
    n_steps = min(config.max_batches, -(-result.n_train // n_cells))
    first = _seconds(_trained(cells, config, n_steps=1, device=device))  # a step, and the loss of the held-out cells
    n, seconds = 1, first
    while n < n_steps and seconds < LEAST_SECONDS:
        n = min(2 * n, n_steps)
        seconds = _seconds(_trained(cells, config, n_steps=n, device=device))
    step_seconds = max(seconds - first, 0.0) / max(n - 1, 1)
    return Pace(n_steps, first + (n_steps - 1) * step_seconds, config.max_epochs)


def _trained(cells: AnyCells, config: Config, *, n_steps: int, device: str) -> TrainingResult:
    rng = np.random.default_rng(0)
    network = build_autoencoder(config, n_genes=cells.inputs.shape[1], rng=rng)
    shortened = config.changed(max_epochs=1, max_batches=n_steps)
    return train_model(network, cells, config=shortened, rng=rng, device=device)


def _seconds(result: TrainingResult) -> float:
    return result.log[-1].seconds


def _duration(seconds: float) -> str:
    """Return seconds as one reads them.

    Examples
    --------
    >>> _duration(0.284), _duration(47.2), _duration(142), _duration(5400)
    ('0.28 s', '47 s', '2.4 min', '1.5 h')
    """
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 3600 else f"{seconds / 3600:.2g} h"
