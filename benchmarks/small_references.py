"""Small references: cells drawn from larger sets, their usual queries, and rules of voting among the neighbours.

    python benchmarks/small_references.py --data DIR [--store FILE] [--sizes 100 200 400] [--draws 2] [--seeds 2]
    python benchmarks/small_references.py --data DIR --table

For each set, size and draw the default network is trained on the drawn cells alone, and PCA fitted to them; the cosine
neighbours vote by each rule, "as labels" is that of `Model.label`. Printed is macro-F1 over the shared types, mean over
queries, draws and seeds; "types lost" are shared types that no query cell was given. Rules were chosen on `tm_droplet`
and `pbmc3k`, and confirmed on `zilionis` and `baron`. Results are kept in FILE.csv; an interrupted
run goes on.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestNeighbors

from foreign.cells import PARTS, Pair, labels_of
from foreign.methods import Method, Reference, Task, on_shared_genes, open_task, principal
from foreign.neighbours import NEIGHBOURS, label_calls
from foreign.networks import trained
from kept import Kept, Settings, add_store_options
from scprism.errors import PrismWarning
from scprism.label.neighbours import label_weights, majority_label, neighbour_shares
from scprism.model.presets import PRESETS
from scprism.paper.results import Rows
from scprism.query.view import with_gaps_of

QUERIES = {
    "tm_droplet": ("zilionis", "pbmc3k", "kang"),
    "pbmc3k": ("kang", "tm_droplet", "zilionis"),
    "zilionis": ("tm_droplet", "pbmc3k", "kang"),
    "baron": ("kidney",),
}
CHOSEN_ON = ("tm_droplet", "pbmc3k")
RULES = ("15 equal", "7 equal", "5 equal", "15 weighted", "as labels")


def drawn(name: str, folder: Path, *, size: int, draw: int) -> Reference:
    """Return a reference of `size` labelled cells of a set, in the shares that types have there."""
    reference = Reference(name, folder)
    labelled = np.flatnonzero(labels_of(name, reference.cells, fine=False) != "")
    rows = np.random.default_rng([size, draw]).choice(labelled, size, replace=False)
    reference.cells = reference.cells[np.sort(rows)].copy()
    return reference


def scored(task: Task, z: np.ndarray, z_query: np.ndarray) -> list[dict[str, float | str]]:
    """Return macro-F1 of the query's cells by each rule, a row a rule."""
    voters = task.codes >= 0
    codes, places = task.codes[voters], [task.words.index(word) for word in task.types]
    search = NearestNeighbors(n_neighbors=15, metric="cosine", algorithm="brute").fit(z[voters])
    near = codes[search.kneighbors(z_query[task.scored], return_distance=False)]
    weights, rows = label_weights(codes, n_labels=len(task.words)), []
    for rule in RULES:
        k, kind = rule.split()
        if kind == "labels":
            calls = label_calls(z[voters], codes, z_query[task.scored])[NEIGHBOURS.index(15)]
        elif kind == "weighted":
            calls = neighbour_shares(near[:, : int(k)], weights=weights).argmax(axis=1)
        else:
            calls = majority_label(near[:, : int(k)])
        f1 = f1_score(task.truth, calls, labels=places, average="macro", zero_division=0)
        lost = float(np.mean(~np.isin(places, calls)))
        rows.append({"rule": rule, "macro_f1": round(float(f1), 5), "types_lost": lost})
    return rows


def results(reference: Reference, folder: Path, *, seed: int) -> list[dict[str, float | str]]:
    """Return the rows of one draw and seed; PCA has no seed and comes with the first."""
    network = trained(reference, Method("default", ("default",), PRESETS["default"]), seed)
    rows = []
    for name in QUERIES[reference.name]:
        task = open_task(Pair(reference.name, name, ""), reference, folder)
        query = network.opened(task.query)
        z, z_query = network.embedded(with_gaps_of(network.reference, query)), network.embedded(query)
        features = {"default": (z, z_query)}
        if seed == 0:
            x, y = on_shared_genes(task, reference.standard, PRESETS["default"])
            features["PCA-50"] = principal(x.toarray(), y.toarray())
        for kind, (a, b) in features.items():
            rows += [{"query": name, "features": kind, **row} for row in scored(task, a, b)]
    return rows


def table(rows: pd.DataFrame) -> str:
    """Return the means of the results."""
    rows["on"] = np.where(rows["reference"].isin(CHOSEN_ON), "chosen on", "confirmed on")
    shown = rows.pivot_table(index=["features", "rule"], columns=["size", "on"], values="macro_f1")
    shown["types lost"] = rows.groupby(["features", "rule"])["types_lost"].mean()
    n_draws = rows[["reference", "size", "draw"]].drop_duplicates().shape[0]
    return f"{shown.round(3).to_string()}\n{n_draws} references, {rows['seed'].nunique()} seeds of the network"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_store_options(parser)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore", PrismWarning)
    asked = [
        {"reference": name, "size": size, "draw": draw, "seed": seed}
        for seed in range(options.seeds)
        for size in options.sizes
        for draw in range(options.draws)
        for name in QUERIES
    ]

    def files(settings: Settings) -> list[str]:
        name = str(settings["reference"])
        return [PARTS[part].file for part in (name, *QUERIES[name])]

    def compute(settings: Settings) -> Rows:
        name, size, draw, seed = settings.values()
        return results(drawn(name, options.data, size=size, draw=draw), options.data, seed=seed)

    rows = Kept("small references", __file__, options).rows(asked, files, compute)
    if len(rows):
        print(table(rows))


if __name__ == "__main__":
    main()
