"""What a trial of the search costs over the bare arithmetic, and how best to share cores between trials; two tables.

    python benchmarks/search_cost.py --data DIR [--set tm_facs_kidney] [--trials 12] [--epochs 10]

The first table counts processor time on one thread; the second needs a quiet machine. ``arithmetic`` is the time of
the matrix products that the steps of an epoch need, dense: two forward and three backward with one side as long as
there are genes. ``proposal`` is the time to draw the settings of a trial when 30 are known; ``storage`` that of a
trial's writes to an SQLite study.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import anndata
import numpy as np
import optuna
import pandas as pd
import torch

from scprism.model.config import Config
from scprism.model.presets import preset_config
from scprism.prepare.recipe import Recipe
from scprism.search.sampler import distribution
from scprism.search.search import tune_network
from scprism.search.space import Span
from scprism.search.task import Search, Task
from scprism.search.trials import open_task
from scprism.train.batches import TrainingCells
from scprism.train.fit import fit_network, prepare_training

N_KNOWN = 30
SHARES = [(1, 1), (1, 2), (2, 2)]
"""Jobs, and threads over all jobs."""


def seconds_of_products(config: Config, *, n_cells: int, n_genes: int) -> float:
    """Return the seconds that one epoch's matrix products take."""
    batch = min(config.batch_size, n_cells)
    x, h = torch.rand(batch, n_genes), torch.rand(batch, config.hidden_size)
    w_in, w_out = torch.rand(n_genes, config.hidden_size), torch.rand(config.hidden_size, n_genes)
    products = [(x, w_in), (h, w_out), (x.T, h), (h.T, x), (x, w_out.T)]
    n_steps = max(1, int(config.split[0] * n_cells) // batch)
    start = time.process_time()
    for _ in range(5 * n_steps):
        for left, right in products:
            left @ right
    return (time.process_time() - start) / 5


def seconds_of_study(task: Task, *, folder: str) -> tuple[float, float]:
    """Return the seconds that a proposal takes with 30 trials known, and the writes of one trial."""
    search = dataclasses.replace(task.search, storage=f"sqlite:///{folder}/{task.search.stopping}.db")
    study = open_task(dataclasses.replace(task, search=search), resume=False)
    spans = {name: distribution(span) for name, span in task.spans.items()}
    rng = np.random.default_rng(0)
    for _ in range(N_KNOWN):
        params = {name: spans[name].to_external_repr(_drawn(span, rng)) for name, span in task.spans.items()}
        study.add_trial(optuna.create_trial(params=params, distributions=spans, value=rng.random()))
    study.ask(spans)  # the first proposal also imports what it needs
    start = time.process_time()
    trial = study.ask(spans)
    drawn = time.process_time()
    trial.report(0.5, 33)
    trial.should_prune()
    study.tell(trial, 0.5)
    return drawn - start, time.process_time() - drawn


def _drawn(span: Span, rng: np.random.Generator) -> float:
    value = (
        rng.uniform(span.low, span.high) if span.scale == "even" else span.low * (span.high / span.low) ** rng.random()
    )
    return int(value) if isinstance(span.low, int) else float(value)


def trial_costs(recipe: Recipe, cells: TrainingCells, *, config: Config, folder: str) -> pd.DataFrame:
    epochs = config.search_epochs
    torch.set_num_threads(1)
    trained = dataclasses.replace(config, max_epochs=epochs, patience=epochs)
    fit_network(recipe, cells, config=dataclasses.replace(trained, max_epochs=1), rng=0, device="cpu")  # warm up
    start = time.process_time()
    fit_network(recipe, cells, config=trained, rng=0, device="cpu")
    an_epoch = (time.process_time() - start) / epochs
    bare = seconds_of_products(config, n_cells=cells.n_cells, n_genes=len(recipe.genes))
    rows = []
    for stopping in ("none", "halving"):
        task = Task(recipe, cells, config, Search(space="effective", stopping=stopping), 0, "cpu")
        proposal, storage = seconds_of_study(task, folder=folder)
        rows.append({"stopping": stopping, "arithmetic": 100 * bare, "training": 100 * an_epoch})
        rows[-1] |= {"proposal": proposal, "storage": storage}
        rows[-1] |= {"over arithmetic": (100 * an_epoch + proposal + storage) / (100 * bare)}
    return pd.DataFrame(rows)


def shared_cores(recipe: Recipe, cells: TrainingCells, *, config: Config, n_trials: int) -> pd.DataFrame:
    """Return the wall time of the same search by jobs and threads; the final training is left out."""
    rows = []
    for jobs, threads in SHARES:
        torch.set_num_threads(threads)
        search = Search(space="effective", stopping="none", n_trials=n_trials, jobs=jobs)
        start = time.perf_counter()
        ends: list[float] = []
        only_search = dataclasses.replace(config, final_epochs=0)
        tune_network(
            recipe,
            cells,
            config=only_search,
            search=search,
            seed=0,
            on_trial=lambda *_, ends=ends: ends.append(time.perf_counter()),
        )
        rows.append(
            {"jobs": jobs, "threads": threads, "seconds": ends[-1] - start, "after the first": ends[-1] - ends[0]}
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the h5ad files")
    parser.add_argument("--genes", default="hallmark")
    parser.add_argument("--set", default="tm_facs_kidney")
    parser.add_argument("--trials", type=int, default=12, help="of the second table; 0: the first alone")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    cells = anndata.read_h5ad(arguments.data / f"{arguments.set}.h5ad")
    config = dataclasses.replace(preset_config("default"), search_epochs=arguments.epochs, genes=arguments.genes)
    recipe, training = prepare_training(cells.X, list(cells.var_names), config=config, organism=None)
    with tempfile.TemporaryDirectory() as folder:
        costs = trial_costs(recipe, training, config=config, folder=folder)
    print(f"processor seconds of a trial of 100 epochs, one thread\n{costs.round(3).to_string(index=False)}")
    if arguments.trials == 0:
        return
    shares = shared_cores(recipe, training, config=config, n_trials=arguments.trials)
    print(f"\n{arguments.trials} trials × {arguments.epochs} epochs\n{shares.round(1).to_string(index=False)}")


if __name__ == "__main__":
    main()
