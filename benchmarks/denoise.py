"""Denoising scored by molecules that no method has seen, against PCA, kNN smoothing, MAGIC and scVI.

    python benchmarks/denoise.py baron_human1                          within: trained on the cells' first part
    python benchmarks/denoise.py tm_droplet_immune:mouse_lung_immune   foreign: trained on the first data set
    … --share 0.9        a tenth of the molecules held out, instead of half
    … --seeds 3          thinnings, each with a model of its own; mean and standard deviation are printed
    … --only own PCA     rows whose names begin so
    … --store FILE       results are kept there; what is kept is not computed again
    … --scvi-python PATH an interpreter with scvi-tools, for the rows of scVI
    … --markdown         tables as in docs/denoise.md

A method gets one part of each cell's molecules and is scored on the others, in the genes of our model that the cells
have: multinomial deviance a molecule, mean squared error of log1p counts per million, and the contrasts between
labelled types (`denoising/measures.py`). `raw counts` are what was seen, `own counts` have a share of the mean profile
mixed in, so that no gene is ruled out, `mean profile` gives every cell the same. `by reference` is learned on other
cells and applied unchanged, `on itself` is learned on the very cells that are denoised. What a method leaves open
(rank, scale and share of the mean profile of PCA, neighbours, strength of the shrinkage) is chosen by molecular
cross-validation inside the first part. MAGIC is a row where magic-impute is installed.
"""

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from denoising.measures import MEASURES, measured
from denoising.methods import Predict, background, chosen, improved, knn, magic, ours, pca, rows_to_one, scvi
from denoising.task import Task, prepare, read
from kept import Kept, Settings, add_store_options
from scprism.paper.results import Rows

RANKS = (2, 5, 10, 20, 30, 50)
NEIGHBOURS = (5, 15, 40, 100)
DIGITS = {"deviance": 3, "log error": 2, "fold change r": 3, "fold change slope": 2, "marker AUROC": 3}


def methods(task: Task, scvi_python: Path | None) -> dict[str, Callable[[], dict[str, Predict]]]:
    """Return what makes the groups of rows, by the beginning of the rows' names; nothing is computed yet."""
    seen, seed, by = task.seen, task.seed, ", by reference" if task.foreign else ""
    grid = [(rank, scale) for rank in RANKS for scale in ("sqrt", "log")]

    def by_pca(learned_on: sparse.csr_matrix | None, name: str) -> dict[str, Predict]:
        candidates = {f"rank {r}, {s}": pca(r, s, learned_on) for r, s in grid}
        return improved(name, chosen(candidates, seen if learned_on is None else learned_on, seed=seed), task)

    def by_knn(pool: sparse.csr_matrix | None, name: str) -> dict[str, Predict]:
        return {name: chosen({f"{k} neighbours": knn(k, pool) for k in NEIGHBOURS}, seen, seed=seed)}

    return {
        "raw": lambda: {"raw counts": lambda c: rows_to_one(c.toarray())},
        "own": lambda: {"own counts": chosen({"own": lambda c: rows_to_one(c.toarray())}, seen, seed=seed)},
        "mean": lambda: {"mean profile": lambda c: np.tile(background(c), (c.shape[0], 1))},
        "kNN": lambda: by_knn(None, "kNN smoothing, on itself"),
        "PCA": lambda: by_pca(None, "PCA, on itself"),
        "scprism": lambda: {
            **improved("scprism" + by, ours(task, adjust=False), task),
            "scprism" + by + ", adjusted (denoise)": ours(task, adjust=True),
        },
        "kNN, by": lambda: by_knn(task.reference, "kNN smoothing, by reference"),
        "PCA, by": lambda: by_pca(task.reference, "PCA, by reference"),
        "MAGIC": lambda: {"MAGIC, on itself": chosen({"MAGIC": magic}, seen, seed=seed)},
        "scVI": lambda: improved("scVI" + by, scvi(task, scvi_python), task),
    }


def computed(task: Task, makers: dict[str, Callable[[], dict[str, Predict]]], *, group: str) -> Rows:
    """Return the scores of a group of rows."""
    rows: Rows = []
    for name, predict in makers[group]().items():
        begin = time.monotonic()
        proportions = predict(task.seen)
        seconds = time.monotonic() - begin
        scores = dict(zip(MEASURES, map(float, measured(task, proportions)), strict=True))
        rows.append({"row": name, **scores, "seconds": seconds})
        print(f"  {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()), flush=True)
    return rows


def main() -> None:
    arguments = options()
    warnings.simplefilter("ignore")
    kept = Kept("denoise", __file__, arguments)
    prepared = cache(partial(prepared_task, folder=arguments.data, share=arguments.share))

    def compute(settings: Settings) -> Rows:
        task = prepared(str(settings["pair"]), int(str(settings["seed"])))
        return computed(task, methods(task, arguments.scvi_python), group=str(settings["group"]))

    for pair in arguments.pairs:
        asked = [
            {"pair": pair, "share": arguments.share, "seed": seed, "group": group}
            for seed in range(arguments.seeds)
            for group in asked_groups(pair, arguments)
        ]
        table = kept.rows(asked, lambda settings: str(settings["pair"]).split(":"), compute)
        if len(table):
            show(table, pair, markdown=arguments.markdown)


def prepared_task(pair: str, seed: int, *, folder: Path, share: float) -> Task:
    """Return what a seed's methods are given, and say what it is."""
    reference, query, labels = read(pair, folder)
    counts = sparse.csr_matrix((reference if query is None else query).X)
    task = prepare(reference, query, labels, share=share, seed=seed)
    print(
        f"{pair.split(':')[-1]}: median {np.median(counts.sum(axis=1).A1):,.0f} molecules a cell, "
        f"{(counts.data > 1).sum() / (counts.data > 0).sum():.0%} of the counts that are not 0 are above 1"
    )
    print(
        f"{pair}, seed {seed}: {task.seen.shape[0]:,} cells × {len(task.genes):,} genes, median "
        f"{np.median(task.seen.sum(axis=1).A1):,.0f} molecules seen a cell",
        flush=True,
    )
    return task


def show(table: pd.DataFrame, pair: str, *, markdown: bool) -> None:
    """Print the means over the seeds, and where there are several their standard deviations."""
    print(f"\n{pair}, {table['share'].iloc[0]:g} of the molecules seen; seeds {sorted(set(table['seed']))}")
    by_row = table.groupby("row", sort=False)[[*MEASURES, "seconds"]]
    mean, spread, n_seeds = by_row.mean(), by_row.std(), by_row.size()
    if not markdown:
        parts = {"": mean, " sd": spread} if n_seeds.max() > 1 else {"": mean}
        wide = pd.concat([t.add_suffix(s) for s, t in parts.items()], axis=1)
        print(wide.to_string(float_format=lambda v: f"{v:.4f}"))
        return
    print(f"| method | seeds | {' | '.join(MEASURES)} |\n|{'---|' * (len(MEASURES) + 2)}")
    for row in mean.index:
        cells = [
            f"{mean.loc[row, m]:.{DIGITS[m]}f}" + (f" ± {spread.loc[row, m]:.{DIGITS[m]}f}" if n_seeds[row] > 1 else "")
            for m in MEASURES
        ]
        print(f"| {row} | {n_seeds[row]} | {' | '.join(cells)} |")


def asked_groups(pair: str, arguments: argparse.Namespace) -> list[str]:
    """Return the names of the groups of rows that are asked for and can be computed here."""
    names = ["raw", "own", "mean", "kNN", "PCA", "scprism"]
    names += ["kNN, by", "PCA, by"] if ":" in pair else []
    names += ["MAGIC"] if importlib.util.find_spec("magic") is not None else []
    names += ["scVI"] if arguments.scvi_python is not None else []
    return [name for name in names if not arguments.only or any(name.startswith(start) for start in arguments.only)]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", metavar="PAIR", help="DATA, or REFERENCE:QUERY")
    add_store_options(parser)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--scvi-python", type=Path)
    parser.add_argument("--markdown", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
