"""Types of foreign cells by their neighbours: Figures 3 and 4 and Section I, with the baselines that these lack."""

from collections.abc import Sequence

import numpy as np
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA

from scprism.model.config import Config
from scprism.model.presets import PRESETS
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows, shared_types
from scprism.paper.experiments.roles import FIGURE_3, FIGURE_4, cast
from scprism.paper.experiments.scale import adam_config
from scprism.paper.experiments.sources import Source
from scprism.paper.experiments.workshop import NetworkSpec, Workshop
from scprism.paper.measures.knn import knn_scores
from scprism.query.view import open_query, with_gaps_of
from scprism.types import FloatArray

__all__ = ["KNN_COMBINED", "KNN_HUMAN", "KNN_SINGLE", "NEIGHBOURS"]

NEIGHBOURS = tuple(range(2, 26))
"""The paper's Results have 2 to 25, its Methods 5 to 25."""
METRICS = ("euclidean", "cosine")
UNTRAINED_PRESET = "paper"
NORMALISED = {
    "per_cell": PRESETS["paper"],
    "per_gene": PRESETS["paper"].changed(normalise="per_gene"),
    "none": PRESETS["paper"].changed(normalise="none", negative_values="keep"),
}
"""How baselines see cells; corrected expression as it is."""


def plan_pairs(name: str, pairs: Sequence[tuple[Source, Source]], plan: Plan) -> list[Cell]:
    """Return the cells of ordered pairs: baselines, untrained networks, and each preset's networks."""
    cells = []
    for reference, query in pairs:
        both = (reference, query)
        settings = {"reference": reference.name, "query": query.name}
        baselines = ("none",) if reference.is_corrected else ("per_cell", "per_gene")
        cells += [Cell(name, {**settings, "features": "baselines", "normalise": n}, both) for n in baselines]
        untrained = [plan.untrained(reference, UNTRAINED_PRESET, seed) for seed in range(plan.scale.untrained_seeds)]
        cells.append(Cell(name, {**settings, "features": "untrained"}, both, tuple(untrained)))
        for preset in plan.presets:
            seeds = 1 if PRESETS[preset].batch_size == 1 else plan.scale.seeds
            networks = tuple(plan.network(reference, preset, seed) for seed in range(seeds))
            cells.append(Cell(name, {**settings, "features": preset}, both, networks))
        if "paper" in plan.presets:
            cells += _adam_cells(name, settings, both, plan)
    return cells


def _adam_cells(name: str, settings: dict[str, str], both: tuple[Source, Source], plan: Plan) -> list[Cell]:
    """Return the cells of the paper's network trained by Adam, and with each gene normalised over the data set."""
    trained = adam_config(plan.scale)
    networks = tuple(NetworkSpec(both[0], trained, seed) for seed in range(plan.scale.seeds))
    cells = [Cell(name, {**settings, "features": "paper, Adam"}, both, networks)]
    if not both[0].is_corrected:
        by_gene = NetworkSpec(both[0], trained.changed(normalise="per_gene"), seed=0)
        cells.append(Cell(name, {**settings, "features": "paper, Adam, per gene"}, both, (by_gene,)))
    return cells


def plan_single(plan: Plan) -> list[Cell]:
    pairs = sharing(cast(plan.sources, FIGURE_3))
    pairs = pairs or [(a, b) for a, b in plan.pairs(plan.singles) if a.organism == b.organism]
    return plan_pairs("knn-single", pairs, plan)


def plan_human(plan: Plan) -> list[Cell]:
    pairs = [(a, b) for a, b in plan.pairs(plan.wholes) if {a.organism, b.organism} == {"human", "mouse"}]
    return plan_pairs("human", pairs, plan)


def plan_combined(plan: Plan) -> list[Cell]:
    sources = [source for source in plan.sources if source.is_corrected]
    return plan_pairs("knn-combined", sharing(cast(sources, FIGURE_4)) or plan.pairs(sources), plan)


def sharing(pairs: Sequence[tuple[Source, Source]]) -> list[tuple[Source, Source]]:
    """Return the pairs that have a type in common; others say nothing of transfer."""
    return [(a, b) for a, b in pairs if shared_types(a, b)]


def run_pair(cell: Cell, workshop: Workshop) -> Rows:
    """Return accuracy and macro-F1 for each kind of features, distance, seed and number of neighbours."""
    reference, query = (workshop.labelled(source) for source in cell.sources)
    if cell.settings["features"] == "baselines":
        return _baselines(cell, reference, query, workshop)
    rows: Rows = []
    for spec in cell.networks:
        network = workshop.network(spec)
        z, z_query = network.latents(reference, query)
        coverage = network.opened(query).alignment.share_of_genes
        for metric in METRICS:
            scores = _scores(z, reference, z_query, query, metric=metric)
            rows += [{"seed": spec.seed, "metric": metric, "coverage": coverage, **row} for row in scores]
    return rows


def _baselines(cell: Cell, reference: AnnData, query: AnnData, workshop: Workshop) -> Rows:
    """Return the scores of all genes, of PCA of them, and of one's own normalisation on either side."""
    config = NORMALISED[str(cell.settings["normalise"])]
    x, x_query = _normalised(cell.sources[0], reference, query, config=config, workshop=workshop)
    n_components = min(PRESETS["paper"].bottleneck_size, *(n - 1 for n in x.shape))
    pca = PCA(n_components, svd_solver="arpack", random_state=0).fit(x)
    parts = (pca.transform(x), pca.transform(x_query))
    rows: Rows = []
    for features, (values, values_query) in {"all genes": (x, x_query), "PCA": parts}.items():
        for metric in METRICS:
            scores = _scores(values, reference, values_query, query, metric=metric)
            rows += [{"features": features, "metric": metric, "seed": 0, **row} for row in scores]
    return rows


def _normalised(
    source: Source, reference: AnnData, query: AnnData, *, config: Config, workshop: Workshop
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return both sides as the paper's network would see them, float32 csr in the genes that both have."""
    recipe, _ = workshop.prepared(source, config)
    opened = open_query(query, recipe, config, min_coverage=0.0)
    known = with_gaps_of(open_query(reference, recipe, config, min_coverage=0.0), opened)
    sides = [sparse.vstack([chunk.inputs for chunk in side.chunks()], format="csr") for side in (known, opened)]
    present = np.flatnonzero(opened.alignment.gene_map.present)
    return sides[0][:, present], sides[1][:, present]


def _scores(
    z: FloatArray | sparse.csr_matrix,
    reference: AnnData,
    z_query: FloatArray | sparse.csr_matrix,
    query: AnnData,
    *,
    metric: str,
) -> Rows:
    dense = [values.toarray() if isinstance(values, sparse.csr_matrix) else values for values in (z, z_query)]
    types = [side.obs["type"].to_numpy(dtype=str) for side in (reference, query)]
    table = knn_scores(dense[0], types[0], dense[1], types[1], neighbours=NEIGHBOURS, metric=metric)  # type: ignore[arg-type]
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


KNN_SINGLE = Experiment(
    "knn-single", "Label transfer between data sets of one platform (Figure 3)", plan_single, run_pair
)
KNN_COMBINED = Experiment(
    "knn-combined", "Label transfer between corrected data sets (Figure 4)", plan_combined, run_pair
)
KNN_HUMAN = Experiment("human", "Label transfer between human and mouse (Section I)", plan_human, run_pair)
