"""Whether guided maps tell units apart, and whether they show what was learned (prediction P5)."""

import numpy as np
from anndata import AnnData
from scipy import sparse

from scprism.explain.attribution import GRADIENTS, Attribution, baseline_row
from scprism.explain.explanation import Explanation
from scprism.paper.experiments.pathways import n_networks
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.workshop import Network, Workshop
from scprism.trust.networks import SeenCells, paired_correlation, randomised_views, standard_ranks, view_network
from scprism.trust.sharing import mean_absolute_cosine
from scprism.types import AttributionMethod, FloatArray

__all__ = ["GUIDED", "METHODS", "mean_rank_correlation"]

METHODS: tuple[AttributionMethod, ...] = ("guided", "plain", "deeplift", "gradient_x_input")
PRESETS_TRIED = ("paper", "default")
N_CELLS = 200
N_DRAWS = 3


def plan_guided(plan: Plan) -> list[Cell]:
    return [
        Cell(
            "guided",
            {"data": source.name, "preset": preset, "seed": seed},
            (source,),
            (plan.network(source, preset, seed),),
        )
        for source in plan.wholes
        for preset in PRESETS_TRIED
        if preset in plan.presets
        for seed in range(n_networks(plan, preset, most=plan.scale.seeds))
    ]


def run_guided(cell: Cell, workshop: Workshop) -> Rows:
    """Return a row a method and kind of map, over up to 200 of the cells that the network was trained on.

    ``kind`` is ``"signed"``, the mean attribution, or ``"absolute"``, the paper's mean of |attribution|. ``cosine`` and
    ``between``: mean |cosine| and mean |Spearman| between the maps of different units; ``kept``: mean Spearman of a
    unit's map with itself after the bottleneck's weights were drawn anew, over units and draws.
    """
    network = workshop.network(cell.networks[0])
    inputs = some_inputs(network, workshop.cells(cell.sources[0]))
    rows: Rows = []
    for method in METHODS:
        seen = seen_cells(network, inputs, method=method)
        trained = view_network(network.weights, seen).explanation
        rng = np.random.default_rng(0)
        redrawn = randomised_views(network.weights, seen, layers="bottleneck", n_draws=N_DRAWS, rng=rng)
        for kind in ("signed", "absolute"):
            own = maps_of(trained, kind)
            kept = [paired_correlation(own, maps_of(view.explanation, kind)).mean() for view in redrawn]
            rows.append(
                {
                    "method": method,
                    "kind": kind,
                    "cosine": mean_absolute_cosine(own),
                    "between": mean_rank_correlation(own),
                    "kept": float(np.mean(kept)),
                }
            )
    return rows


def some_inputs(network: Network, cells: AnnData) -> sparse.csr_matrix:
    """Return up to 200 cells, evenly spaced over the data set, as the network sees them, csr (cells, genes)."""
    rows = np.unique(np.linspace(0, cells.n_obs - 1, min(N_CELLS, cells.n_obs)).round().astype(np.int64))
    query = network.opened(cells)
    inputs = sparse.vstack([chunk.inputs for chunk in query.chunks()], format="csr")[rows]
    return (
        sparse.csr_matrix(inputs + sparse.csr_matrix(np.tile(query.fill, (len(rows), 1))))
        if query.fill.any()
        else inputs
    )


def seen_cells(
    network: Network, inputs: sparse.csr_matrix, *, method: AttributionMethod, absolute: bool = True
) -> SeenCells:
    """Return cells for `view_network`, all in one group, attributions against the baseline of the settings."""
    baseline = None
    if method not in GRADIENTS:
        baseline = baseline_row(network.config.baseline, method=method, mean=network.recipe.mean)
    n_cells, n_genes = inputs.shape
    return SeenCells(
        inputs=inputs,
        fill=np.zeros(n_genes, dtype=np.float32),
        genes=network.recipe.genes,
        groups=(),
        codes=np.full(n_cells, -1, dtype=np.int64),
        attribution=Attribution(method=method, baseline=baseline, absolute=absolute),
    )


def maps_of(explanation: Explanation, kind: str) -> FloatArray:
    """Return the maps over all cells, (units, genes)."""
    return np.asarray((explanation.signed if kind == "signed" else explanation.absolute)[-1])


def mean_rank_correlation(maps: FloatArray) -> float:
    """Return the mean |Spearman's correlation| between the maps of different units, (units, genes)."""
    ranks = standard_ranks(maps)
    correlation = np.abs(ranks @ ranks.T)
    n_units = len(maps)
    return float((correlation.sum() - np.trace(correlation)) / (n_units * (n_units - 1)))


GUIDED = Experiment("guided", "Guided maps against other attributions (P5)", plan_guided, run_guided)
