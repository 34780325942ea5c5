"""Trials: networks trained with settings that the sampler proposes, scored by the cells for early stopping."""

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import optuna

from scprism.errors import TrainingError
from scprism.model.config import Config
from scprism.search.sampler import NOT_LOST, make_sampler, suggest
from scprism.search.space import STARTS, Settings, Space
from scprism.search.study import Study, count_trials, open_study, process_identity, requeue_lost
from scprism.search.task import Task
from scprism.train.fit import fit_network
from scprism.train.loop import EpochRecord

__all__ = ["POLL_SECONDS", "OnTrial", "expected_fall", "open_task", "own_settings", "run_trials"]

OnTrial: TypeAlias = Callable[[int, float], None]
States = optuna.trial.TrialState
FACTOR = 3
"""Halving compares trials after a third of their epochs, and the best third goes on (Li et al., MLSys 2020). Earlier,
those lead that learn fast at first, not those that end low."""
FIRST_TRIALS = {"none": 10, "halving": 5}
"""Trials before the Gaussian process proposes, random where no settings are given; a short search has few to spare."""
BEAT_SECONDS = 30
POLL_SECONDS = 0.5


def open_task(task: Task, *, resume: bool) -> Study:
    """Return the study of a task; errors are those of `scprism.search.study.open_study`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    stopping = task.search.stopping or "none"
    given = [own_settings(task.config, task.spans), *STARTS.get(task.space_name, [])] if stopping == "halving" else []
    return open_study(
        task.search.storage,
        name=task.name,
        sampler=make_sampler(seed=task.seed, n_first=FIRST_TRIALS[stopping], given=given),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=rung_of(task.config), reduction_factor=FACTOR),
        resume=resume,
        context=task.context(),
    )


def rung_of(config: Config) -> int:
    """Return the epochs after which halving compares trials."""
    return max(1, config.search.search_epochs // FACTOR)


def own_settings(config: Config, space: Space) -> Settings:
    """Return what `config` has for the settings of a space, as near as its spans allow: what a search must beat."""
    return {name: min(max(getattr(config, name), span.low), span.high) for name, span in space.items()}


def run_trials(study: "Study", task: Task, *, on_trial: OnTrial = lambda *_: None) -> None:
    """Run trials until the study has as many as asked for, those of other processes included.

    A trial that is interrupted, however rudely, stays marked as running; who comes next finds that its process is
    gone and tries its settings again. Trials that other processes run are waited for.
    """
    n_trials = task.search.n_trials or 0
    while True:
        requeue_lost(study)
        n_finished, n_running = count_trials(study)
        if n_finished >= n_trials:
            return
        if n_finished + n_running >= n_trials:
            time.sleep(POLL_SECONDS)
            continue
        trial = study.ask()
        trial.set_user_attr("worker", process_identity())
        others = study.get_trials(deepcopy=False, states=NOT_LOST)
        if sum(other.number < trial.number for other in others) >= n_trials:
            study.tell(trial, state=States.FAIL)  # another process took the last one at the same moment
            continue
        _run_trial(study, trial, task, on_trial=on_trial)


def _run_trial(study: Study, trial: Any, task: Task, *, on_trial: OnTrial) -> None:
    settings: dict[str, Any] = {name: suggest(trial, name, span) for name, span in task.spans.items()}
    n_epochs = task.config.search_epochs
    halves = task.search.stopping == "halving"
    trained = task.config.changed(**settings, max_epochs=n_epochs, patience=n_epochs)
    watch = _Watch(trial, rung_of(task.config), stops_before=n_epochs if halves else 0)
    state, score = States.COMPLETE, None
    try:
        fit_network(task.recipe, task.cells, config=trained, rng=task.seed, device=task.device, on_epoch=watch.on_epoch)
        score = watch.last
    except optuna.TrialPruned:
        score = watch.last + expected_fall(study, watch.n_epochs)
        trial.set_user_attr("ended", "stopped")
    except TrainingError:
        state = States.PRUNED
        watch.last = float("nan")
        trial.set_user_attr("ended", "diverged")
    trial.set_user_attr("epochs", watch.n_epochs)
    trial.set_user_attr("loss", watch.last)
    try:
        study.tell(trial, score, state=state)
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        return  # it was silent for so long that another process has begun it again
    on_trial(trial.number, watch.last)


def expected_fall(study: Study, n_epochs: int) -> float:
    """Return by how much the loss of trials that ran to their end changed after so many epochs, the median.

    A stopped trial enters the study with the loss that it would have ended with, so that the Gaussian process learns
    from it too. Left out, its settings would be proposed again; with the loss it had, they would seem worse for being
    stopped.
    """
    whole = [t for t in study.get_trials(deepcopy=False, states=(States.COMPLETE,)) if "ended" not in t.user_attrs]
    falls = [t.value - t.intermediate_values[n_epochs] for t in whole if n_epochs in t.intermediate_values]
    return float(np.median(falls)) if falls else 0.0


class _Watch:
    """Follows one trial's epochs: its losses, its sign of life, whether it is worth going on."""

    def __init__(self, trial: Any, rung: int, *, stops_before: int) -> None:
        self.trial = trial
        self.stops_before = stops_before
        self.n_epochs = 0
        self.last = float("inf")
        self.rung = rung
        self.beat = time.monotonic()

    def on_epoch(self, record: EpochRecord) -> None:
        """Note an epoch's loss; end the trial where others were better after as many epochs."""
        self.n_epochs, self.last = record.epoch, record.validation_loss
        if time.monotonic() - self.beat > BEAT_SECONDS:
            self.beat = time.monotonic()
            self.trial.set_user_attr("worker", process_identity())
        if record.epoch == self.rung < self.stops_before:
            self.trial.report(self.last, record.epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned
