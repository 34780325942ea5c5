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
from sklearn.metrics import roc_auc_score

from scprism.errors import InputError, PrismWarning
from scprism.estimator.load import load
from scprism.estimator.prism import Prism
from scprism.label.neighbours import neighbour_finder
from scprism.label.query_shift import UsualRange
from scprism.label.reference import calibration_sample, label_cells, learn_reference
from scprism.label.result import Labels
from scprism.model.config import Config
from scprism.paper.measures.calibration import calibration_error
from scprism.paper.measures.ontology import harmonise

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
    rng = np.random.default_rng(0)
    centres, sheets = rng.normal(size=(30, 50)), 0.35 * rng.normal(size=(30, 6, 50))
    sizes = rng.dirichlet(np.ones(30))

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        kind, values = rng.choice(30, n, p=sizes), np.empty((n, 50), dtype=np.float32)
        for k in range(30):
            rows = np.flatnonzero(kind == k)
            along = rng.normal(size=(len(rows), 6)) @ sheets[k]
            values[rows] = centres[k] + along + 0.25 * rng.normal(size=(len(rows), 50))
        return values, kind.astype(str)

    (reference, kinds), (query, _) = draw(n_references), draw(n_queries)
    config, start = Config(), time.perf_counter()
    keys = rng.permutation(n_references).astype(np.uint64)
    sample, usual = calibration_sample(np.zeros(n_references, dtype=bool), keys), UsualRange((0, 0, 0), (0, 0, 0))
    labels, simulated = pd.Series(kinds), [reference[sample]] * 8
    index = learn_reference(
        reference, labels, keys=keys, sample=sample, simulated=simulated, usual=usual, config=config
    )
    learned = time.perf_counter()
    label_cells(query, index, names=pd.RangeIndex(n_queries), config=config)
    done = time.perf_counter()
    fast, exact = (
        neighbour_finder(reference, metric="cosine", exact=e)(query[:2000], N_NEIGHBOURS) for e in (None, True)
    )
    recall = np.mean([len(set(a) & set(b)) for a, b in zip(fast.cell, exact.cell, strict=True)]) / N_NEIGHBOURS
    print(f"{n_queries:,} cells against {n_references:,}, 50 units, cosine, k = {N_NEIGHBOURS}:")
    print(f"index learned in {learned - start:.1f} s; cells labelled in {done - learned:.1f} s; recall {recall:.4f}")


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
