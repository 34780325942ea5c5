"""The search for settings: Bayesian optimisation with expected improvement over the paper's ranges."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from scprism._check import check_choice, require
from scprism.errors import InputError, TrainingError
from scprism.model.config import Config
from scprism.prepare.recipe import Recipe
from scprism.train.batches import TrainingCells
from scprism.train.fit import Fitted, fit_network
from scprism.types import RNGLike

__all__ = ["SPACES", "Search", "tune_network"]

FloatRange = tuple[float, float]
SIMPLE: dict[str, FloatRange | tuple[int, int]] = {
    "learning_rate": (1e-5, 1e-3),
    "penalty_weight": (1e-25, 1e-5),
    "hidden_size": (50, 140),
    "bottleneck_size": (35, 75),
}
SPACES: dict[str, dict[str, Any]] = {
    "simple": SIMPLE,
    "complex": {**SIMPLE, "l1_weight": (1e-25, 1e-5), "weight_decay": (1e-25, 1e-5)},
}
"""The paper's two spaces: whole numbers are searched evenly, the others on a logarithmic scale."""


@dataclass(frozen=True)
class Search:
    """How to search.

    Attributes
    ----------
    space
        ``"simple"`` or ``"complex"``.
    n_trials
        Trials that the study has in the end; those of an earlier run count.
    storage
        Optuna storage URL, such as ``"sqlite:///study.db"``; None keeps the study in memory.
    resume
        Go on with the study that the storage holds.
    """

    space: Literal["simple", "complex"] = "simple"
    n_trials: int = 40
    storage: str | None = None
    resume: bool = False


def tune_network(
    recipe: Recipe,
    cells: TrainingCells,
    *,
    config: Config,
    search: Search,
    seed: RNGLike,
    device: str = "auto",
    on_trial: Callable[[int, float], None] = lambda *_: None,
) -> tuple[Fitted, Config, pd.DataFrame]:
    """Return the network trained with the best settings, these settings, and a table of all trials.

    Each trial trains ``config.search_epochs`` epochs without early stopping; its score is the loss of the held-out
    cells, penalties left out. The best one then goes on for ``config.final_epochs`` epochs: it is trained anew from
    the same seed, which repeats the trial bit for bit. All trials share one split.

    Parameters
    ----------
    recipe, cells
        The prepared reference.
    config
        Settings that are not searched.
    search
        Space, number of trials and storage.
    seed
        Of the networks and of the sampler, a whole number.
    on_trial
        Called with each trial's number and score.

    Raises
    ------
    InputError
        If the storage holds a study already and `search.resume` is not set, or the seed is not a whole number.
    """
    if not isinstance(seed, int):
        msg = f"A search repeats its trials and needs a whole number as seed, such as rng=0, got {seed!r}."
        raise InputError(msg)
    check_choice("space", search.space, SPACES)
    optuna = require("optuna", extra="tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _open_study(optuna, search, seed=seed)

    def objective(trial: Any) -> float:
        settings: dict[str, Any] = {name: _suggest(trial, name, span) for name, span in SPACES[search.space].items()}
        trained = dataclasses.replace(
            config, **settings, max_epochs=config.search_epochs, patience=config.search_epochs
        )
        try:
            fitted = fit_network(recipe, cells, config=trained, rng=seed, device=device)
        except TrainingError as error:
            raise optuna.TrialPruned from error
        score = float(fitted.log["validation_loss"].iloc[-1])
        on_trial(trial.number, score)
        return score

    finished = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED
    study.optimize(objective, n_trials=max(0, search.n_trials - len(study.get_trials(states=finished))))
    if not study.get_trials(states=finished[:1]):
        msg = (
            "Every trial ended with an infinite loss, so there are no best settings. Lower the data's scale "
            "or the rates."
        )
        raise TrainingError(msg)
    best = dataclasses.replace(config, **study.best_params, max_epochs=config.search_epochs + config.final_epochs)
    table = study.trials_dataframe(attrs=("number", "value", "params", "state"))
    return fit_network(recipe, cells, config=best, rng=seed, device=device), best, table


def _open_study(optuna: Any, search: Search, *, seed: int) -> Any:
    sampler = optuna.samplers.GPSampler(seed=seed)
    try:
        return optuna.create_study(
            sampler=sampler, storage=search.storage, study_name=search.space, load_if_exists=search.resume
        )
    except optuna.exceptions.DuplicatedStudyError as error:
        msg = (
            f"{search.storage} already holds a {search.space} study. Go on with it (--resume), or choose "
            f"another storage."
        )
        raise InputError(msg) from error


def _suggest(trial: Any, name: str, span: tuple[float, float]) -> float:
    if isinstance(span[0], int | np.integer):
        return int(trial.suggest_int(name, *span))
    return float(trial.suggest_float(name, *span, log=True))
