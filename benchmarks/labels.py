"""How far labels can be trusted: calibration, unknown types, false alarms, and the speed of labelling.

    python benchmarks/labels.py held    --data ../shared/data [--only SET ...] [--models DIR]
    python benchmarks/labels.py foreign --data ../shared/data [--only SET ...] [--models DIR]
    python benchmarks/labels.py types   --data ../shared/data [--only SET ...] [--models DIR]
    python benchmarks/labels.py speed   [--queries 1000000] [--references 100000]

Types are coarse ones (`scprism.paper.measures.ontology`); models are of the preset `default`, trained on 80 % of a set.
"held": the other 20 %. "foreign": every other set that has some of its types; cells of other types are wrong by
construction and stand apart ("new"). "types": for each type, a model and a reference without it; AUROC is that of
1 − confidence for telling its cells from held-out cells of the other types. ECE has 10 bins of equal width. "alarms"
are cells of known types called novel, "caught" cells of new types called novel. Choices (the two distances that make
up the relative distance, the weight of unknown cells, the threshold's cells) were made on tm_droplet_immune, pbmc3k,
tm_facs_kidney and sc_mixology ("dev" in the last column); the other sets ("check") were looked at more than once while
choices were still made, so they confirm less than untouched data would.
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

from scprism.errors import InputError, PrismWarning
from scprism.estimator.load import load
from scprism.estimator.prism import Prism
from scprism.label.result import Labels
from scprism.label.transfer import Learner, label_query, learn_labels
from scprism.model.config import Config
from scprism.paper.measures.calibration import calibration_error
from scprism.paper.measures.ontology import harmonise
from scprism.query.view import query_in
from scprism.read.checked import check_cells

SETS = {
    "tm_droplet_immune": "cell_type",
    "pbmc3k": "cell_type",
    "tm_facs_kidney": "cell_ontology_class",
    "sc_mixology": "cell_line",
    "baron_human1": "cell_type",
    "mouse_lung_immune": "Major_cell_type",
    "pbmc_kang": "cell_type",
    "tms_facs_liver": "cell_ontology_class",
}
DEV = ("tm_droplet_immune", "pbmc3k", "tm_facs_kidney", "sc_mixology")
LEAST_CELLS = 10
N_NEIGHBOURS = 15


def labelled(data: Path, name: str) -> anndata.AnnData:
    cells = anndata.read_h5ad(data / f"{name}.h5ad")
    cells.obs["coarse"] = harmonise(cells.obs[SETS[name]]).to_numpy()
    return cells[cells.obs["coarse"].notna().to_numpy()].copy()


def in_reference(types: np.ndarray) -> np.ndarray:
    """Return which cells are the reference: 80 % of each type."""
    rng, place = np.random.default_rng(0), np.zeros(len(types))
    for name in pd.unique(types):
        cells = np.flatnonzero(types == name)
        place[rng.permutation(cells)] = (np.arange(len(cells)) + 0.5) / len(cells)
    return place < 0.8


def trained(cells: anndata.AnnData, models: Path | None, name: str) -> Prism:
    """Return a model of the cells with an index; it is kept in `models`, and taken from there if it is there."""
    folder = None if models is None else models / name.replace(" ", "_")
    if folder is not None and folder.is_dir():
        return load(folder).index(cells, labels="coarse")
    model = Prism(rng=0, device="cpu").fit(cells)
    if folder is not None:
        model.save(folder)
    return model.index(cells, labels="coarse")


def scores(calls: Labels, types: np.ndarray, known: np.ndarray) -> dict[str, float]:
    right = (calls["label"] == types).to_numpy()
    confidence, novel = calls["confidence"].to_numpy(), calls["novel"].to_numpy()
    new = ~known
    row = {"cells": len(types), "known": known.mean(), "accuracy": right[known].mean()}
    row |= {"confidence": confidence[known].mean(), "ece": calibration_error(confidence[known], right[known])}
    row |= {"ece_with_new": calibration_error(confidence, right), "alarms": novel[known].mean()}
    if new.any():
        row |= {"confidence_new": confidence[new].mean(), "caught": novel[new].mean()}
    return row


def held_out(data: Path, name: str, models: Path | None) -> list[dict]:
    cells = labelled(data, name)
    types = cells.obs["coarse"].to_numpy(dtype=str)
    reference = in_reference(types)
    calls = trained(cells[reference].copy(), models, f"{name}/all").label(cells[~reference].copy())
    return [{"set": name, **scores(calls, types[~reference], np.ones((~reference).sum(), dtype=bool))}]


def foreign(data: Path, name: str, models: Path | None) -> list[dict]:
    cells = labelled(data, name)
    reference = in_reference(cells.obs["coarse"].to_numpy(dtype=str))
    model = trained(cells[reference].copy(), models, f"{name}/all")
    there, rows = set(cells.obs["coarse"]), []
    for other in SETS:
        query = labelled(data, other) if other != name else None
        types = np.array([]) if query is None else query.obs["coarse"].to_numpy(dtype=str)
        known = np.isin(types, list(there))
        if known.sum() < LEAST_CELLS:
            continue
        try:
            calls = model.label(query, min_coverage=0.1)
        except InputError as error:
            print(f"{name} → {other}: {error}")
            continue
        rows.append({"set": name, "query": other, **scores(calls, types, known)})
    return rows


def left_out_types(data: Path, name: str, models: Path | None) -> list[dict]:
    cells = labelled(data, name)
    types = cells.obs["coarse"].to_numpy(dtype=str)
    reference, rows = in_reference(types), []
    for left_out, n_cells in pd.Series(types).value_counts().items():
        if n_cells < LEAST_CELLS:
            continue
        new = types == left_out
        asked = new | ~reference
        model = trained(cells[reference & ~new].copy(), models, f"{name}/{left_out}")
        calls = model.label(cells[asked].copy())
        auroc = roc_auc_score(new[asked], 1 - calls["confidence"])
        rows.append({"set": name, "type": left_out, "auroc": auroc, **scores(calls, types[asked], ~new[asked])})
    return rows


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["held", "foreign", "types", "speed"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", action="append", choices=list(SETS))
    parser.add_argument("--models", type=Path, help="Folder that keeps the trained models for the next call.")
    parser.add_argument("--queries", type=int, default=1_000_000)
    parser.add_argument("--references", type=int, default=100_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore", PrismWarning)
    if options.part == "speed":
        speed(options.queries, options.references)
        return
    rows = []
    for name in options.only or SETS:
        part = {"held": held_out, "foreign": foreign, "types": left_out_types}[options.part]
        rows += [
            {**row, "chosen_on": "dev" if name in DEV else "check"} for row in part(options.data, name, options.models)
        ]
    table = pd.DataFrame(rows)
    print(table.round(3).to_string(index=False))
    if options.part == "types":
        print("mean over types:", table.groupby("set")["auroc"].mean().round(3).to_dict())


if __name__ == "__main__":
    main()
