"""How far labels can be trusted within a data set: calibration and unknown types; and the speed of labelling.

    python benchmarks/labels.py held  --data DIR [--only SET ...]
    python benchmarks/labels.py few   --data DIR [--only SET ...]
    python benchmarks/labels.py types --data DIR [--only SET ...]
    python benchmarks/labels.py two   --data DIR [--only SET ...]
    python benchmarks/labels.py speed [--queries 1000000] [--references 100000]

"held": the labels of a set as they came; 80 % of the cells of each are the reference, the others are labelled. "few": a
reference of 10 cells of each label. "types": references without one type, for each; its cells and the held-out cells of
the other types are labelled. "two": references of the two commonest types. AUROC tells cells of new types from the
others by `novelty_p` and by confidence. ECE has 10 bins of equal width. "alarms" are cells of known types called novel,
"caught" cells of new types called novel. From one data set to another: `benchmarks/label_rules.py --trust`.
"""

import argparse
import time
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.metrics import roc_auc_score

from scprism.errors import PrismWarning
from scprism.label.labels import known_labels
from scprism.label.neighbours import neighbour_finder
from scprism.label.transfer import Learner, label_query, learn_labels
from scprism.model.config import Config
from scprism.paper.measures.calibration import calibration_error
from scprism.query.view import query_in
from scprism.read.checked import check_cells

SETS = {
    "tm_droplet_immune": "cell_type",
    "pbmc3k": "cell_type",
    "tm_facs_kidney": "cell_ontology_class",
    "sc_mixology": "cell_line",
    "baron_human1": "cell_type",
    "baron_mouse": "cell_type",
    "mouse_lung_immune": "Major_cell_type",
    "pbmc_kang": "cell_type",
    "tms_facs_liver": "cell_ontology_class",
}
LEAST_CELLS = 10
N_NEIGHBOURS = 15


def opened(data: Path, name: str) -> tuple[AnnData, np.ndarray]:
    """Return the cells of a set with labels of at least `LEAST_CELLS` cells, and the labels."""
    cells = anndata.read_h5ad(data / f"{name}.h5ad")
    types = known_labels(cells, SETS[name]).fillna("").to_numpy(dtype=str)
    sizes = pd.Series(types[types != ""]).value_counts()
    kept = np.isin(types, sizes.index[sizes >= LEAST_CELLS])
    cells = cells[kept].copy()
    cells.obs["type"] = types[kept]
    return cells, types[kept]


def in_reference(types: np.ndarray, share: float = 0.8, most: int | None = None) -> np.ndarray:
    """Return which cells are the reference: a share of each type, or so many cells."""
    rng, is_in = np.random.default_rng(0), np.zeros(len(types), dtype=bool)
    for name in pd.unique(types):
        cells = rng.permutation(np.flatnonzero(types == name))
        is_in[cells[: most or int(share * len(cells))]] = True
    return is_in


def row_of(cells: AnnData, types: np.ndarray, reference: np.ndarray, asked: np.ndarray) -> dict[str, float]:
    """Return how the labels of some cells by others fare; types that the reference lacks are new."""
    learner = Learner(Config(), None, None)
    learned = learn_labels(check_cells(cells[reference].copy()), "type", learner=learner, organism=None)["type"]
    query = query_in(check_cells(cells[asked].copy()), learned.recipe, Config(), organism=learned.recipe.organism)
    calls, _ = label_query(query, learned, names=cells.obs_names[asked])
    truth, new = types[asked], ~np.isin(types[asked], learned.names)
    right, novel = (calls["label"] == truth).to_numpy(), calls["novel"].to_numpy()
    confidence = calls["confidence"].to_numpy()
    row = {"labels": len(learned.names), "cells": int(reference.sum()), "accuracy": right[~new].mean()}
    row |= {"confidence": confidence[~new].mean(), "ece": calibration_error(confidence[~new], right[~new])}
    row["alarms"] = novel[~new].mean()
    if new.any():
        row |= {"caught": novel[new].mean(), "auroc_novelty": roc_auc_score(new, -calls["novelty_p"])}
        row["auroc_confidence"] = roc_auc_score(new, -confidence)
    return row


def held_out(data: Path, name: str) -> list[dict]:
    cells, types = opened(data, name)
    reference = in_reference(types)
    return [{"set": name, **row_of(cells, types, reference, ~reference)}]


def few(data: Path, name: str) -> list[dict]:
    cells, types = opened(data, name)
    reference = in_reference(types, most=10)
    return [{"set": name, **row_of(cells, types, reference, ~reference)}]


def left_out_types(data: Path, name: str) -> list[dict]:
    cells, types = opened(data, name)
    reference, rows = in_reference(types), []
    for left_out in pd.unique(types) if len(pd.unique(types)) > 2 else ():
        new = types == left_out
        rows.append({"set": name, "without": left_out, **row_of(cells, types, reference & ~new, new | ~reference)})
    return rows


def two_types(data: Path, name: str) -> list[dict]:
    cells, types = opened(data, name)
    known = np.isin(types, pd.Series(types).value_counts().index[:2])
    reference = in_reference(types)
    return [{"set": name, **row_of(cells, types, reference & known, ~reference)}]


def speed(n_queries: int, n_references: int) -> None:
    """Print how long it takes to learn a reference of 30 types in 4,000 genes, and to label cells by it."""
    draw, genes = np.random.default_rng(0), [f"GENE{i}" for i in range(4000)]
    rates = draw.gamma(0.2, 1.0, (30, len(genes)))
    shares, sizes = rates / rates.sum(axis=1, keepdims=True), draw.dirichlet(np.ones(30))

    def drawn(n: int) -> AnnData:
        kinds = draw.choice(30, n, p=sizes)
        depth = draw.integers(500, 2000, n)
        columns = np.concatenate([draw.choice(len(genes), d, p=shares[k]) for k, d in zip(kinds, depth, strict=True)])
        indptr = np.concatenate([[0], np.cumsum(depth)])
        counts = sparse.csr_matrix((np.ones(len(columns), dtype=np.float32), columns, indptr), shape=(n, len(genes)))
        counts.sum_duplicates()
        cells = AnnData(counts)
        cells.var_names, cells.obs["type"] = genes, kinds.astype(str)
        return cells

    part = min(n_queries, 50_000)
    reference, query = check_cells(drawn(n_references)), check_cells(drawn(part))
    start = time.perf_counter()
    learned = learn_labels(reference, "type", learner=Learner(Config(), None, None), organism="human")["type"]
    middle = time.perf_counter()
    opened = query_in(query, learned.recipe, Config(), organism="human")
    right = []
    for _ in range(n_queries // part):
        table, _ = label_query(opened, learned, names=query.cells.obs_names)
        right.append((table["label"] == query.cells.obs["type"]).mean())
    done = time.perf_counter()
    print(f"{n_references:,} cells of 30 types learned from in {middle - start:.1f} s")
    print(f"{part * len(right):,} cells labelled in {done - middle:.1f} s, {np.mean(right):.1%} rightly")
    points = learned.rule.classifier.points
    asked = points[:1000] + draw.normal(0, points.std(), (1000, points.shape[1])).astype(np.float32) / 4
    exact, found = (neighbour_finder(points, metric="cosine", exact=e)(asked, N_NEIGHBOURS).cell for e in (True, False))
    recall = np.mean([len(set(a) & set(b)) / N_NEIGHBOURS for a, b in zip(exact, found, strict=True)])
    print(f"inverted file: {recall:.4f} of the {N_NEIGHBOURS} nearest of {len(points):,} cells found")


PARTS = {"held": held_out, "few": few, "types": left_out_types, "two": two_types}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "speed"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", action="append", choices=list(SETS))
    parser.add_argument("--queries", type=int, default=1_000_000)
    parser.add_argument("--references", type=int, default=100_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore", PrismWarning)
    if options.part == "speed":
        speed(options.queries, options.references)
        return
    rows = [row for name in options.only or SETS for row in PARTS[options.part](options.data, name)]
    table = pd.DataFrame(rows)
    print(table.round(3).to_string(index=False))
    print(table.groupby("set").mean(numeric_only=True).mean().round(3).to_dict())


if __name__ == "__main__":
    main()
