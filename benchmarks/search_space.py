"""Which settings matter for the held-out loss, and how early a trial shows how it will end; tables of random settings.

    python benchmarks/search_space.py --data DIR --out DIR [--sets NAME ...] [--trials 60] [--epochs 40] [--minutes 4]

Settings are drawn evenly from wide spans around the default preset. The importance and its control are those of
`scprism tune`. What is done is kept in --out, so that the command can be run again until it prints the tables.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from scprism.errors import TrainingError
from scprism.model.presets import preset_config
from scprism.search.importance import setting_importance
from scprism.search.space import Span
from scprism.train.fit import fit_network, prepare_training

CANDIDATES = {
    "learning_rate": Span(1e-4, 1e-2),
    "hidden_size": Span(32, 400),
    "bottleneck_size": Span(10, 100),
    "input_dropout": Span(0.0, 0.9, "even"),
    "penalty_weight": Span(1e-3, 10.0),
    "weight_decay": Span(1e-7, 1e-2),
    "l1_weight": Span(1e-8, 1e-3),
    "batch_size": Span(16, 256),
}
RUNGS = (4, 12, 36)


def draw(number: int) -> dict[str, Any]:
    """Return the settings of one trial."""
    rng = np.random.default_rng([77, number])
    settings: dict[str, Any] = {}
    for name, span in CANDIDATES.items():
        even = span.scale == "even"
        value = rng.uniform(span.low, span.high) if even else np.exp(rng.uniform(np.log(span.low), np.log(span.high)))
        settings[name] = int(value) if isinstance(span.low, int) else float(value)
    return settings


def read_trials(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def report(data: str, trials: list[dict[str, Any]]) -> None:
    curves = [trial["curve"] for trial in trials if trial["curve"]]
    lowest = np.minimum.accumulate(np.array(curves), axis=1)
    table = pd.DataFrame([trial["settings"] for trial in trials if trial["curve"]])
    table["validation_loss"] = lowest[:, -1]
    print(f"\n{data}: {len(trials)} trials, {len(trials) - len(curves)} diverged")
    print(setting_importance(table, CANDIDATES, rng=0).round(3).to_string(index=False))
    best = int(np.argmin(lowest[:, -1]))
    for epoch in RUNGS:
        if epoch < lowest.shape[1]:
            agreement = spearmanr(lowest[:, epoch - 1], lowest[:, -1]).statistic
            place = 1 + int((lowest[:, epoch - 1] < lowest[best, epoch - 1]).sum())
            print(
                f"after {epoch} epochs: rank correlation with the end {agreement:.2f}, place of the final best {place}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the h5ad files")
    parser.add_argument("--out", type=Path, required=True, help="folder of the trials")
    parser.add_argument("--sets", nargs="+", default=["tm_facs_kidney", "tm_droplet_immune"])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further trial after so many")
    arguments = parser.parse_args()
    start = time.monotonic()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for data in arguments.sets:
        path = arguments.out / f"explore_{data}.jsonl"
        config = dataclasses.replace(preset_config("default"), max_epochs=arguments.epochs, patience=arguments.epochs)
        if len(read_trials(path)) < arguments.trials:
            cells = anndata.read_h5ad(arguments.data / f"{data}.h5ad")
            recipe, training = prepare_training(cells.X, list(cells.var_names), config=config, organism=None)
        for number in range(len(read_trials(path)), arguments.trials):
            if time.monotonic() - start > 60 * arguments.minutes:
                print("time is up; run the command again to go on")
                return
            settings = draw(number)
            try:
                fitted = fit_network(recipe, training, config=dataclasses.replace(config, **settings), rng=0)
                curve = fitted.log["validation_loss"].tolist()
            except TrainingError:
                curve = []
            with path.open("a") as file:
                file.write(json.dumps({"settings": settings, "curve": curve}) + "\n")
        report(data, read_trials(path))


if __name__ == "__main__":
    main()
