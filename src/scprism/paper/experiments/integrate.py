"""Two platforms corrected together (the paper's combined data): how they mix, and whether types are still apart."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA

from scprism.label.neighbours import neighbour_finder
from scprism.paper.data_sets import BATCH
from scprism.paper.measures.bootstrap import paired
from scprism.paper.measures.knn import knn_scores
from scprism.paper.networks import NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.section import Section, Verdict
from scprism.prepare.normalise import log_counts_per
from scprism.types import FloatArray

__all__ = ["INTEGRATE", "batch_mixing", "transfer_f1"]

NAME = "integrate"
N_NEIGHBOURS = 15
N_COMPONENTS = 50


def plan_mixing(plan: Plan) -> list[Cell]:
    return [
        Cell(
            NAME,
            {"data": source.name, "method": source.method},
            (source,),
            tuple(plan.network(source, preset) for preset in plan.presets if preset != "as_released"),
        )
        for source in plan.sources
        if source.is_combined
    ]


def run_mixing(cell: Cell, store: NetworkStore) -> Rows:
    """Return mixing and label transfer from each batch to the others, in PCA of the values and in networks' latents."""
    cells = store.labelled(cell.sources[0])
    views = {"PCA": _components(cells, is_counts=not cell.sources[0].is_corrected)}
    for spec in cell.networks:
        network = store.network(spec)
        name = "default" if spec.config.counts_as_targets else "paper"
        views[name] = network.latent(network.opened(cells))
    batches, types = (cells.obs[column].to_numpy(dtype=str) for column in (BATCH, "type"))
    return [
        {
            "features": name,
            "mixing": batch_mixing(values, batches, types),
            "macro_f1": transfer_f1(values, batches, types),
            "n_genes": cells.n_vars,
            "n_cells": cells.n_obs,
        }
        for name, values in views.items()
    ]


def batch_mixing(values: FloatArray, batches: np.ndarray, types: np.ndarray) -> float:
    """Return how often neighbours (15, cosine) are of another batch, over how often they would be by chance.

    Among cells of the same type, so that batches with other types are not asked to mix; mean over types that at least
    two batches have. 1 for batches that cannot be told apart, 0 for none mixed.
    """
    shares = []
    for kind in np.unique(types):
        inside = types == kind
        counts = pd.Series(batches[inside]).value_counts()
        if len(counts) < 2 or counts.iloc[1] < N_NEIGHBOURS:
            continue
        found = neighbour_finder(values[inside], metric="cosine")(values[inside], N_NEIGHBOURS + 1)
        own = batches[inside]
        others = (own[found.cell[:, 1:]] != own[:, None]).mean(axis=1)
        expected = 1 - (own[:, None] == own[None, :]).mean(axis=1)
        shares.append(float((others / expected).mean()))
    return float(np.mean(shares)) if shares else float("nan")


def transfer_f1(values: FloatArray, batches: np.ndarray, types: np.ndarray) -> float:
    """Return the macro-F1 of calling each batch's cells by their neighbours in the other batches, mean over batches."""
    scores = []
    for batch in np.unique(batches):
        inside = batches == batch
        table = knn_scores(
            values[~inside], types[~inside], values[inside], types[inside], neighbours=(N_NEIGHBOURS,), metric="cosine"
        )
        scores.append(float(table["macro_f1"].iloc[0]))
    return float(np.mean(scores))


def _components(cells: AnnData, *, is_counts: bool) -> FloatArray:
    values = cells.X
    if is_counts:
        counts = sparse.csr_matrix(values)
        values = log_counts_per(counts, library=np.asarray(counts.sum(axis=1)).ravel(), target_sum=1e4)
    dense = values.toarray() if sparse.issparse(values) else np.asarray(values)
    return np.asarray(PCA(min(N_COMPONENTS, cells.n_vars - 1), random_state=0).fit_transform(dense))


def report_mixing(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of the corrected data sets."""
    frame = frames[NAME]
    if "mixing" not in frame or frame["mixing"].notna().sum() == 0:
        return Section("No two data sets here can be corrected together.")
    known = frame[frame["mixing"].notna()].copy()
    known["data"] = known["data"].str.removesuffix(" (uncorrected)")
    known["corrected"] = known["method"].where(known["method"] != "none", "uncorrected")
    table = known[["data", "corrected", "features", "mixing", "macro_f1", "n_genes", "n_cells"]]
    wide = known.assign(done=known["method"] != "none").pivot_table(
        index=["data", "features"], columns="done", values=["mixing", "macro_f1"]
    )
    change = {v: paired((wide[v][True] - wide[v][False]).to_numpy()) for v in ("mixing", "macro_f1")}
    methods = ", ".join(sorted(set(known["method"]) - {"none"}))
    text = (
        f"Corrected by {methods}, and joined without correction. Mixing: how often a cell's neighbours of its own type "
        "(15, cosine) come from another batch, over chance; 1 is perfect. Macro-F1: types of a batch by neighbours in "
        "the others. PCA of all genes that are there, the networks' latents from Hallmark genes."
    )
    verdict = Verdict(
        "Batch correction extends generalisation across platforms",
        "Figure 4",
        "no measure of its own",
        f"mixing, corrected less not: {change['mixing'].text}; macro-F1: {change['macro_f1'].text}",
        change["macro_f1"].outcome(margin=0.01)
        if change["mixing"].outcome() == "holds"
        else change["mixing"].outcome(),
        "holds: more mixing, and types at most 0.01 harder to tell",
    )
    return Section(text, (("Batches and types", table),), {}, (verdict,))


INTEGRATE = Experiment(
    NAME, "Two platforms corrected together (the combined data)", plan_mixing, run_mixing, report_mixing
)
