"""The search for settings with early stopping of trials against the same search run naively; one table.

    python benchmarks/search.py --data DIR --out DIR [--sets NAME ...] [--seeds 0 1] [--genes hallmark] [--minutes 4]

Both search the same space on the same split. ``naive``: 40 trials of 100 epochs, one after another, Gaussian process
with expected improvement, what `scprism tune` does. ``halving``: `--stopping halving`, 15 trials of as many epochs at
most, the worse ones stopped after a third. Then both train their best settings, up to 400 epochs more with early
stopping. The loss on the cells for early stopping, and on cells that neither ever looked at, are compared. Times are
sums over trials, proposals included, and the final training. What is done is kept in --out, so that the command can be
run again until it prints the table.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from scprism.model.config import Config
from scprism.model.presets import preset_config
from scprism.search.search import train_best
from scprism.search.study import count_trials, trials_table
from scprism.search.task import HALVING_TRIALS, Search, Task
from scprism.search.trials import open_task, run_trials
from scprism.train.fit import prepare_training

MEASURED = ["seconds", "epochs", "final_validation", "final_test"]
METHODS = {"halving": "halving", "naive": "none"}


def out_of_time(start: float, minutes: float) -> bool:
    return time.monotonic() - start > 60 * minutes


def measure(task: Task, *, start: float, minutes: float) -> dict[str, object] | None:
    """Return one row, or None where time ran out before the search was complete."""
    study = open_task(task, resume=True)
    n_trials = task.search.n_trials or 0
    for n in range(count_trials(study)[0] + 1, n_trials + 1):
        if out_of_time(start, minutes):
            return None
        run_trials(study, dataclasses.replace(task, search=dataclasses.replace(task.search, n_trials=n)))
    if out_of_time(start, minutes):
        return None
    trials = trials_table(study)
    before = time.monotonic()
    fitted, chosen = train_best(task, trials)
    final = fitted.summary
    return {
        "trials": len(trials),
        "epochs": int(trials["epochs"].sum()),
        "search_seconds": round(trials["seconds"].sum(), 1),
        "final_seconds": round(time.monotonic() - before, 1),
        "best_trial": trials.loc[trials["state"] == "complete", "validation_loss"].min(),
        "final_validation": final["validation_loss"],
        "final_test": final["test_loss"],
        "settings": json.dumps({name: getattr(chosen, name) for name in task.spans}),
    }


def comparison(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row a data set and seed: time and epochs of halving over those of naive, and loss differences."""
    rows = rows.assign(seconds=rows["search_seconds"] + rows["final_seconds"])
    pairs = rows.pivot_table(index=["data", "seed"], columns="method", values=MEASURED)
    pairs = pairs.dropna()
    table = pd.DataFrame(index=pairs.index)
    for name in ("seconds", "epochs"):
        table[f"{name} ratio"] = (pairs[name]["halving"] / pairs[name]["naive"]).astype(float).round(3)
    for name in ("final_validation", "final_test"):
        table[f"{name} difference"] = (pairs[name]["halving"] - pairs[name]["naive"]).astype(float).round(5)
        table[f"{name} per cent"] = (100 * (pairs[name]["halving"] / pairs[name]["naive"] - 1)).astype(float).round(2)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the h5ad files")
    parser.add_argument("--out", type=Path, required=True, help="folder of the studies and of results.tsv")
    parser.add_argument("--sets", nargs="+", default=["tm_facs_kidney"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--space", default="effective")
    parser.add_argument("--genes", default="hallmark")
    parser.add_argument("--trials", type=int, default=40, help="of the naive search")
    parser.add_argument("--epochs", type=int, default=100, help="of a trial")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further trial after so many")
    arguments = parser.parse_args()
    start = time.monotonic()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = arguments.out / "results.tsv"
    rows = pd.read_csv(results, sep="\t") if results.exists() else pd.DataFrame(columns=["data", "seed", "method"])
    config: Config = dataclasses.replace(preset_config("default"), genes=arguments.genes)
    n_trials = {"halving": HALVING_TRIALS, "naive": arguments.trials}
    for data in arguments.sets:
        cells = anndata.read_h5ad(arguments.data / f"{data}.h5ad")
        recipe, training = prepare_training(cells.X, list(cells.var_names), config=config, organism=None)
        for seed, method in [(seed, method) for seed in arguments.seeds for method in arguments.methods]:
            if ((rows["data"] == data) & (rows["seed"] == seed) & (rows["method"] == method)).any():
                continue
            search = Search(
                space=arguments.space,
                stopping=METHODS[method],
                n_trials=n_trials[method],
                storage=f"sqlite:///{arguments.out / f'{data}-{method}-{seed}.db'}",
            )
            task = Task(recipe, training, dataclasses.replace(config, search_epochs=arguments.epochs), search, seed)
            row = measure(task, start=start, minutes=arguments.minutes)
            if row is not None:
                new = pd.DataFrame([{"data": data, "seed": seed, "method": method, **row}])
                rows = pd.concat([rows, new], ignore_index=True) if len(rows) else new
                rows.to_csv(results, sep="\t", index=False)
            if out_of_time(start, arguments.minutes):
                print("time is up; run the command again to go on")
                return
    print(rows.drop(columns="settings").to_string(index=False, float_format=lambda x: f"{x:.6g}"))
    if rows["method"].nunique() < len(METHODS):
        return
    table = comparison(rows)
    print(f"\nhalving against naive\n{table.to_string()}")
    print(f"\ngeometric mean of the time ratios: {np.exp(np.log(table['seconds ratio']).mean()):.3f}")


if __name__ == "__main__":
    main()
