"""What adapting a model to a query changes: labels, losses, denoising, units; against the unchanged model.

    python benchmarks/adapt.py --data DIR [--store FILE] [--models DIR] [--seeds 3] [--minutes 5]
    python benchmarks/adapt.py --data DIR --table

For each pair and seed the default model of the reference is adapted to the query in four ways (`scprism.adapt`). Then:
macro-F1 of the query's labels, the reference embedded anew by the adapted model, mean over k = 2…25, by the rule of
``label_by="latent"`` and by cosine neighbours alone; loss of a tenth of the query's cells, which no adapting saw;
deviance of half of the molecules of these cells, given the others; loss of reference cells that no training saw, and
how many of them other reference cells label rightly; and, as medians over units, the cosine of their maps and the
correlation of their activations, before and after. "one factor a gene" is the unchanged model, its proportions matched
to the query's totals. How to adapt was chosen on six pairs, by cosine neighbours, and confirmed on the others. Results
are kept in FILE; an interrupted run goes on.
"""

import argparse
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

import scprism
from foreign.cells import PARTS, all_pairs, labels_of, read_part
from foreign.methods import Task, open_task, vote, vote_as_labels
from kept import Kept, Settings, add_store_options, kept_model
from scprism.adaptation.training import Part, loss_of, of_genes
from scprism.denoise.adjust import gene_factors, scaled_by_gene
from scprism.errors import PrismWarning
from scprism.label.transfer import cells_among
from scprism.paper.measures.bootstrap import paired
from scprism.paper.measures.denoise import deviance, thin_counts
from scprism.paper.results import Rows, file_fingerprint
from scprism.query.embed import embed_cells
from scprism.query.view import Query, open_query, with_gaps_of
from scprism.train.batches import TrainingCells, collect_cells

CHOSEN_ON = (
    *("marrow>lung", "lung>spleen", "tm_droplet>zilionis"),
    *("tm_droplet>pbmc3k", "pbmc3k>kang", "pbmc3k>tm_droplet"),
)
CONFIRMED_ON = (
    *("spleen>lung", "lung>marrow", "healthy>tumour", "zilionis>tm_droplet"),
    *("kang>tm_droplet", "baron>kidney", "celseq2>dropseq", "kang>pbmc3k"),
)
WAYS: dict[str, tuple[Part, bool]] = {
    "input": ("input", False),
    "decoder": ("decoder", False),
    "decoder, reference": ("decoder", True),
    "network": ("network", False),
}
UNCHANGED, MATCHED = "unchanged", "one factor a gene"
SCORES = [
    "macro_f1",
    "neighbours",
    "loss",
    "deviance",
    "reference_loss",
    "reference_labels",
    "map_cosine",
    "correlation",
]


def opened(model: scprism.Prism, cells: AnnData) -> Query:
    return open_query(cells, model.recipe, model.config, min_coverage=0.0)


def embedded(model: scprism.Prism, query: Query) -> np.ndarray:
    return embed_cells(model.weights, query.chunks(), fill=query.fill)


def label_scores(model: scprism.Prism, task: Task, query: Query, reference: Query) -> dict[str, float]:
    """Return macro-F1 of the query's labels, mean over numbers of neighbours: by the latent's rule, by cosine alone."""
    z, asked = embedded(model, with_gaps_of(reference, query)), embedded(model, query)
    places = [task.words.index(word) for word in task.types]
    calls = {"macro_f1": vote_as_labels(task, z, asked), "neighbours": vote(task, z, asked, "cosine")}
    return {
        rule: float(np.mean([f1_score(task.truth, c, labels=places, average="macro", zero_division=0) for c in each]))
        for rule, each in calls.items()
    }


def proportions(model: scprism.Prism, cells: AnnData, genes: np.ndarray) -> np.ndarray:
    """Return each cell's expected share of molecules among the genes that it was seen in, (cells, genes)."""
    values = np.expm1(model.denoise(cells, adjust=False, min_coverage=0.0).astype(np.float64))[:, genes]
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def molecules(model: scprism.Prism, cells: AnnData, held: np.ndarray, *, match: bool, seed: int) -> float:
    """Return the mean deviance of molecules that were held out, over the cells in `held`."""
    parts = [AnnData(half, obs=cells.obs[[]], var=cells.var[[]]) for half in thin_counts(cells.X, rng=seed)]
    seen, unseen = (opened(model, part) for part in parts)
    genes = seen.alignment.gene_map.present
    counts = [sparse.vstack([c.counts for c in part.chunks()], format="csr")[:, genes] for part in (seen, unseen)]
    shares = proportions(model, parts[0], genes)
    if match:
        totals = np.asarray(counts[0].sum(axis=0)).ravel(), np.asarray(counts[0].sum(axis=1)).ravel() @ shares
        shares = scaled_by_gene(shares, gene_factors(*totals))
    return float(np.nanmean(deviance(counts[1][held], shares[held])))


def loss(model: scprism.Prism, query: Query, rows: np.ndarray) -> float:
    """Return the mean loss of some cells, over the genes that the data have."""
    genes = query.alignment.gene_map.present
    cells = collect_cells(query.chunks(), counts_as_targets=True)
    chosen = TrainingCells(cells.inputs[rows][:, genes], cells.targets[rows][:, genes])
    network = of_genes(model.weights, genes, fill=query.fill)
    return loss_of(network, chosen, np.arange(len(rows)), config=model.config)


def reference_labels(model: scprism.Prism, reference: Query, labels: np.ndarray, unseen: np.ndarray) -> float:
    """Return the share of unseen reference cells that the others label rightly, by 15 cosine neighbours."""
    z = embedded(model, reference)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    known = labels != ""
    voters, asked = known & ~unseen, known & unseen
    near = KNeighborsClassifier(min(15, int(voters.sum()))).fit(z[voters], labels[voters])
    return float((near.predict(z[asked]) == labels[asked]).mean()) if asked.any() else np.nan


def results(model: scprism.Prism, task: Task, cells: AnnData, *, ways: list[str], seed: int) -> list[dict[str, object]]:
    """Return a row a way to adapt the model to the pair's query, of which a tenth of the cells stay out."""
    query, reference = opened(model, task.query), opened(model, cells)
    unseen = cells_among(reference, model.summary["unseen_cells"])
    labels = labels_of(task.pair.reference, cells, fine=task.pair.fine)
    order = np.random.default_rng(seed).permutation(task.query.n_obs)
    held, others = np.split(order, [task.query.n_obs // 10])
    model = replace(model, config=replace(model.config, min_coverage=0.0))
    rows: list[dict[str, object]] = []
    for name in ways:
        adapted, units = model, (1.0, 1.0)
        if name in WAYS:
            part, beside = WAYS[name]
            known = cells if beside else None
            adapted, change = scprism.adapt(model, task.query[np.sort(others)], reference=known, part=part, rng=seed)
            units = tuple(change.units[["map_cosine", "activation_correlation"]].median())
        row: dict[str, object] = {"pair": task.pair.name, "kind": task.pair.kind, "seed": seed, "way": name}
        row["deviance"] = molecules(adapted, task.query, held, match=name == MATCHED, seed=seed)
        if name != MATCHED:
            row |= label_scores(adapted, task, query, reference)
            row["loss"] = loss(adapted, query, held)
            row["reference_loss"] = loss(adapted, reference, np.flatnonzero(unseen))
            row["reference_labels"] = reference_labels(adapted, reference, labels, unseen)
            row["map_cosine"], row["correlation"] = units
        rows.append(row)
    return rows


def table(rows: pd.DataFrame) -> str:
    """Return the results per way over the pairs, and per pair."""
    rows["on"] = np.where(rows["pair"].isin(CHOSEN_ON), "chosen on", "confirmed on")
    ways = [UNCHANGED, MATCHED, *WAYS]
    means = rows.groupby(["on", "way", "pair"], sort=False)[SCORES].mean()
    groups = means.groupby(["on", "way"])
    overall = groups.mean().round(3).assign(pairs=groups.size()).reindex(ways, level="way")
    shown = [overall.to_string()]
    for column in ("macro_f1", "loss", "deviance"):
        wide = rows.pivot_table(index=["on", "pair"], columns="way", values=column)
        shown.append(f"{column}\n{wide.reindex(columns=[w for w in ways if w in wide]).round(3).to_string()}")
    rules = ("macro_f1", "neighbours")
    shown += [f"{rule}, way - unchanged\n{differences(rows, rule).round(4).to_string()}" for rule in rules]
    n_pairs = rows["pair"].nunique()
    shown.append(f"{n_pairs} pairs, {len(rows[['pair', 'seed']].drop_duplicates()) / n_pairs:.1f} seeds of each")
    return "\n\n".join(shown)


def differences(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return how much each way is better than the unchanged model over pairs, each the mean of its seeds."""
    wide = rows.pivot_table(index=["on", "pair"], columns="way", values=column)
    table = {}
    for way in WAYS:
        if way not in wide:
            continue
        change = (wide[way] - wide[UNCHANGED]).dropna()
        moved = change.abs().max() > 1e-6
        table[way] = {
            "pairs": len(change),
            **change.groupby("on").mean(),
            "all": change.mean(),
            "better by 0.01": (change > 0.01).sum(),
            "worse by 0.01": (change < -0.01).sum(),
            "p (Wilcoxon)": paired(change.to_numpy()).p_value if moved else np.nan,
        }
    return pd.DataFrame(table).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_store_options(parser)
    parser.add_argument("--models", type=Path, default=Path("benchmark_models"), help="where trained models are kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="these ways to adapt alone")
    options = parser.parse_args()
    warnings.simplefilter("ignore", PrismWarning)
    pairs = {pair.name: pair for pair in all_pairs(options.data)}
    asked = [
        {"pair": name, "seed": seed, "way": way}
        for seed in range(options.seeds)
        for name in (*CHOSEN_ON, *CONFIRMED_ON)
        for way in (UNCHANGED, MATCHED, *options.ways)
    ]

    def files(settings: Settings) -> list[str]:
        pair = pairs[str(settings["pair"])]
        return [PARTS[name].file for name in (pair.reference, pair.query)]

    def compute(settings: Settings) -> Rows:
        pair, seed = pairs[str(settings["pair"])], int(str(settings["seed"]))
        reference = read_part(pair.reference, options.data)
        print_of_file = file_fingerprint(options.data / f"{PARTS[pair.reference].file}.h5ad")
        model = kept_model(options.models, f"{pair.reference}-{print_of_file}", reference, seed=seed)
        task = open_task(pair, reference, options.data)
        return results(model, task, reference, ways=[str(settings["way"])], seed=seed)

    rows = Kept("adapt", __file__, options).rows(asked, files, compute)
    if len(rows):
        print(table(rows))


if __name__ == "__main__":
    main()
