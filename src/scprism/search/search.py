"""The search for settings: trials one after another or side by side, then the final training."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from scprism._check import require
from scprism._random import random_generator
from scprism.errors import InputError, TrainingError
from scprism.model.config import Config
from scprism.prepare.recipe import Recipe
from scprism.search.space import Settings, Space
from scprism.search.task import Search, Task
from scprism.train.batches import AnyCells
from scprism.train.fit import Fitted, fit_network, resolve_device
from scprism.types import RNGLike

__all__ = ["Search", "best_settings", "train_best", "tune_network"]


def tune_network(
    recipe: Recipe,
    cells: AnyCells,
    *,
    config: Config,
    search: Search | None = None,
    seed: RNGLike,
    device: str = "auto",
    on_trial: Callable[[int, float], None] = lambda *_: None,
) -> tuple[Fitted, Config, pd.DataFrame]:
    """Return the network trained with the best settings, these settings, and a table of all trials.

    Each trial trains ``config.search_epochs`` epochs at most; its score is the loss of the cells for early stopping,
    penalties left out. The cells for the report are never looked at. The best settings are then trained for
    ``config.final_epochs`` further epochs: anew from the same seed. All trials share one split and the prepared data.

    Parameters
    ----------
    recipe, cells
        The prepared reference.
    config
        Settings that are not searched.
    search
        Space, number of trials, storage; what it leaves open comes from `config`.
    seed
        Of the networks and of the sampler, a whole number.
    on_trial
        Called with each trial's number and score.

    Returns
    -------
    Fitted, Config, DataFrame
        The table's columns are those of `scprism.search.study.trials_table`.

    Raises
    ------
    InputError
        If the storage holds a study already and `search.resume` is not set, or one of other data or settings; or the
        seed is not a whole number.
    TrainingError
        If every trial's loss became infinite, or no process that ran trials is left.
    """
    if not isinstance(seed, int):
        msg = f"A search repeats its trials and needs a whole number as seed, such as rng=0, got {seed!r}."
        raise InputError(msg)
    search = (search or Search()).resolved(config)
    random_generator(seed)  # a wrong one is said before the trials
    task = Task(recipe, cells, config, search, seed, resolve_device(device))
    for package in ("optuna", "psutil"):
        require(package, extra="tune")
    from scprism.search.study import trials_table
    from scprism.search.trials import open_task, run_trials
    from scprism.search.workers import run_workers

    if search.jobs > 1:
        table = run_workers(task, on_trial=on_trial)
    else:
        study = open_task(task, resume=search.resume)
        run_trials(study, task, on_trial=on_trial)
        table = trials_table(study)
    return *train_best(task, table), table


def train_best(task: Task, table: pd.DataFrame) -> tuple[Fitted, Config]:
    """Return the network trained with the best settings of a table of trials, and its settings."""
    settings: dict[str, Any] = {**best_settings(table, task.spans)}
    best = task.config.changed(**settings, max_epochs=task.config.search_epochs + task.config.final_epochs)
    return fit_network(task.recipe, task.cells, config=best, rng=task.seed, device=task.device), best


def best_settings(table: pd.DataFrame, space: Space) -> Settings:
    """Return the settings of the lowest loss among the trials that ran to their end.

    Raises
    ------
    TrainingError
        If there is none, because every loss became infinite.
    """
    complete = table[table["state"] == "complete"]
    if complete.empty:
        msg = (
            "Every trial ended with an infinite loss, so there are no best settings. Lower the data's scale "
            "or the rates."
        )
        raise TrainingError(msg)
    row = complete.sort_values("validation_loss", kind="stable").iloc[0]
    return {name: int(row[name]) if isinstance(span.low, int) else float(row[name]) for name, span in space.items()}
