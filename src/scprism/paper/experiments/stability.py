"""Whether other seeds find the same units, or the same space turned about (prediction P7)."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA

from scprism.model.presets import PRESETS
from scprism.paper.experiments.guided import seen_cells, some_inputs
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.sources import Source
from scprism.paper.experiments.workshop import NetworkSpec, Workshop
from scprism.paper.measures.span import canonical_correlation, matched_r2, predicted_share
from scprism.trust.matching import match_units, paired_jaccard, top_genes
from scprism.trust.networks import gene_weights, view_network
from scprism.types import FloatArray

__all__ = ["STABILITY", "compare_latents"]

PRESETS_TRIED = ("paper", "default")
UNTRAINED_PRESET = "paper"
TOP_GENES = 50
LEAST_SEEDS = 2


def plan_stability(plan: Plan) -> list[Cell]:
    seeds = range(max(LEAST_SEEDS, plan.scale.seeds))
    cells = []
    for source in plan.wholes:
        kinds = {preset: [plan.network(source, preset, s) for s in seeds] for preset in PRESETS_TRIED}
        kinds = {preset: specs for preset, specs in kinds.items() if preset in plan.presets}
        kinds["untrained"] = [plan.untrained(source, UNTRAINED_PRESET, s) for s in seeds]
        cells += [_cell(source, kind, tuple(specs), len(seeds)) for kind, specs in kinds.items()]
        cells.append(_cell(source, "PCA of halves", (plan.untrained(source, UNTRAINED_PRESET, 0),), len(seeds)))
    return cells


def _cell(source: Source, kind: str, networks: tuple[NetworkSpec, ...], n_fits: int) -> Cell:
    return Cell("stability", {"data": source.name, "kind": kind, "n_fits": n_fits}, (source,), networks)


def run_stability(cell: Cell, workshop: Workshop) -> Rows:
    """Return a row a pair of fits: how far single units, and the space of all, are found again (`compare_latents`).

    ``jaccard_top50``: genes that lead both a unit and its partner, as a share of those that lead either; missing for
    PCA, whose fits are on random halves of the cells, and which sees them as the paper's network does.
    """
    if cell.settings["kind"] == "PCA of halves":
        pairs = combinations(_pca_latents(cell, workshop), 2)
        return [compare_latents(first, second) for first, second in pairs]
    networks = [workshop.network(spec) for spec in cell.networks]
    cells = workshop.cells(cell.sources[0])
    latents = [network.latent(network.opened(cells)) for network in networks]
    inputs = some_inputs(networks[0], cells)
    leading = []
    for network in networks:
        seen = seen_cells(network, inputs, method=network.config.attribution, absolute=False)
        leading.append(top_genes(gene_weights(view_network(network.weights, seen).explanation), TOP_GENES))
    rows: Rows = []
    for i, j in combinations(range(len(networks)), 2):
        place = match_units(latents[i], latents[j]).partner
        jaccard = float(np.nanmean(paired_jaccard(leading[i], leading[j][place])))
        rows.append({**compare_latents(latents[i], latents[j]), "jaccard_top50": jaccard})
    return rows


def compare_latents(first: FloatArray, second: FloatArray) -> dict[str, str | int | float | bool | None]:
    """Return how far the units of two latents of the same cells are the same, and how far their spaces are.

    ``matched``: mean |Spearman| of matched units. ``single_r2``: median over units of the squared correlation with the
    partner, what one unit says of another. ``span_r2``: median over units of the share of variance that all units of
    the other latent predict in cells not fitted on, the mean of both directions. ``canonical``: mean canonical
    correlation in such cells.
    """
    matching = match_units(first, second)
    spans = [np.nanmedian(predicted_share(a, b)) for a, b in ((first, second), (second, first))]
    # a unit of `first` is predicted from its partner in `second`
    return {
        "matched": float(np.abs(matching.correlation).mean()),
        "single_r2": float(np.nanmedian(matched_r2(second, first, matching.partner))),
        "span_r2": float(np.mean(spans)),
        "canonical": canonical_correlation(first, second),
    }


def _pca_latents(cell: Cell, workshop: Workshop) -> Iterator[FloatArray]:
    network = workshop.network(cell.networks[0])
    query = network.opened(workshop.cells(cell.sources[0]))
    x = sparse.vstack([chunk.inputs for chunk in query.chunks()], format="csr")
    rng = np.random.default_rng(0)
    n_components = min(PRESETS[UNTRAINED_PRESET].bottleneck_size, x.shape[0] // 2 - 1, x.shape[1] - 1)
    for _ in range(int(str(cell.settings["n_fits"]))):
        half = np.sort(rng.permutation(x.shape[0])[: x.shape[0] // 2])
        fit = PCA(n_components, svd_solver="arpack", random_state=0).fit(x[half])
        yield np.asarray(fit.transform(x))


STABILITY = Experiment("stability", "Units and their span over seeds (P7)", plan_stability, run_stability, version=3)
