"""Which settings matter for the held-out loss, and how early a trial shows how it will end; tables of random settings.

    python benchmarks/search_space.py --data DIR [--store FILE] [--sets NAME ...] [--trials 60] [--epochs 40]

Settings are drawn evenly from wide spans around the default preset. The importance and its control are those of
`scprism tune`. What is done is kept in FILE; a run that --minutes ended goes on when it is run again.
"""

import argparse
import dataclasses
from functools import cache, partial
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from kept import Kept, Settings, add_store_options
from scprism.errors import TrainingError
from scprism.model.config import Config
from scprism.model.presets import preset_config
from scprism.paper.results import Rows
from scprism.prepare.recipe import Recipe
from scprism.search.importance import setting_importance
from scprism.search.space import Span
from scprism.train.batches import TrainingCells
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


def report(data: str, trials: "list[dict[str, Any]]") -> None:
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
    add_store_options(parser)
    parser.add_argument("--sets", nargs="+", default=["tm_facs_kidney", "tm_droplet_immune"])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    asked = [
        {"set": name, "trial": number, "epochs": options.epochs}
        for name in options.sets
        for number in range(options.trials)
    ]
    prepared = cache(partial(prepare, folder=options.data, epochs=options.epochs))

    def compute(settings: Settings) -> Rows:
        drawn, (config, recipe, cells) = draw(int(str(settings["trial"]))), prepared(str(settings["set"]))
        try:
            fitted = fit_network(recipe, cells, config=dataclasses.replace(config, **drawn), rng=0)
            curve = fitted.log["validation_loss"].tolist()
        except TrainingError:
            curve = []
        return [{"settings": drawn, "curve": curve}]

    rows = Kept("search space", __file__, options).rows(asked, lambda settings: [str(settings["set"])], compute)
    for name in options.sets:
        done = rows[rows["set"] == name] if len(rows) else rows
        if len(done) == options.trials:
            report(name, done.to_dict("records"))


def prepare(name: str, *, folder: Path, epochs: int) -> tuple[Config, Recipe, TrainingCells]:
    """Return the settings of all trials, and the cells of a data set as they are trained on."""
    config = dataclasses.replace(preset_config("default"), max_epochs=epochs, patience=epochs)
    cells = anndata.read_h5ad(folder / f"{name}.h5ad")
    return config, *prepare_training(cells.X, list(cells.var_names), config=config, organism=None)


if __name__ == "__main__":
    main()
