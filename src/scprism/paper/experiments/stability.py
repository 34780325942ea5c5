"""Whether other seeds find the same units, or the same space turned about (prediction P7)."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import PCA

from scprism.model.presets import PRESETS
from scprism.paper.data_sets import Source
from scprism.paper.experiments.units import seen_cells, some_inputs
from scprism.paper.measures.bootstrap import Estimate, Outcome, mean_with_interval, number
from scprism.paper.measures.span import canonical_correlation, matched_r2, predicted_share
from scprism.paper.networks import NetworkSpec, NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.section import Section, Verdict, computed, means_by, no_data, refused
from scprism.trust.matching import match_units, paired_jaccard, top_genes
from scprism.trust.networks import gene_weights, view_network
from scprism.types import FloatArray

__all__ = ["STABILITY", "compare_latents"]

PRESETS_TRIED = ("paper", "default")
UNTRAINED_PRESET = "paper"
TOP_GENES = 50
LEAST_SEEDS = 2
NAME = "stability"
CLAIM = "Single units are not stable across seeds; the span of the bottleneck is"
HALF = 0.5
MEASURES = ("matched", "single_r2", "span_r2", "canonical", "jaccard_top50")
TRAINED = ("paper", "default")
TEXT = """Two fits of the same cells are compared over all these cells. `matched`: mean |Spearman| of units matched one
to one; `single_r2`: share of a unit's variance that its one partner explains; `span_r2`: share that all units of the
other fit predict linearly, in cells that the prediction was not fitted on; `canonical`: mean canonical correlation in
such cells; `jaccard_top50`: genes that lead both a unit and its partner. The shares are those of the median unit: a
few units that hardly vary can have shares far below 0. Untrained networks say what random units of so
many cells share, and PCA of random halves of the cells what a method without seeds does."""


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
    return Cell(NAME, {"data": source.name, "kind": kind, "n_fits": n_fits}, (source,), networks)


def run_stability(cell: Cell, store: NetworkStore) -> Rows:
    """Return a row a pair of fits: how far single units, and the space of all, are found again (`compare_latents`).

    ``jaccard_top50``: genes that lead both a unit and its partner, as a share of those that lead either; missing for
    PCA, whose fits are on random halves of the cells, and which sees them as the paper's network does.
    """
    if cell.settings["kind"] == "PCA of halves":
        pairs = combinations(_pca_latents(cell, store), 2)
        return [compare_latents(first, second) for first, second in pairs]
    networks = [store.network(spec) for spec in cell.networks]
    cells = store.cells(cell.sources[0])
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


def _pca_latents(cell: Cell, store: NetworkStore) -> Iterator[FloatArray]:
    network = store.network(cell.networks[0])
    query = network.opened(store.cells(cell.sources[0]))
    x = sparse.vstack([chunk.inputs for chunk in query.chunks()], format="csr")
    rng = np.random.default_rng(0)
    n_components = min(PRESETS[UNTRAINED_PRESET].bottleneck_size, x.shape[0] // 2 - 1, x.shape[1] - 1)
    for _ in range(int(str(cell.settings["n_fits"]))):
        half = np.sort(rng.permutation(x.shape[0])[: x.shape[0] // 2])
        fit = PCA(n_components, svd_solver="arpack", random_state=0).fit(x[half])
        yield np.asarray(fit.transform(x))


def report_stability(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "span_r2" not in rows:
        return no_data(reason=refused(frame) or "No data.", claim=CLAIM, source="P7", paper="–")
    rows = rows.assign(jaccard_top50=rows.get("jaccard_top50", np.nan))
    by_data = rows.groupby(["data", "kind"], sort=False)[list(MEASURES)].mean().reset_index()
    text = "\n\n".join(part for part in (TEXT, refused(frame)) if part)
    tables = (
        ("Means over data sets, with intervals over these", means_by(by_data, ["kind"], MEASURES)),
        ("Means over pairs of fits", by_data),
    )
    return Section(text, tables, verdicts=(_verdict(by_data),))


def _verdict(by_data: pd.DataFrame) -> Verdict:
    def estimate(kind: str, measure: str) -> Estimate:
        return mean_with_interval(by_data.loc[by_data["kind"] == kind, measure].to_numpy(dtype=np.float64))

    kinds = [kind for kind in TRAINED if (by_data["kind"] == kind).any()]
    parts, unstable, spanned = [], [], []
    for kind in kinds:
        single, span = estimate(kind, "single_r2"), estimate(kind, "span_r2")
        unstable.append(single[1][1] < HALF)
        spanned.append(span[1][0] > HALF and span[0] > estimate("untrained", "span_r2")[0])
        parts.append(f"{kind}: partner explains {number(*single, digits=2)}, all units {number(*span, digits=2)}")
    for kind in ("untrained", "PCA of halves"):
        one, all_units = estimate(kind, "single_r2")[0], estimate(kind, "span_r2")[0]
        parts.append(f"{kind}: {one:.2f} and {all_units:.2f}")
    outcome: Outcome = "holds" if kinds and all(unstable) and all(spanned) else "mixed"
    if not any(unstable) or not any(spanned):
        outcome = "does not hold"
    ours = f"share of a median unit's variance, means over {by_data['data'].nunique()} data sets: " + "; ".join(parts)
    why = (
        "Holds where for each preset a partner explains under half of a unit, and all units over half and more than in "
        "untrained networks, intervals being over data sets."
    )
    return Verdict(CLAIM, "P7", "–", ours, outcome, why)


STABILITY = Experiment(
    NAME, "Units and their span over seeds (P7)", plan_stability, run_stability, report_stability, version=3
)
