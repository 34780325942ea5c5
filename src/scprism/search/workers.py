"""Trials side by side: several processes on one study, the prepared cells shared between them and held once.

Processes rather than threads: at these sizes most of a step is Python, which threads take turns at. The cells travel as
plain array files that each process maps into its memory, so the system holds one copy of them.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from scprism._processes import end_with_parent
from scprism._torch import torch
from scprism.errors import InputError, PrismError, TrainingError
from scprism.model.config import Config
from scprism.prepare.recipe import Recipe
from scprism.search.space import Span
from scprism.search.study import JOURNAL, Study, count_trials, trials_table
from scprism.search.task import Search, Task
from scprism.search.trials import POLL_SECONDS, OnTrial, open_task, run_trials
from scprism.train.batches import TrainingCells
from scprism.train.stored import StoredRows

__all__ = ["load_task", "run_workers", "save_task"]

TASK_FILE = "task.json"
PARTS = ("data", "indices", "indptr")


def run_workers(task: Task, *, on_trial: OnTrial) -> pd.DataFrame:
    """Return the table of all trials after ``task.search.jobs`` processes have run them.

    Each has its share of this process's threads. One that is killed is made up for by the others.

    Raises
    ------
    TrainingError
        If all of them ended before the study was complete.
    """
    with tempfile.TemporaryDirectory(prefix="scprism-search-") as scratch:
        folder = Path(scratch)
        if task.search.storage is None:
            search = dataclasses.replace(task.search, storage=f"{JOURNAL}{folder / 'study.log'}")
            task = dataclasses.replace(task, search=search)
        study = open_task(task, resume=task.search.resume)
        if count_trials(study)[0] >= (task.search.n_trials or 0):
            return trials_table(study)
        save_task(task, folder)
        workers = [_start(folder, number, task.search.jobs) for number in range(task.search.jobs)]
        try:
            _wait(study, workers, task=task, on_trial=on_trial)
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait()
        if count_trials(study)[0] < (task.search.n_trials or 0):
            messages = [(folder / f"{number}.txt").read_text(encoding="utf-8") for number in range(len(workers))]
            last = next((text.strip().splitlines()[-1] for text in messages if text.strip()), "killed from outside")
            msg = (
                f"All {len(workers)} processes of the search ended early ({last}). Finished trials are kept: --resume."
            )
            raise TrainingError(msg)
        return trials_table(study)


def _wait(study: Study, workers: "list[subprocess.Popen[bytes]]", *, task: Task, on_trial: OnTrial) -> None:
    seen = set(trials_table(study)["trial"]) if count_trials(study)[0] else set()
    while True:
        are_over = all(worker.poll() is not None for worker in workers)
        if count_trials(study)[0] > len(seen):
            new = trials_table(study).query("trial not in @seen")
            for number, loss in zip(new["trial"].tolist(), new["validation_loss"].tolist(), strict=True):
                on_trial(number, loss)
            seen |= set(new["trial"])
        if are_over or len(seen) >= (task.search.n_trials or 0):
            return
        time.sleep(POLL_SECONDS)


def _start(folder: Path, number: int, n_jobs: int) -> "subprocess.Popen[bytes]":
    threads = str(max(1, torch.get_num_threads() // n_jobs))
    package_folder = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package_folder, os.environ.get("PYTHONPATH"))))
    with (folder / f"{number}.txt").open("wb") as messages:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "scprism.search.workers", str(folder), threads],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"},
            stdout=subprocess.DEVNULL,
            stderr=messages,
        )


def save_task(task: Task, folder: Path) -> None:
    """Write a task as plain arrays and JSON."""
    for field in dataclasses.fields(task.cells):
        values = getattr(task.cells, field.name)
        is_matrix = sparse.issparse(values) or isinstance(values, StoredRows)
        if is_matrix and (field.name == "inputs" or values is not task.cells.inputs):
            _save_matrix(values[:], folder / field.name)
        elif isinstance(values, np.ndarray):
            np.save(folder / f"{field.name}.npy", values)
    record = {
        "recipe": task.recipe.to_json(),
        "config": task.config.to_json(),
        "search": dataclasses.asdict(task.search),
        "seed": task.seed,
        "device": task.device,
    }
    (folder / TASK_FILE).write_text(json.dumps(record), encoding="utf-8")


def load_task(folder: Path) -> Task:
    """Return the task that `save_task` wrote; its cells stay on disk and are read as they are used."""
    record = json.loads((folder / TASK_FILE).read_text(encoding="utf-8"))
    cells: dict[str, Any] = {file.stem: np.load(file) for file in folder.glob("*.npy")}
    cells |= {file.name: _load_matrix(file) for file in folder.iterdir() if file.is_dir()}
    cells.setdefault("targets", cells["inputs"])
    search = record["search"]
    if not isinstance(search["space"], str):
        search["space"] = {name: Span(*span) for name, span in search["space"].items()}
    return Task(
        Recipe.from_json(record["recipe"]),
        TrainingCells(**cells),
        Config.from_json(record["config"]),
        Search(**search),
        record["seed"],
        record["device"],
    )


def _save_matrix(matrix: sparse.csr_matrix, folder: Path) -> None:
    folder.mkdir()
    for part in PARTS:
        np.save(folder / f"{part}.npy", getattr(matrix, part))
    np.save(folder / "shape.npy", np.array(matrix.shape))


def _load_matrix(folder: Path) -> sparse.csr_matrix:
    parts = [np.load(folder / f"{part}.npy", mmap_mode="r") for part in PARTS]
    return sparse.csr_matrix(tuple(parts), shape=tuple(np.load(folder / "shape.npy")), copy=False)


def main() -> None:
    """Run trials of the task in a folder; the arguments are the folder and the number of threads."""
    end_with_parent()
    torch.set_num_threads(int(sys.argv[2]))
    try:
        task = load_task(Path(sys.argv[1]))
        run_trials(open_task(task, resume=True), task)
    except (InputError, PrismError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
