"""Two platforms corrected together (the paper's combined data): how they mix, and whether types are still apart."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA

from scprism.label.neighbours import neighbour_finder
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.sources import BATCH
from scprism.paper.experiments.workshop import Workshop
from scprism.paper.measures.knn import knn_scores
from scprism.prepare.normalise import log_counts_per
from scprism.types import FloatArray

__all__ = ["INTEGRATE", "batch_mixing"]

N_NEIGHBOURS = 15
N_COMPONENTS = 50


def plan_mixing(plan: Plan) -> list[Cell]:
    return [
        Cell(
            "integrate",
            {"data": source.name, "method": source.method},
            (source,),
            tuple(plan.network(source, preset) for preset in plan.presets if preset != "as_released"),
        )
        for source in plan.sources
        if source.is_combined
    ]


def run_mixing(cell: Cell, workshop: Workshop) -> Rows:
    """Return mixing and label transfer from each batch to the others, in PCA of the values and in networks' latents."""
    cells = workshop.labelled(cell.sources[0])
    views = {"PCA": _components(cells, is_counts=not cell.sources[0].is_corrected)}
    for spec in cell.networks:
        network = workshop.network(spec)
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


INTEGRATE = Experiment("integrate", "Two platforms corrected together (the combined data)", plan_mixing, run_mixing)
