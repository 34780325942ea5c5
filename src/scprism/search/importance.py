"""Which settings a search found to matter, and which are flat."""

from typing import Any

import numpy as np
import pandas as pd

from scprism._check import require
from scprism._random import random_generator
from scprism.search.space import Space
from scprism.types import FloatArray, RNGLike

__all__ = ["setting_importance"]

FEWEST_TRIALS = 10
"""Below so many trials no forest tells a setting from its shuffled copy."""
SHADOW = "shuffled "


def setting_importance(
    trials: pd.DataFrame, space: Space, *, n_shuffles: int = 40, rng: RNGLike = None
) -> pd.DataFrame:
    """Return each setting's importance for the loss, and whether it is above that of a shuffled copy of itself.

    The importance is Optuna's mean decrease of impurity, of a random forest that predicts the rank of a trial's loss;
    ranks, so that a few terrible trials don't decide alone. Beside the settings the forest gets a copy of each whose
    values are shuffled between trials, anew each time: what a setting scores that means nothing (the control of Kursa
    and Rudnicki, Boruta, J Stat Softw 2010). A stopped trial counts with its loss when it was stopped, a diverged one
    as the worst.

    Parameters
    ----------
    trials
        Table of `scprism.search.study.trials_table`.
    n_shuffles
        Forests, each with its own shuffled copies.

    Returns
    -------
    DataFrame
        Sorted by importance: ``setting importance control p_value flat``. ``importance`` and ``control`` (the mean
        among shuffled copies) are shares of all; ``p_value`` is the share of forests in which a copy was level with
        the setting's mean importance; ``flat`` where that is above 0.05. Empty with fewer than 10 trials.
    """
    columns = ["setting", "importance", "control", "p_value", "flat"]
    if len(trials) < FEWEST_TRIALS:
        return pd.DataFrame(columns=columns)
    generator = random_generator(rng)
    ranks = trials["validation_loss"].fillna(np.inf).rank().to_numpy()
    names = list(space)
    real, copies = np.zeros((n_shuffles, len(names))), np.zeros((n_shuffles, len(names)))
    for i in range(n_shuffles):
        values = {name: trials[name].to_numpy() for name in names}
        shuffled = {SHADOW + name: generator.permutation(values[name]) for name in names}
        scores = _scores(ranks, {**values, **shuffled}, space, seed=int(generator.integers(2**31)))
        real[i] = [scores[name] for name in names]
        copies[i] = [scores[SHADOW + name] for name in names]
    importance = real.mean(axis=0)
    p_value = (1 + (copies >= importance).sum(axis=0)) / (1 + n_shuffles)
    table = pd.DataFrame(
        dict(zip(columns, (names, importance, copies.mean(axis=0), p_value, p_value > 0.05), strict=True))
    )
    return table.sort_values("importance", ascending=False, ignore_index=True)


def _scores(ranks: FloatArray, values: dict[str, Any], space: Space, *, seed: int) -> dict[str, float]:
    optuna = require("optuna", extra="tune")
    from scprism.search.sampler import distribution

    spans = {name: distribution(space[name.removeprefix(SHADOW)]) for name in values}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    study.add_trials(
        [
            optuna.create_trial(
                params={name: column[i].item() for name, column in values.items()}, distributions=spans, value=rank
            )
            for i, rank in enumerate(ranks)
        ]
    )
    evaluator = optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=seed)
    scores: dict[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return scores
