"""The study on disk: opened by one process or several, its killed trials found and tried again."""

import logging
import os
import socket
import time
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import psutil
import sqlalchemy
from optuna import Study

from scprism.errors import InputError

__all__ = [
    "COUNTED",
    "JOURNAL",
    "Study",
    "count_trials",
    "open_study",
    "process_identity",
    "requeue_lost",
    "trials_table",
]

logger = logging.getLogger("scprism")
States = optuna.trial.TrialState
COUNTED = (States.COMPLETE, States.PRUNED)
JOURNAL = "journal:///"
CREATION_TRIES = 20
UNCLAIMED_SECONDS = 60
"""A trial belongs to nobody between its creation and its claim, while its settings are drawn."""
SILENT_SECONDS = 600
"""A trial of another machine is lost when its process has not been heard of for so long."""


def open_study(
    storage: str | None, *, name: str, sampler: Any, pruner: Any, resume: bool, context: dict[str, Any]
) -> Study:
    """Return the study of this name, new or, with `resume`, the one that the storage holds.

    Parameters
    ----------
    storage
        Optuna storage URL; ``"journal:///path"`` for a journal file; None keeps the study in memory.
    context
        What all trials share: data, seed, settings that are not searched. A study of another context is refused.

    Raises
    ------
    InputError
        If the storage cannot be opened, holds the study already and `resume` is not set, or holds one of other data
        or settings.
    """
    study = _create(storage, name=name, sampler=sampler, pruner=pruner, resume=resume)
    known = study.user_attrs.get("context")
    if known is None:
        study.set_user_attr("context", context)
    elif known != context:
        differing = ", ".join(sorted(k for k in {*known, *context} if known.get(k) != context.get(k)))
        msg = (
            f"The study {name!r} in {storage} was made with another {differing}, so its losses say nothing about this "
            f"one. Choose another --storage or --study, or the former settings."
        )
        raise InputError(msg)
    return study


def _create(storage: str | None, *, name: str, sampler: Any, pruner: Any, resume: bool) -> Study:
    try:
        for _ in range(CREATION_TRIES):
            try:
                return optuna.create_study(
                    sampler=sampler,
                    pruner=pruner,
                    storage=_backend(storage),
                    study_name=name,
                    load_if_exists=resume,
                )
            except (sqlalchemy.exc.DBAPIError, optuna.exceptions.StorageInternalError) as failure:
                error: Exception = failure  # another process may be creating the same tables
                time.sleep(0.1)
    except optuna.exceptions.DuplicatedStudyError as error_:
        msg = f"{storage} already holds the study {name!r}. Go on with it (--resume), or choose another storage."
        raise InputError(msg) from error_
    except (ImportError, OSError, ValueError, sqlalchemy.exc.SQLAlchemyError) as error_:
        error = error_
    msg = (
        f"The study's storage {storage!r} cannot be opened: {str(error).splitlines()[0]}. Storages look like: "
        f"sqlite:///study.db, {JOURNAL}study.log, postgresql://user@host/database"
    )
    raise InputError(msg) from error


def _backend(storage: str | None) -> Any:
    if storage is None:
        return None
    if storage.startswith(JOURNAL):
        path = Path(storage.removeprefix(JOURNAL))
        path.parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    url = sqlalchemy.engine.make_url(storage)
    if url.get_backend_name() != "sqlite":
        return storage
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    # several processes take turns to write: wait for the others instead of giving up after five seconds
    return optuna.storages.RDBStorage(storage, engine_kwargs={"connect_args": {"timeout": 60}})


def process_identity() -> dict[str, Any]:
    """Return what tells this process from any other, also from a later one of the same number, and the time."""
    started = psutil.Process().create_time()
    return {"host": socket.gethostname(), "process": os.getpid(), "started": started, "seen": time.time()}


def count_trials(study: Study) -> tuple[int, int]:
    """Return how many trials are finished, and how many run."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return sum(state in COUNTED for state in states), states.count(States.RUNNING)


def requeue_lost(study: Study) -> int:
    """Fail the trials whose process is gone, put their settings back in the queue, and return how many there were.

    Call it where this process runs no trial: one that it seems to run was interrupted.
    """
    n_lost = 0
    for trial in study.get_trials(deepcopy=False, states=(States.RUNNING,)):
        if not _is_lost(trial):
            continue
        try:
            study.tell(trial.number, state=States.FAIL)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            continue  # another process was first
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={"repeats": trial.number})
        logger.warning("trial %d was killed; its settings are tried again", trial.number)
        n_lost += 1
    return n_lost


def _is_lost(trial: Any) -> bool:
    worker = trial.user_attrs.get("worker")
    if worker is None:
        return bool(time.time() - trial.datetime_start.timestamp() > UNCLAIMED_SECONDS)
    me = process_identity()
    if worker["host"] != me["host"]:
        return bool(time.time() - worker["seen"] > SILENT_SECONDS)
    if worker["process"] == me["process"]:
        return True
    try:
        process = psutil.Process(worker["process"])
        # a clock that was set moves the start by a little; a new process of an old number starts much later
        return bool(abs(process.create_time() - worker["started"]) > 5 or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def trials_table(study: Study) -> pd.DataFrame:
    """Return one row a finished trial: ``trial state validation_loss epochs seconds`` and a column a setting.

    ``state`` is ``"complete"``, ``"stopped"`` (early, as one of the worse) or ``"diverged"``; the loss is
    that after the last of these epochs, and that of a diverged trial is missing.
    """
    rows = []
    for trial in study.get_trials(deepcopy=False, states=COUNTED):
        known = trial.user_attrs
        state = known.get("ended", "complete")
        loss = float("nan") if state == "diverged" else known["loss"]
        seconds = (trial.datetime_complete - trial.datetime_start).total_seconds()
        rows.append({"trial": trial.number, "state": state, "validation_loss": loss, "epochs": known["epochs"]})
        rows[-1] |= {"seconds": round(seconds, 3), **trial.params}
    return pd.DataFrame(rows)
