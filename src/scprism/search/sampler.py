"""What proposes settings. It needs the optional package optuna, so it is imported only where a search runs."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna

from scprism.search.space import Settings, Span

__all__ = ["NOT_LOST", "RankSampler", "distribution", "make_sampler", "suggest"]

States = optuna.trial.TrialState
NOT_LOST = (States.COMPLETE, States.PRUNED, States.RUNNING, States.WAITING)
"""All but failed trials: one that was killed is failed, and its settings wait in a new one."""


class RankSampler(optuna.samplers.BaseSampler):  # type: ignore[misc]
    """Asks a new sampler for each trial, seeded by its rank: how many trials there were before it that were not lost.

    A sampler that lives as long as its process draws the same first settings again when a study goes on, and in each
    of several processes. This one doesn't, and an interrupted search proposes what an uninterrupted one would have. The
    first ranks may have settings that are given.
    """

    def __init__(self, make: Callable[[int], Any], *, seed: int, given: Sequence[Settings] = ()) -> None:
        self._make = make
        self._seed = seed
        self._given = given
        self._settings: Settings = {}
        self._inner: Any = None

    def before_trial(self, study: Any, trial: Any) -> None:
        """Make the sampler of this trial."""
        known = study.get_trials(deepcopy=False, states=NOT_LOST)
        rank = sum(other.number < trial.number for other in known)
        self._settings = self._given[rank] if rank < len(self._given) else {}
        with warnings.catch_warnings():
            # some of Optuna's releases call these samplers experimental, at every trial
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._inner = self._make(int(np.random.SeedSequence([self._seed, rank]).generate_state(1)[0]))

    def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
        """Return the settings that are drawn together."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
        """Return the settings that were drawn together."""
        return self._inner.sample_relative(study, trial, search_space) if not self._settings else {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        """Return one setting drawn by itself."""
        if param_name in self._settings:
            return self._settings[param_name]
        return self._inner.sample_independent(study, trial, param_name, param_distribution)


def make_sampler(*, seed: int, n_first: int = 10, given: Sequence[Settings] = ()) -> RankSampler:
    """Return what proposes settings: those given, and a Gaussian process with expected improvement.

    Of the first `n_first` trials, those without given settings are random.
    """
    return RankSampler(
        lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=n_first, warn_independent_sampling=False),
        seed=seed,
        given=given,
    )


def suggest(trial: Any, name: str, span: Span) -> float:
    """Return the value that a trial tries for one setting."""
    if isinstance(span.low, int):
        return int(trial.suggest_int(name, span.low, int(span.high), log=span.scale == "log"))
    return float(trial.suggest_float(name, span.low, span.high, log=span.scale == "log"))


def distribution(span: Span) -> Any:
    """Return a span as Optuna has it."""
    if isinstance(span.low, int):
        return optuna.distributions.IntDistribution(span.low, int(span.high), log=span.scale == "log")
    return optuna.distributions.FloatDistribution(span.low, span.high, log=span.scale == "log")
