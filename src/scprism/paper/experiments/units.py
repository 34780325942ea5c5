"""For several experiments about units: which foreign cells are explained, and which gene sets the units form."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism.enrichment.enrich import Scores, enrich
from scprism.enrichment.gene_sets import gene_sets
from scprism.enrichment.settings import GseaSettings
from scprism.explain.attribution import GRADIENTS, Attribution, baseline_row
from scprism.explain.explanation import Explanation
from scprism.explain.grouping import asked_attribution, explain_query
from scprism.label.labels import labels_as_text
from scprism.paper.data_sets import FIGURE_5, Source, figure_pairs, shared_types
from scprism.paper.networks import Network
from scprism.paper.plan import Plan
from scprism.trust.networks import SeenCells
from scprism.types import AttributionMethod, FloatArray

__all__ = [
    "commonest_types",
    "explain_units",
    "file_shape",
    "foreign_pairs",
    "n_labelled",
    "n_networks",
    "off_orthonormal",
    "seen_cells",
    "small_pairs",
    "some_inputs",
    "unit_scores",
    "unit_sets",
]

N_TYPES = 4
"""Types that are explained: as many as the paper's mammary data set has."""
LEAST_OF_TYPE = 15
N_NETWORKS = 2
N_CELLS = 200
LEAST_GENES = 5000
"""A file of fewer genes is a selection, such as receptors alone, and says little of gene sets."""


def foreign_pairs(plan: Plan, *, per_organism: int = 2) -> list[tuple[Source, Source]]:
    """Return pairs of a model's data and foreign cells, as strange to each other as the data allow.

    Whole data sets of one organism, pairs with the fewest types in common first and larger ones before smaller; no data
    set is twice the model's, or twice the query. The paper's pair where its tissues are there.
    """
    if pairs_of_figure := figure_pairs(plan.sources, FIGURE_5):
        return pairs_of_figure
    usable = [s for s in plan.wholes if s.organism and len(s.types) > 1 and file_shape(s.path)[1] >= LEAST_GENES]
    pairs = [(a, b) for a in usable for b in usable if a != b and a.organism == b.organism]
    chosen: list[tuple[Source, Source]] = []
    for pair in sorted(pairs, key=lambda p: (len(shared_types(*p)), -min(map(n_labelled, p)), p[0].name, p[1].name)):
        of_organism = [known for known in chosen if known[0].organism == pair[0].organism]
        is_new = all(pair[0] != known[0] and pair[1] != known[1] for known in of_organism)
        if is_new and len(of_organism) < per_organism:
            chosen.append(pair)
    return chosen


def small_pairs(plan: Plan, *, n: int = 2) -> list[tuple[Source, Source]]:
    """Return the pairs of `foreign_pairs` on whose data networks are trained fastest, for experiments with many."""
    return sorted(foreign_pairs(plan), key=lambda pair: (file_shape(pair[0].path), pair[0].name))[:n]


def n_labelled(source: Source) -> int:
    """Return how many of a source's cells have a type."""
    return sum(n for _, n in source.types)


@lru_cache(maxsize=64)
def file_shape(path: str) -> tuple[int, int]:
    """Return how many cells and genes a file has."""
    cells = anndata.read_h5ad(path, backed="r")
    shape = (int(cells.n_obs), int(cells.n_vars))
    cells.file.close()
    return shape


def commonest_types(cells: AnnData, *, n: int = N_TYPES) -> "pd.Series[str]":
    """Return each cell's type if it is one of the `n` commonest with 15 cells or more, NaN otherwise."""
    types = labels_as_text(cells.obs["type"])
    counts = types.value_counts()
    kept = counts[counts >= LEAST_OF_TYPE].index[:n]
    return types.where(types.isin(kept))


def explain_units(
    network: Network,
    cells: AnnData,
    *,
    groupby: "pd.Series[str] | None",
    method: AttributionMethod | None = None,
    absolute: bool = True,
) -> Explanation:
    """Return which genes drive each unit in foreign cells, by group and over all; the settings' method by default."""
    attribution = asked_attribution(
        network.config, method=method, baseline=None, reference=None, directions=None, mean=network.recipe.mean
    )
    attribution = replace(attribution, absolute=absolute)
    return explain_query(
        network.opened(cells), cells, weights=network.weights, groupby=groupby, attribution=attribution
    )


def unit_scores(method: AttributionMethod) -> Scores:
    """Return what genes are ranked by: the paper's difference of |gradient|, or the signed mean of an attribution."""
    return "difference" if method in GRADIENTS else "signed"


def unit_sets(network: Network, cells: AnnData, *, n_permutations: int, types: Sequence[str] = ()) -> pd.DataFrame:
    """Return the enrichment of Hallmark sets in each unit's map, in each of the commonest types of foreign cells.

    Parameters
    ----------
    n_permutations
        Of each test.
    types
        Types in place of the commonest.
    """
    known = labels_as_text(cells.obs["type"])
    groups = known.where(known.isin(list(types))) if types else commonest_types(cells)
    scores = unit_scores(network.config.attribution)
    explanation = explain_units(network, cells, groupby=groups, absolute=scores == "difference")
    sets = gene_sets("hallmark", organism=network.recipe.organism)
    own = explanation if scores == "difference" else without_whole(explanation)
    return enrich(own, sets, scores=scores, settings=GseaSettings(n_permutations), rng=0, threads=1).table


def without_whole(explanation: Explanation) -> Explanation:
    """Return the explanation of the groups alone, without that of all cells; unchanged if there is no other."""
    kept = [i for i, name in enumerate(explanation.groups) if name != "all"]
    if not kept:
        return explanation
    return replace(
        explanation,
        signed=explanation.signed[kept],
        absolute=explanation.absolute[kept],
        groups=tuple(explanation.groups[i] for i in kept),
        n_cells=explanation.n_cells[kept],
    )


def n_networks(plan: Plan) -> int:
    """Return how many networks of a preset are looked at."""
    return min(N_NETWORKS, plan.scale.seeds)


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


def off_orthonormal(weight: FloatArray) -> float:
    """Return the Frobenius norm of I − W Wᵀ, W being (units, hidden)."""
    rows = weight.astype(np.float64)
    return float(np.linalg.norm(np.eye(len(rows)) - rows @ rows.T))
