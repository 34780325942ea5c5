"""Data whose types a model has never met: how they look in its space (Figure 2), what it keeps of them (Section F)."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

from scprism.model.presets import PRESETS
from scprism.paper.data_sets import FIGURE_2, Source, figure_pairs, shared_types
from scprism.paper.measures.bootstrap import paired
from scprism.paper.measures.knn import knn_scores
from scprism.paper.networks import Network, NetworkSpec, NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.scale import adam_config
from scprism.paper.section import Section, Verdict, percent
from scprism.report.palette import label_styles
from scprism.report.projection import project
from scprism.types import FloatArray

__all__ = ["NO_OVERLAP", "UMAP", "cross_validated_f1", "kept_neighbours"]

N_NEIGHBOURS = 15
N_FOLDS = 5
MOST_DRAWN = 600
BASELINES = ("untrained", "PCA", "all genes")


def plan_umap(plan: Plan) -> list[Cell]:
    pairs = figure_pairs(plan.sources, FIGURE_2)
    if not pairs and len(plan.wholes) > 1:
        partners = {s: len([1 for a, _ in plan.pairs(plan.wholes) if a == s]) for s in plan.wholes}
        first = max(plan.wholes, key=lambda s: (partners[s], len(s.types)))
        pairs = [(first, data) for data in plan.wholes if data != first]
    networks: dict[str, Callable[[Source], NetworkSpec]] = {
        preset: partial(plan.network, preset=preset) for preset in plan.presets
    }
    if "paper" in networks:
        networks["paper, Adam"] = partial(NetworkSpec, config=adam_config(plan.scale), seed=0)
    return [
        Cell("umap", {"preset": name, "model": model.name, "data": data.name}, (data,), (network(model),))
        for name, network in networks.items()
        for model, data in pairs
    ]


def run_umap(cell: Cell, store: NetworkStore) -> Rows:
    """Return two coordinates of each cell, before and after the encoder, and how many neighbours the encoder keeps."""
    network = store.network(cell.networks[0])
    cells = store.labelled(cell.sources[0])
    rows = np.unique(np.linspace(0, cells.n_obs - 1, min(MOST_DRAWN, cells.n_obs)).round().astype(int))
    cells = cells[rows]
    views = {"original": _expression(network, cells), "encoded": network.latent(network.opened(cells))}
    kept = kept_neighbours(*views.values(), n_neighbours=N_NEIGHBOURS)
    types = cells.obs["type"].to_numpy(dtype=str)
    found: Rows = []
    for view, values in views.items():
        places = project(_reduced(values), metric="cosine", method=network.config.projection, rng=0).coordinates
        score = cross_validated_f1(values, types)
        found += [
            {"view": view, "x": float(x), "y": float(y), "type": kind, "kept": kept, "f1": score}
            for (x, y), kind in zip(places.tolist(), types.tolist(), strict=True)
        ]
    return found


def plan_no_overlap(plan: Plan) -> list[Cell]:
    cells = []
    for query in plan.wholes:
        foreign = [s for s in plan.wholes if s != query and not shared_types(s, query)]
        if len(query.types) < 2 or not foreign:
            continue
        own = {"query": query.name, "model": query.name}
        for preset in plan.presets:
            cells.append(Cell("no-overlap", {**own, "features": preset}, (query,), (plan.network(query, preset),)))
            cells += [
                Cell(
                    "no-overlap",
                    {"query": query.name, "model": s.name, "features": preset},
                    (query,),
                    (plan.network(s, preset),),
                )
                for s in foreign
            ]
        if "paper" in plan.presets:
            trained = {model: NetworkSpec(model, adam_config(plan.scale), seed=0) for model in (query, *foreign)}
            cells += [
                Cell("no-overlap", {"query": query.name, "model": m.name, "features": "paper, Adam"}, (query,), (spec,))
                for m, spec in trained.items()
            ]
        untrained = [plan.untrained(query, "paper", seed) for seed in range(plan.scale.seeds)]
        cells.append(Cell("no-overlap", {**own, "features": "untrained"}, (query,), tuple(untrained)))
    return cells


def run_no_overlap(cell: Cell, store: NetworkStore) -> Rows:
    """Return how well types are told apart by their neighbours in the latent space, in PCA's and among all genes."""
    cells = store.labelled(cell.sources[0])
    types = cells.obs["type"].to_numpy(dtype=str)
    rows: Rows = []
    for spec in cell.networks:
        network = store.network(spec)
        query = network.opened(cells)
        coverage = query.alignment.share_of_genes
        score = cross_validated_f1(network.latent(query), types)
        rows.append({"seed": spec.seed, "coverage": coverage, "f1": score})
        if cell.settings["features"] == "untrained" and spec.seed == 0:
            x = _expression(network, cells)
            parts = _reduced(x)
            rows.append({"features": "PCA", "seed": 0, "coverage": 1.0, "f1": cross_validated_f1(parts, types)})
            rows.append({"features": "all genes", "seed": 0, "coverage": 1.0, "f1": cross_validated_f1(x, types)})
    return rows


def _expression(network: Network, cells: AnnData) -> FloatArray:
    query = network.opened(cells)
    stacked = sparse.vstack([chunk.inputs for chunk in query.chunks()], format="csr")
    return np.asarray(stacked[:, np.flatnonzero(query.alignment.gene_map.present)].toarray())


def _reduced(values: FloatArray) -> FloatArray:
    """Return as many principal components as the paper's networks have units, or fewer where there are no more."""
    n_components = min(PRESETS["paper"].bottleneck_size, *(n - 1 for n in values.shape))
    return np.asarray(PCA(n_components, svd_solver="randomized", random_state=0).fit_transform(values))


def cross_validated_f1(values: FloatArray, types: np.ndarray) -> float:
    """Return the macro-F1 of neighbours (15, cosine) within one data set, mean over 5 folds.

    Types with fewer cells than folds are left out.
    """
    counts = pd.Series(types).value_counts()
    kept = np.isin(types, counts.index[counts >= N_FOLDS])
    values, types = values[kept], types[kept]
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0).split(values, types)
    return float(np.mean(list(_fold_scores(values, types, folds))))


def _fold_scores(
    values: FloatArray, types: np.ndarray, folds: "Iterable[tuple[np.ndarray, np.ndarray]]"
) -> "Iterable[float]":
    for known, held in folds:
        scores = knn_scores(
            values[known], types[known], values[held], types[held], neighbours=(N_NEIGHBOURS,), metric="cosine"
        )
        yield float(scores["macro_f1"].iloc[0])


def kept_neighbours(first: FloatArray, second: FloatArray, *, n_neighbours: int) -> float:
    """Return the mean share of a cell's neighbours (cosine) in one space that it has in the other too.

    Examples
    --------
    >>> points = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> kept_neighbours(points, -points, n_neighbours=1)
    1.0
    """
    places = [
        NearestNeighbors(n_neighbors=n_neighbours + 1, metric="cosine").fit(values).kneighbors(return_distance=False)
        for values in (first, second)
    ]
    shares = [
        len(np.intersect1d(a[:n_neighbours], b[:n_neighbours])) / n_neighbours for a, b in zip(*places, strict=True)
    ]
    return float(np.mean(shares))


def report_umap(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Figure 2."""
    frame = frames[UMAP.name]
    if "x" not in frame or frame["x"].notna().sum() == 0:
        return Section("There are no two data sets here.")
    known = frame[frame["x"].notna()]
    scores = known.groupby(["preset", "data", "view"], sort=False)["f1"].first().reset_index()
    table = scores.pivot_table(index=["preset", "data"], columns="view", values="f1", sort=False)
    kept = known.groupby(["preset", "data"], sort=False)["kept"].first()
    table = table[["original", "encoded"]].assign(neighbours_kept=kept).reset_index()
    figures = {
        f"umap-{str(preset).replace(', ', '-')}": (
            f"`{preset}`, trained on {part['model'].iloc[0]}: UMAP of the values (left) and of the latent",
            _panels(part),
        )
        for preset, part in known.groupby("preset", sort=False)
    }
    differences = {
        str(p): paired((t["encoded"] - t["original"]).to_numpy()) for p, t in table.groupby("preset", sort=False)
    }
    main = differences.get("paper") or next(iter(differences.values()))
    text = (
        "One model, the other data sets unchanged. F1: macro-F1 of neighbours (15, cosine, 5-fold) within the data "
        "set; neighbours kept: share of a cell's 15 neighbours by its expression that it has in the latent too."
    )
    verdict = Verdict(
        "The structure of foreign data in the latent matches that in the input",
        "Figure 2",
        "by eye",
        "; ".join(f"`{p}` F1 encoded less original: {d.text}" for p, d in differences.items())
        + f"; neighbours kept {percent(table['neighbours_kept'].min())}–{percent(table['neighbours_kept'].max())}",
        main.outcome(margin=0.05),
        "matches: at most 0.05 lost; the outcome is `paper`'s",
        differences["default"].outcome(margin=0.05) if "default" in differences else "",
    )
    return Section(text, (("Structure kept", table),), figures, (verdict,))


def report_no_overlap(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Section F."""
    frame = frames[NO_OVERLAP.name]
    if "f1" not in frame or frame["f1"].notna().sum() == 0:
        return Section("No data set here has a model that shares none of its types.")
    known = frame[frame["f1"].notna()]
    is_own = known["model"] == known["query"]
    presets = [p for p in known["features"].unique() if p not in BASELINES]
    table = pd.DataFrame(
        {
            **{f"{p}, own": known[is_own & (known["features"] == p)].groupby("query")["f1"].mean() for p in presets},
            **{
                f"{p}, foreign": known[~is_own & (known["features"] == p)].groupby("query")["f1"].mean()
                for p in presets
            },
            **{b: known[known["features"] == b].groupby("query")["f1"].mean() for b in BASELINES},
        }
    )
    n_models = known[~is_own].groupby("query")["model"].nunique()
    shown = next(name for name in ("paper", *presets) if name in presets)
    ours = paired((table["default, foreign"] - table["untrained"]).to_numpy()) if "default" in presets else None
    against = {b: paired((table[f"{shown}, foreign"] - table[b]).to_numpy()) for b in ("untrained", "PCA")}
    own = paired((table[f"{shown}, foreign"] - table[f"{shown}, own"]).to_numpy())
    text = (
        "Networks trained on data without a type of the query, the query's types told apart by their neighbours within "
        "the query (15, cosine, 5-fold). Foreign: mean over models; PCA and all genes are the query's own."
    )
    verdict = Verdict(
        "A model generalises to data without shared cell types",
        "Section F",
        "supplement, not available to us",
        f"`{shown}`, foreign less untrained: {against['untrained'].text}; less own model: {own.text}; less own PCA: "
        f"{against['PCA'].text}",
        against["untrained"].outcome(),
        "the claim asks for more than an untrained network gives",
        "" if ours is None else ours.outcome(),
    )
    return Section(text, (("Macro-F1", table.assign(models=n_models).reset_index()),), {}, (verdict,))


def _panels(part: pd.DataFrame) -> Figure:
    names = list(part["data"].unique())
    figure, axes = plt.subplots(len(names), 2, figsize=(9, 2.9 * len(names)), squeeze=False, layout="constrained")
    for row, name in zip(axes, names, strict=True):
        cells = part[part["data"] == name]
        styles = label_styles(cells["type"].value_counts().index)
        for ax, view in zip(row, ("original", "encoded"), strict=True):
            drawn = cells[cells["view"] == view]
            for kind, style in styles.items():
                chosen = drawn[drawn["type"] == kind]
                ax.scatter(chosen["x"], chosen["y"], s=6, c=style.colour, marker=style.marker, linewidths=0, label=kind)
            ax.set(xticks=[], yticks=[])
            ax.set_title(f"{name}, {view}", fontsize="small")
        row[1].legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
    return figure


UMAP = Experiment("umap", "Foreign data in the space of one model (Figure 2)", plan_umap, run_umap, report_umap)
NO_OVERLAP = Experiment(
    "no-overlap", "Transfer without shared cell types (Section F)", plan_no_overlap, run_no_overlap, report_no_overlap
)
