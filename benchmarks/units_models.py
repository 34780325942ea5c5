"""What `units.py` measures of whole models: the sets of their units, what labels and reconstruction lose, the cost."""

import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import NMF
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

import scprism
from scprism.estimator.programs import program_chunks
from scprism.estimator.units import found_sets
from scprism.units.fitting import fit_with_runs
from scprism.units.inference import activity
from scprism.units.runs import gene_shuffled

SETS = ("tm_droplet_immune", "pbmc3k", "baron_mouse")
LABELS = "cell_type"
UNTRAINED = scprism.Config(max_epochs=1, learning_rate=1e-12)
SIGNIFICANT = 0.05


def found(folder: Path, *, quick: bool) -> pd.DataFrame:
    """Return how many gene sets units form: programs, raw units, an untrained network's, those of shuffled cells.

    Programs as `model.units` shows them, and all units by the same test: pre-ranked analysis of each unit's genes (a
    program's weights less their mean over programs; a raw unit's mean attributions over all cells), q < 0.05, either
    direction. Shuffled cells: each gene's counts dealt out anew; of programs none comes back there, so those of NMF.
    """
    rows = []
    for name in SETS[: 1 if quick else None]:
        cells = _read(folder, name)
        shuffled = cells.copy()
        shuffled.X = gene_shuffled(sparse.csr_matrix(cells.X), np.random.default_rng(1))
        model = scprism.Prism(device="cpu", rng=0).fit(cells)
        untrained = scprism.Prism(UNTRAINED, device="cpu", rng=0, units="raw")
        noise = scprism.Prism(device="cpu", rng=0, units="raw").fit(shuffled)
        sets = scprism.gene_sets("hallmark", organism=model.organism)
        shown = [[one for one in own if one.direction == "up"] for own in model.named_units.sets]
        rows.append(_counts(name, "programs, as shown", [[one.name for one in own] for own in shown]))
        counted = model.programs * model.named_units.units.gene_weights
        rows.append(_counts(name, "programs", _significant(counted - counted.mean(), sets)))
        parts = {"raw units": (model, cells), "untrained": (untrained.fit(cells), cells), "shuffled": (noise, shuffled)}
        for kind, (network, given) in parts.items():
            rows.append(_counts(name, kind, _significant(network.explain(given, units="raw").frame("all"), sets)))
        values = _values(model, shuffled)
        programs = pd.DataFrame(NMF(15, init="random", random_state=0, max_iter=80).fit(values).components_)
        programs.columns = list(model.genes)
        rows.append(_counts(name, "NMF 15, shuffled", _significant(programs - programs.mean(), sets)))
        units, runs = fit_with_runs(_values(model, shuffled), rng=0)
        sets_there = found_sets(units, runs, model.genes, organism=model.organism, rng=np.random.default_rng(0))
        rows.append(_counts(name, "programs, shuffled", [[one.name for one in own] for own in sets_there]))
    return pd.DataFrame(rows).set_index(["data", "units"])


def losses(folder: Path, *, quick: bool) -> pd.DataFrame:
    """Return what units cost labels and reconstruction: a fifth of the cells labelled by, and decoded from, the rest.

    Macro-F1 of `model.label` with and without units (one network, so one number), and of 15 nearest neighbours among
    the activities alone; share of the variance of the expression that the network's units, our programs, and as many
    of NMF reconstruct (log1p counts per 10,000, Hallmark genes).
    """
    rows = []
    for name in SETS[: 1 if quick else None]:
        cells = _read(folder, name)
        order = np.random.default_rng(3).permutation(cells.n_obs)
        query, reference = cells[np.sort(order[::5])].copy(), cells[np.sort(np.setdiff1d(order, order[::5]))].copy()
        model = scprism.Prism(device="cpu", rng=0).fit(reference)
        raw = scprism.Prism(device="cpu", rng=0, units="raw").fit(reference)
        truth = query.obs[LABELS].astype(str)
        given = [one.label(query, reference=reference, labels=LABELS)["label"] for one in (model, raw)]
        near = KNeighborsClassifier(15).fit(model.activity(reference), reference.obs[LABELS].astype(str))
        seen, held = _values(model, reference), _values(model, query)
        units = model.named_units.units
        ours = _explained(held, activity(units, held) @ units.programs)
        nmf = NMF(len(units.names), init="random", random_state=0, max_iter=200).fit(seen)
        rows.append(
            {
                "data": name,
                "same network": model.fingerprint == raw.fingerprint,
                "F1 with units": f"{f1_score(truth, given[0], average='macro'):.3f}",
                "F1 without": f"{f1_score(truth, given[1], average='macro'):.3f}",
                "F1 by activities": f"{f1_score(truth, near.predict(model.activity(query)), average='macro'):.3f}",
                "n units": len(units.names),
                "explained by units": f"{ours:.3f}",
                "by NMF": f"{_explained(held, nmf.transform(held) @ nmf.components_):.3f}",
                "loss with units": f"{model.summary['test_loss']:.4f}",
                "loss without": f"{raw.summary['test_loss']:.4f}",
            }
        )
    return pd.DataFrame(rows).set_index("data")


def speed(folder: Path, *, quick: bool) -> pd.DataFrame:
    """Return seconds of processor of a fit of units, of one NMF run on the same cells (15, 80 steps), of a network."""
    rows = []
    for name in SETS[: 1 if quick else None]:
        cells = _read(folder, name)
        scprism.Prism(UNTRAINED, device="cpu", rng=0).fit(cells)  # compiles
        start = time.process_time()
        model = scprism.Prism(device="cpu", rng=0, units="raw").fit(cells)
        network = time.process_time() - start
        values = _values(model, cells)
        start = time.process_time()
        units, runs = fit_with_runs(values, rng=0)
        fit = time.process_time() - start
        found_sets(units, runs, model.genes, organism=model.organism, rng=np.random.default_rng(0))
        sets = time.process_time() - start - fit
        start = time.process_time()
        NMF(15, init="random", random_state=0, max_iter=80, tol=0.0).fit(values)
        one = time.process_time() - start
        rows.append(
            {
                "data": name,
                "cells": cells.n_obs,
                "units": f"{fit:.1f}",
                "their sets": f"{sets:.1f}",
                "one run": f"{one:.2f}",
                "network": f"{network:.1f}",
                "units / run": f"{fit / one:.1f}",
                "units / network": f"{(fit + sets) / network:.2f}",
            }
        )
    return pd.DataFrame(rows).set_index("data")


MODEL_MEASURES = {"found": found, "losses": losses, "speed": speed}


def _read(folder: Path, name: str) -> anndata.AnnData:
    return anndata.read_h5ad(folder / f"{name}.h5ad")


def _values(model: scprism.Model, cells: anndata.AnnData) -> sparse.csr_matrix:
    return sparse.vstack([values for _, values in program_chunks(model.view(cells).query)], format="csr")


def _explained(values: sparse.csr_matrix, decoded: np.ndarray) -> float:
    """Return the share of the variance around each gene's mean."""
    dense = values.toarray()
    return 1 - ((dense - decoded) ** 2).sum() / ((dense - dense.mean(axis=0)) ** 2).sum()


def _significant(scores: pd.DataFrame, sets: dict[str, list[str]]) -> list[list[str]]:
    table = scprism.gsea(scores, sets, rng=0)
    hits = table[table["q_value"] < SIGNIFICANT]
    return [hits.loc[hits["ranking"] == unit, "gene_set"].tolist() for unit in scores.index]


def _counts(data: str, kind: str, sets: list[list[str]]) -> dict[str, object]:
    numbers = np.array([len(own) for own in sets])
    distinct = {name for own in sets for name in own}
    return {
        "data": data,
        "units": kind,
        "n": len(numbers),
        "sets a unit, median": float(np.median(numbers)) if len(numbers) else 0.0,
        "none": int((numbers == 0).sum()),
        "one to three": int(((numbers >= 1) & (numbers <= 3)).sum()),
        "more": int((numbers > 3).sum()),
        "distinct sets": len(distinct),
        "units a set": float(numbers.sum() / len(distinct)) if distinct else 0.0,
    }
