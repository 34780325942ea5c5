"""Types of foreign cells by their neighbours: Figures 3 and 4 and Section I, with the baselines that these lack."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure
from scipy import sparse
from sklearn.decomposition import PCA

from scprism.model.config import Config
from scprism.model.presets import PRESETS
from scprism.paper.data_sets import FIGURE_3, FIGURE_4, Source, figure_pairs, shared_types
from scprism.paper.measures.bootstrap import LEAST_PAIRS, Outcome, Paired, number, paired
from scprism.paper.measures.knn import knn_scores
from scprism.paper.networks import NetworkSpec, NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.scale import adam_config
from scprism.paper.section import Section, Verdict
from scprism.query.view import open_query, with_gaps_of
from scprism.types import FloatArray

__all__ = ["KNN_COMBINED", "KNN_HUMAN", "KNN_SINGLE", "pair_table", "run_pair", "scored"]

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
COLUMNS = {
    # how results are called in tables: features, normalisation of baselines, distance
    "paper": ("paper", "", "euclidean"),
    "paper, cosine": ("paper", "", "cosine"),
    "paper, Adam": ("paper, Adam", "", "euclidean"),
    "paper, Adam, cosine": ("paper, Adam", "", "cosine"),
    "paper, Adam, per gene": ("paper, Adam, per gene", "", "euclidean"),
    "as_released": ("as_released", "", "euclidean"),
    "default": ("default", "", "cosine"),
    "untrained": ("untrained", "", "euclidean"),
    "untrained, cosine": ("untrained", "", "cosine"),
    "all genes": ("all genes", "cell", "euclidean"),
    "all genes, cosine": ("all genes", "cell", "cosine"),
    "all genes, per gene": ("all genes", "per_gene", "euclidean"),
    "PCA": ("PCA", "cell", "euclidean"),
    "PCA, cosine": ("PCA", "cell", "cosine"),
}
CELL_WISE = ("per_cell", "none")
FROM_K = 5
"""The paper's Methods have k from 5, its Results from 2."""
EQUAL = 0.01
"""Macro-F1 within this counts as matched."""
CURVES = ("paper", "as_released", "all genes", "untrained", "PCA, cosine", "default")
OF_THE_PAPER = ("paper", "as_released", "paper, Adam")
MOST_PANELS = 12


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
            networks = tuple(plan.network(reference, preset, seed) for seed in range(plan.scale.seeds))
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
    pairs = sharing(figure_pairs(plan.sources, FIGURE_3))
    pairs = pairs or [(a, b) for a, b in plan.pairs(plan.singles) if a.organism == b.organism]
    return plan_pairs("knn-single", pairs, plan)


def plan_human(plan: Plan) -> list[Cell]:
    pairs = [(a, b) for a, b in plan.pairs(plan.wholes) if {a.organism, b.organism} == {"human", "mouse"}]
    return plan_pairs("human", pairs, plan)


def plan_combined(plan: Plan) -> list[Cell]:
    sources = [source for source in plan.sources if source.is_corrected]
    return plan_pairs("knn-combined", sharing(figure_pairs(sources, FIGURE_4)) or plan.pairs(sources), plan)


def sharing(pairs: Sequence[tuple[Source, Source]]) -> list[tuple[Source, Source]]:
    """Return the pairs that have a type in common; others say nothing of transfer."""
    return [(a, b) for a, b in pairs if shared_types(a, b)]


def run_pair(cell: Cell, store: NetworkStore) -> Rows:
    """Return accuracy and macro-F1 for each kind of features, distance, seed and number of neighbours."""
    reference, query = (store.labelled(source) for source in cell.sources)
    if cell.settings["features"] == "baselines":
        return _baselines(cell, reference, query, store)
    rows: Rows = []
    for spec in cell.networks:
        network = store.network(spec)
        z, z_query = network.latents(reference, query)
        coverage = network.opened(query).alignment.share_of_genes
        for metric in METRICS:
            scores = _scores(z, reference, z_query, query, metric=metric)
            rows += [{"seed": spec.seed, "metric": metric, "coverage": coverage, **row} for row in scores]
    return rows


def _baselines(cell: Cell, reference: AnnData, query: AnnData, store: NetworkStore) -> Rows:
    """Return the scores of all genes, of PCA of them, and of one's own normalisation on either side."""
    config = NORMALISED[str(cell.settings["normalise"])]
    x, x_query = _normalised(cell.sources[0], reference, query, config=config, store=store)
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
    source: Source, reference: AnnData, query: AnnData, *, config: Config, store: NetworkStore
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return both sides as the paper's network would see them, float32 csr in the genes that both have."""
    recipe, _ = store.prepared(source, config)
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


def report_single(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Figure 3 and of the predictions P3 and P4."""
    frame = scored(frames["knn-single"])
    table = pair_table(frame)
    verdicts = (
        *_claims(table, source="Figure 3"),
        _per_gene_verdict(table),
        _pca_verdict(table),
    )
    return _section("knn-single", frame, table, verdicts)


def report_combined(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Figure 4."""
    frame = scored(frames["knn-combined"])
    table = pair_table(frame)
    verdicts = list(_claims(table, source="Figure 4"))
    if "knn-single" in frames and len(frame):
        single = _range_over_k(scored(frames["knn-single"]))
        own = _range_over_k(frame)
        verdicts.append(
            Verdict(
                "After correction, the number of neighbours matters less",
                "Figure 4",
                "variance over k decreased dramatically (no figure)",
                f"accuracy varies over k by {number(own)} after correction, by {number(single)} in single data sets",
                _range_outcome(own, single, n_pairs=frame["pair"].nunique()),
                "range over k = 5…25 of `paper`, mean over pairs; the pairs are not the same",
            )
        )
    return _section("knn-combined", frame, table, verdicts)


def report_human(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Section I."""
    frame = scored(frames["human"])
    table = pair_table(frame)
    trained = {name: _difference(table, name, "untrained") for name in OF_THE_PAPER}
    learned = _difference(table, "default", "untrained, cosine")
    verdict = Verdict(
        "What a model knows may transfer between mouse and human",
        "Section I",
        "supplement, not available to us",
        f"less untrained: {_each(trained)}; `default`, cosine: {learned.text}",
        trained["paper"].outcome(),
        "orthologs; macro-F1, mean over k = 5…25; the outcome is `paper`'s",
        learned.outcome(),
    )
    return _section("human", frame, table, (verdict,))


def scored(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have scores, each with its name in tables as ``method``."""
    if "macro_f1" not in frame:
        return frame.iloc[:0].assign(method=[], pair=[])
    rows = frame[frame["macro_f1"].notna()].copy()
    normalise = rows.get("normalise", pd.Series("", index=rows.index)).fillna("")
    cell_wise = normalise.where(~normalise.isin(CELL_WISE), "cell")
    names = {key: name for name, key in COLUMNS.items()}
    keys = zip(rows["features"], cell_wise, rows["metric"], strict=True)
    rows["method"] = [names.get(key, "") for key in keys]
    rows["pair"] = rows["reference"] + " → " + rows["query"]
    return rows[rows["method"] != ""]


def pair_table(frame: pd.DataFrame, *, value: str = "macro_f1") -> pd.DataFrame:
    """Return the mean over seeds and over k = 5…25, pairs by methods."""
    rows = frame[frame["neighbours"] >= FROM_K] if len(frame) else frame
    if rows.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    table = rows.pivot_table(index="pair", columns="method", values=value, sort=False)
    return table.reindex(columns=[name for name in COLUMNS if name in table])


def _difference(table: pd.DataFrame, first: str, second: str) -> Paired:
    if first not in table or second not in table:
        return paired(np.empty(0))
    return paired((table[first] - table[second]).to_numpy())


def _claims(table: pd.DataFrame, *, source: str) -> tuple[Verdict, ...]:
    genes = {name: _difference(table, name, "all genes") for name in OF_THE_PAPER}
    with_cosine = _difference(table, "paper, cosine", "all genes, cosine")
    untrained = {name: _difference(table, name, "untrained") for name in OF_THE_PAPER}
    cosine, best = _difference(table, "default", "all genes, cosine"), _difference(table, "default", "PCA, cosine")
    learned = _difference(table, "default", "untrained, cosine")
    return (
        Verdict(
            "Neighbours in a foreign model's bottleneck tell types as well as neighbours over all genes, or better",
            source,
            "comparable or better (a figure, no numbers)",
            f"less all genes, Euclidean: {_each(genes)}; `paper` and all genes with cosine: {with_cosine.text}; "
            f"`default` less all genes, both with cosine: {cosine.text}",
            genes["paper"].outcome(margin=EQUAL),
            "macro-F1, mean over k = 5…25; the outcome is `paper`'s. The Euclidean distance is the paper's; all genes "
            "lose most by it",
            cosine.outcome(margin=EQUAL),
        ),
        Verdict(
            "A trained network does better at this than an untrained one",
            source,
            "one random network",
            f"less untrained: {_each(untrained)}; `default`, cosine: {learned.text}",
            untrained["paper"].outcome(),
            "ten networks as they were drawn; the outcome is `paper`'s",
            learned.outcome(),
        ),
        Verdict(
            "`default` is better than the simple baselines",
            "ours",
            "",
            f"less all genes with cosine: {cosine.text}; less PCA with cosine: {best.text}",
            best.outcome() if cosine.outcome() == "holds" else cosine.outcome(),
            for_default=best.outcome() if cosine.outcome() == "holds" else cosine.outcome(),
        ),
    )


def _each(differences: Mapping[str, Paired]) -> str:
    return "; ".join(f"`{name}` {difference.text}" for name, difference in differences.items())


def _per_gene_verdict(table: pd.DataFrame) -> Verdict:
    trained = ("paper, Adam", "paper, Adam, per gene")
    by_cell = _difference(table, trained[0], "all genes")
    by_gene = _difference(table, trained[1], "all genes, per gene")
    if by_cell.n and by_gene.n:
        change = (table[trained[1]] - table["all genes, per gene"]) - (table[trained[0]] - table["all genes"])
        more = paired(change.to_numpy())
    else:
        more = paired(np.empty(0))
    return Verdict(
        'Normalising each gene over the data set ("CPM" by gene) explains part of the advantage over all genes',
        "P3",
        "not asked",
        f"advantage with values by gene less that with values by cell: {more.text}; by gene {number(by_gene.mean)}, "
        f"by cell {number(by_cell.mean)}",
        more.outcome(),
        "`paper` by Adam, Euclidean; the predicted sign is above 0",
    )


def _pca_verdict(table: pd.DataFrame) -> Verdict:
    euclidean = {name: _difference(table, name, "PCA") for name in OF_THE_PAPER}
    words = [f"`{name}` matched in {_matched(table, name, 'PCA')} ({d.text})" for name, d in euclidean.items()]
    cosine = _difference(table, "default", "PCA, cosine")
    return Verdict(
        "PCA of the same dimension matches the autoencoder in most pairs",
        "P4",
        "not asked",
        f"Euclidean: {'; '.join(words)}; `default`, cosine: in {_matched(table, 'default', 'PCA, cosine')} "
        f"({cosine.text})",
        _most_matched(table, "paper", "PCA"),
        f"50 components of the reference; matched: at most {EQUAL} below; the outcome is `paper`'s",
        _most_matched(table, "default", "PCA, cosine"),
    )


def _matched(table: pd.DataFrame, network: str, pca: str) -> int:
    """Return in how many pairs PCA does as well as a network."""
    return int((table[pca] >= table[network] - EQUAL).sum()) if network in table and pca in table else 0


def _most_matched(table: pd.DataFrame, network: str, pca: str) -> Outcome:
    n_pairs = _difference(table, network, pca).n
    if n_pairs == 0:
        return "no data"
    return "holds" if _matched(table, network, pca) > n_pairs / 2 else "does not hold"


def _range_outcome(own: float, single: float, *, n_pairs: int) -> Outcome:
    if n_pairs < LEAST_PAIRS:
        return "not shown"
    return "holds" if own < single / 2 else "does not hold"


def _range_over_k(frame: pd.DataFrame) -> float:
    rows = frame[(frame["method"] == "paper") & (frame["neighbours"] >= FROM_K)]
    if rows.empty:
        return float("nan")
    by_k = rows.pivot_table(index="pair", columns="neighbours", values="accuracy")
    return float((by_k.max(axis=1) - by_k.min(axis=1)).mean())


def _section(
    name: str, frame: pd.DataFrame, table: pd.DataFrame, verdicts: "tuple[Verdict, ...] | list[Verdict]"
) -> Section:
    if table.empty:
        return Section("No two data sets here share types.", verdicts=tuple(verdicts))
    accuracy = pair_table(frame, value="accuracy").assign(majority=frame.groupby("pair")["majority"].first())
    mean = pd.DataFrame({"mean": table.mean()}).T
    text = (
        f"{len(table)} ordered pairs. Neighbours are cells of the reference, all types; query cells count if their "
        "type is among the reference's. `paper`, `as_released`, `untrained`, all genes and PCA with the Euclidean "
        "distance, `default` with its cosine, unless a column says otherwise. `paper, Adam` has the "
        "paper's network and loss, trained as `default` is. Values are means over seeds and k = 5…25."
    )
    tables = (
        ("Macro-F1", pd.concat([table, mean]).reset_index(names="pair")),
        ("Accuracy, and that of calling every cell the reference's commonest type", accuracy.reset_index(names="pair")),
    )
    return Section(text, tables, {name: ("Accuracy over k", _curves(frame))}, tuple(verdicts))


def _curves(frame: pd.DataFrame) -> Figure:
    pairs = list(frame["pair"].unique())[:MOST_PANELS]
    n_columns = min(3, len(pairs))
    n_rows = -(-len(pairs) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(4 * n_columns, 2.8 * n_rows),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for ax, pair in zip(axes.flat, pairs, strict=False):
        part = frame[frame["pair"] == pair]
        for i, method in enumerate(CURVES):
            by_k = part[part["method"] == method].groupby("neighbours")["accuracy"].agg(["mean", "min", "max"])
            if len(by_k):
                ax.plot(by_k.index, by_k["mean"], color=f"C{i}", label=method)
                ax.fill_between(by_k.index, by_k["min"], by_k["max"], color=f"C{i}", alpha=0.15, linewidth=0)
        ax.axhline(part["majority"].iloc[0], color="0.4", linestyle="--", linewidth=1, label="majority")
        ax.set_title(pair, fontsize="x-small")
        ax.set_ylim(0, 1)
    for ax in axes.flat[len(pairs) :]:
        ax.set_axis_off()
    figure.supxlabel("neighbours")
    figure.supylabel("accuracy")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize="small")
    return figure


KNN_SINGLE = Experiment(
    "knn-single", "Label transfer between data sets (Figure 3, P3, P4)", plan_single, run_pair, report_single
)
KNN_COMBINED = Experiment(
    "knn-combined", "Label transfer between corrected data sets (Figure 4)", plan_combined, run_pair, report_combined
)
KNN_HUMAN = Experiment(
    "human", "Label transfer between human and mouse (Section I)", plan_human, run_pair, report_human
)
