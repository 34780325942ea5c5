"""Does more regularisation pay? The paper's simple and complex searches (its Table 2), over seeds, with a paired test.

    python benchmarks/simple_complex.py --data DIR --out DIR [--sets NAME ...] [--seeds 5] [--minutes 4] [--full]

Each seed has its own split into training, early stopping and test cells (80/10/10), and its own networks. Every arm has
the same number of trials and epochs, and the same seed. ``simple``: learning rate, penalty and widths. ``complex``: and
L1 and weight decay over the paper's ranges. ``acting``: these two over ranges in which they change the network. Both
have a gradient here. The best settings are trained anew, and the loss of the test cells, which no search saw, is
compared.

By default a reduced scale: 10 trials × 20 epochs on 1,000 variable genes; so few trials are drawn at random, the same
in every arm but for the settings that it adds. --full is the paper's: 40 × 100, 400 further epochs, Hallmark genes.
What is done is kept in --out, and the command can be run again for what is missing.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import stats

from scprism.model.config import Config
from scprism.model.presets import preset_config
from scprism.prepare.recipe import Recipe
from scprism.train.batches import TrainingCells
from scprism.train.fit import prepare_training
from scprism.train.spaces import SPACES, Space, Span
from scprism.train.tune import Search, tune_network

ARMS: dict[str, Space] = {
    "simple": SPACES["simple"],
    "complex": SPACES["complex"],
    "acting": {**SPACES["simple"], "l1_weight": Span(1e-8, 1e-3), "weight_decay": Span(1e-7, 1e-2)},
}
KEYS = ["preset", "data", "seed", "arm"]
# mean losses of the paper's Table 2, bladder to trachea
TABLE_2 = np.array(
    [
        (0.94610459, 0.94966865),
        (0.95382822, 0.95688325),
        (0.97204543, 0.97270389),
        (0.95906472, 0.95659369),
        (0.96714902, 0.96536231),
        (0.97676671, 0.97654885),
        (0.98160857, 0.98427087),
        (0.95753598, 0.95977772),
        (0.97818142, 0.97743446),
        (0.98370707, 0.98711485),
        (0.93583191, 0.93667495),
        (0.97082079, 0.96826011),
    ]
)


def measure(recipe: Recipe, cells: TrainingCells, *, config: Config, arm: str, seed: int) -> dict[str, object]:
    start = time.monotonic()
    search = Search(space=ARMS[arm], stopping="none")
    fitted, best, trials = tune_network(recipe, cells, config=config, search=search, seed=seed)
    return {
        "best_trial": trials["validation_loss"].min(),
        "test_loss": fitted.summary["test_loss"],
        "seconds": round(time.monotonic() - start, 1),
        **{name: getattr(best, name) for name in ARMS["acting"]},
    }


def paired(simple: np.ndarray, other: np.ndarray) -> dict[str, object]:
    """Return the tests of other − simple, in per cent of the simple loss; negative: the other is better."""
    difference = 100 * (other - simple) / np.abs(simple)
    n, mean, spread = len(difference), difference.mean(), difference.std(ddof=1)
    half = stats.t.ppf(0.975, n - 1) * spread / np.sqrt(n)
    return {
        "pairs": n,
        "simple better": int((difference > 0).sum()),
        "difference %": f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]",
        "effect size": round(mean / spread, 2) if spread > 0 else 0.0,
        "t test p": round(stats.ttest_1samp(difference, 0).pvalue, 3) if spread > 0 else 1.0,
        "Wilcoxon p": round(stats.wilcoxon(difference).pvalue, 3) if difference.any() else 1.0,
    }


def answers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the paired tests of each preset and data set, and of all data sets of a preset together."""
    losses = rows.pivot_table(index=["preset", "data", "seed"], columns="arm", values="test_loss")
    table = [{"preset": "paper's Table 2", "data": "12 tissues", "arm": "complex", **paired(*TABLE_2.T)}]
    for preset, of_preset in losses.groupby("preset"):
        parts = [*of_preset.groupby("data"), ("all", of_preset)]
        for data, part in parts:
            for arm in ("complex", "acting"):
                both = part[["simple", arm]].dropna().to_numpy()
                if len(both) > 1:
                    table.append({"preset": preset, "data": data, "arm": arm, **paired(*both.T)})
    return pd.DataFrame(table)


def settings(arguments: argparse.Namespace, preset: str) -> Config:
    config = dataclasses.replace(preset_config(preset), split=(0.8, 0.1, 0.1))
    if arguments.full:
        return config
    return dataclasses.replace(config, genes="variable:1000", search_trials=10, search_epochs=20, final_epochs=0)


def add_searches(rows: pd.DataFrame, results: Path, arguments: argparse.Namespace) -> pd.DataFrame:
    """Return the rows with those of the searches that were still to do, as far as the time went."""
    start = time.monotonic()
    done = set(rows[KEYS].itertuples(index=False, name=None))
    for preset in arguments.presets:
        config = settings(arguments, preset)
        for data in arguments.sets:
            todo = [(preset, data, seed, arm) for seed in range(arguments.seeds) for arm in ARMS]
            todo = [key for key in todo if key not in done]
            if not todo or time.monotonic() - start > 60 * arguments.minutes:
                continue
            cells = anndata.read_h5ad(arguments.data / f"{data}.h5ad")
            recipe, training = prepare_training(cells.X, list(cells.var_names), config=config, organism=None)
            for key in todo:
                if time.monotonic() - start > 60 * arguments.minutes:
                    return rows
                row = measure(recipe, training, config=config, arm=key[3], seed=key[2])
                new = pd.DataFrame([{**dict(zip(KEYS, key, strict=True)), **row}])
                rows = pd.concat([rows, new], ignore_index=True) if len(rows) else new
                rows.to_csv(results, sep="\t", index=False)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the h5ad files")
    parser.add_argument("--out", type=Path, required=True, help="folder of simple_complex.tsv")
    parser.add_argument("--sets", nargs="+", default=["tm_facs_kidney", "tm_droplet_immune"])
    parser.add_argument("--presets", nargs="+", default=["default", "paper"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further search after so many")
    parser.add_argument("--full", action="store_true", help="the paper's scale")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = arguments.out / f"simple_complex{'_full' * arguments.full}.tsv"
    rows = pd.read_csv(results, sep="\t") if results.exists() else pd.DataFrame(columns=KEYS)
    rows = add_searches(rows, results, arguments)
    n_wanted = len(arguments.presets) * len(arguments.sets) * arguments.seeds * len(ARMS)
    print(f"{len(rows)} of {n_wanted} searches are done; run the command again for the others\n")
    losses = rows.pivot_table(index=["preset", "data", "seed"], columns="arm", values="test_loss").dropna()
    means = losses.groupby(level=["preset", "data"]).mean()
    print(f"mean test loss over the seeds that all arms have\n{means.to_string(float_format=lambda x: f'{x:.5f}')}")
    print(f"\nagainst simple; below 0: the other is better\n{answers(rows).to_string(index=False)}")


if __name__ == "__main__":
    main()
