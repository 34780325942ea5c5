"""Labels from one reference by many methods, over all ordered pairs of data sets with labels in common; tables.

    python benchmarks/label_rules.py --data DIR [--store FILE] [--only PATTERN ...] [--minutes M]
    python benchmarks/label_rules.py --data DIR --table
    python benchmarks/label_rules.py --data DIR --trust [--only 'PAIR' ...]
    python benchmarks/label_rules.py --data DIR --references
    python benchmarks/label_rules.py --data DIR --missing

A method's log probabilities are kept in the store under pair, method and seed, so that an interrupted run goes on where
it stopped and a stack of methods costs nothing. Choices were made on the pairs of the group "choose", both of whose
data sets are on that side of the split; of "one side new" one data set played no part, of "confirm" none did.
With --trust: calibration, false alarms and new types as `scprism label` has them, a row a pair, and another row by a
reference without one of the types.
With --references: the accuracy by each of several references of one query, and by the one that is chosen.
With --missing: eight pairs, with 10 to 90 % of the query's genes dropped at random.
Scores are macro-F1 over the types of which both sides have 5 cells; intervals are over pairs (bootstrap, 95 %).
"""

import argparse
import time
import warnings
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from one_reference.cells import Pair, all_pairs, group_of
from one_reference.product import gap_row, left_out_type, reference_rows, trust_row
from one_reference.store import Store
from one_reference.task import open_task
from one_reference.voices import voice
from scprism.errors import PrismWarning

UNION = "hallmark+variable"
VOICES = (
    "scprism",
    "knn shared",
    "sklearn shared",
    "celltypist",
    "regression variable",
    f"regression {UNION}",
    "rule pca hallmark",
    f"rule pca {UNION}",
    "rule pca hallmark platforms=0.3",
    "rule pca variable platforms=0.3",
    f"rule pca {UNION} platforms=0.3",
    "rule network hallmark clean",
    "rule network hallmark clean platforms=0.3",
    "rule network hallmark no-dropout",
    "rule network hallmark clean&no-dropout",
)
RULE = f"rule pca {UNION} platforms=0.3"
STACKS = {
    "regression + rule": {"regression variable": 1.0, RULE: 1.0},
    "two regressions + rule": {"regression variable": 0.5, f"regression {UNION}": 0.5, RULE: 1.0},
    "two regressions + rule without platforms": {
        "regression variable": 0.5,
        f"regression {UNION}": 0.5,
        f"rule pca {UNION}": 1.0,
    },
    "two regressions + rule, variable genes": {
        "regression variable": 0.5,
        f"regression {UNION}": 0.5,
        "rule pca variable platforms=0.3": 1.0,
    },
    "two regressions + neighbours": {"regression variable": 0.5, f"regression {UNION}": 0.5, "knn shared": 1.0},
    "regression + rule in the network": {
        "regression variable": 1.0,
        "rule network hallmark clean platforms=0.3": 1.0,
    },
}
GAP_PAIRS = (
    "kang>pbmc3k:fine",
    "ifnb_ctrl>pbmc3k",
    "tm_droplet>kang",
    "tm_droplet>mouse_lung",
    "nsclc>tm_droplet",
    "baron>baron_mouse",
    "baron_mouse>baron",
    "kidney>baron",
)
DROPPED = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)
BASELINES = ("knn shared", "sklearn shared", "celltypist", RULE)


def compute(pairs: list[Pair], store: Store, options: argparse.Namespace) -> None:
    """Compute what is not in the store."""
    stop = time.monotonic() + 60 * options.minutes
    for pair in pairs:
        task = None
        for name in VOICES:
            for seed in range(options.seeds if "network" in name else 1):
                wanted = not options.only or any(fnmatch(f"{name} {pair.name}", p) for p in options.only)
                if not wanted or store.read(pair.name, name, seed) is not None:
                    continue
                if time.monotonic() > stop:
                    return
                task = task or open_task(pair, options.data)
                start = time.perf_counter()
                logs = voice(name, task, seed=seed, kept=options.networks)
                store.write(pair.name, name, seed, logs=logs, seconds=time.perf_counter() - start)
                print(f"{pair.name} {name} seed {seed}: {time.perf_counter() - start:.1f} s", flush=True)


def scores(pairs: list[Pair], store: Store, options: argparse.Namespace) -> pd.DataFrame:
    """Return macro-F1, a row a pair, a column a method or stack; the mean over seeds and numbers of neighbours."""
    columns = {name: {name: 1.0} for name in VOICES} | STACKS
    rows = {}
    for pair in pairs:
        task = open_task(pair, options.data)
        rows[pair.name] = {
            name: np.mean(found)
            for name, parts in columns.items()
            if (found := [s for seed in range(options.seeds) for s in _scores(pair, parts, store, seed, task)])
        }
    return pd.DataFrame(rows).T.reindex(columns=list(columns))


def _scores(pair: Pair, parts: dict[str, float], store: Store, seed: int, task: object) -> list[float]:
    said = [store.read(pair.name, name, seed if "network" in name else 0) for name in parts]
    if any(logs is None for logs in said) or (seed and not any("network" in name for name in parts)):
        return []
    total = sum(weight * logs for weight, logs in zip(parts.values(), said, strict=True))
    return [f1_score(task.truth, t.argmax(axis=1), labels=task.types, average="macro", zero_division=0) for t in total]


def print_trust(pairs: list[Pair], options: argparse.Namespace) -> None:
    """Print a row a pair as it is computed, one more by a reference that lacks a type, and means over pairs."""
    rows = {}
    for pair in pairs:
        if options.only and not any(fnmatch(pair.name, pattern) for pattern in options.only):
            continue
        task = open_task(pair, options.data)
        left_out = left_out_type(task)
        for without in (None,) if left_out is None else (None, left_out):
            name = pair.name if without is None else f"{pair.name} without {without}"
            kind = {"crosses": float(pair.crosses), "group": group_of(pair), "lacks": "own" if without is None else "1"}
            rows[name] = {**trust_row(task, without=without), **kind}
            print(name, {k: round(v, 3) for k, v in rows[name].items() if isinstance(v, float)}, flush=True)
    found = pd.DataFrame(rows).T.infer_objects()
    print(found.round(3).to_string())
    for column in ("crosses", "group", "lacks"):
        print(found.groupby(column).mean(numeric_only=True).round(3).to_string())
    own = found[found["lacks"] == "own"]
    print(f"all: {found.mean(numeric_only=True).round(3).to_dict()}")
    print(f"ece of at most .08: {(own['ece'] <= 0.08).mean():.2f} of the pairs, greatest {own['ece'].max():.3f}")


def print_references(pairs: list[Pair], options: argparse.Namespace) -> None:
    """Print a row a query that has two references or more, at the coarse level, and means over queries."""
    rows = {}
    for query in dict.fromkeys(pair.query for pair in pairs):
        own = [pair for pair in pairs if pair.query == query and pair.level == "coarse"]
        if len(own) > 1:
            rows[query] = reference_rows([open_task(pair, options.data) for pair in own])
            print(query, {name: round(value, 3) for name, value in rows[query].items()}, flush=True)
    print(pd.DataFrame(rows).T[["best", "mean", "by query", "by cell"]].mean().round(3).to_string())


def print_missing(pairs: list[Pair], options: argparse.Namespace) -> None:
    """Print macro-F1 by the share of genes dropped, a row a pair, and means."""
    rows = []
    for pair in pairs:
        if pair.name in GAP_PAIRS:
            task = open_task(pair, options.data)
            found = {share: gap_row(task, share) for share in DROPPED}
            rows += [{"pair": pair.name, "dropped": share, **row} for share, row in found.items()]
            print(pair.name, {share: round(row["macro_f1"], 3) for share, row in found.items()}, flush=True)
    print(pd.DataFrame(rows).groupby("dropped").mean(numeric_only=True).round(3).to_string())


def table(pairs: list[Pair], found: pd.DataFrame) -> str:
    """Return means by group of pairs, the share of pairs within .01 of the best baseline, and intervals."""
    groups = pd.Series({pair.name: group_of(pair) for pair in pairs})
    crosses = pd.Series({pair.name: pair.crosses for pair in pairs})
    best = found[[name for name in BASELINES if name in found]].max(axis=1)
    rng, rows = np.random.default_rng(0), {}
    for name, column in found.items():
        values = column.dropna()
        if values.empty:
            continue
        draws = values.to_numpy()[rng.integers(0, len(values), (2000, len(values)))].mean(axis=1)
        own, across = groups[values.index], crosses[values.index]
        row = {"pairs": len(values), "all": values.mean(), "low": np.quantile(draws, 0.025)}
        row |= {"high": np.quantile(draws, 0.975), "within": values[~across].mean(), "across": values[across].mean()}
        row |= {group: values[own == group].mean() for group in ("choose", "one side new", "confirm")}
        row["near best"] = (values >= best[values.index] - 0.01).mean()
        rows[name] = row
    return pd.DataFrame(rows).T.round(3).to_string()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the h5ad files")
    parser.add_argument("--store", type=Path, default=Path("label_rules.sqlite"), help="where results are kept")
    parser.add_argument("--networks", type=Path, default=Path("networks"), help="folder that keeps trained networks")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the networks")
    parser.add_argument("--only", action="append", default=[], metavar="'METHOD PAIR'", help="patterns with * and ?")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this time; run again to go on")
    parser.add_argument("--table", action="store_true", help="print what is there; compute nothing")
    parser.add_argument("--trust", action="store_true", help="print confidence and novelty instead")
    parser.add_argument("--references", action="store_true", help="print what is chosen among references instead")
    parser.add_argument("--missing", action="store_true", help="print what missing genes cost instead")
    options = parser.parse_args()
    warnings.simplefilter("ignore", PrismWarning)
    pairs, store = all_pairs(options.data), Store(options.store)
    for wanted, shown in (
        (options.trust, print_trust),
        (options.references, print_references),
        (options.missing, print_missing),
    ):
        if wanted:
            shown(pairs, options)
            return
    if not options.table:
        compute(pairs, store, options)
    found = scores(pairs, store, options)
    print(found.round(3).to_string())
    print(table(pairs, found))


if __name__ == "__main__":
    main()
