"""Which penalty keeps units from sharing tasks, and what it costs: every penalty and weight, over data sets and seeds.

    python benchmarks/penalties.py --data DIR --minutes 5       run what is missing, print the tables
    python benchmarks/penalties.py --data DIR --table           print the tables of what is there

A run trains the preset `default`, 30 units, up to 60 epochs, with another penalty on half of a data set's cells, and
looks at the other half (each seed another half):

* `loss`: reconstruction loss of held-out cells, nats a molecule.
* `cosine`: mean |cosine| between the units' end-to-end gene maps W2 D1 W1, D1 the mean gate of the hidden layer.
* `genes`: participation ratio of genes in a unit's map, mean over units; `units`: of units in a gene's map, mean over
  genes. The second is small where genes are not shared.
* `SMI`, `SPN`: disentanglement against labels. Scores of each unit against each label: SMI is the mutual information of
  the unit in 10 bins of equal width and the label, over the label's entropy; SPN sorts cells by the unit and takes the
  share of a label's cells whose next cell has the label too, less the label's frequency and scaled to 1, at least 0.
  From them LMS (best assignment of one unit to each label, sum over labels ÷ labels), MSAS (mean of each label's best
  unit) and MSGS (mean gap from the best to the second best) — after Moinfar and Theis (DRVI, bioRxiv 2024). A unit
  counts twice, upwards and downwards from its median, as the bottleneck is linear.
* `AUPRC`: synthetic cells only. Recovery of planted programs: average precision of |map| for a program's genes, best
  assignment of one unit to each program, mean.
* `F1`: kNN macro-F1 of held-out cells, the other half being the reference; for `transfer`, of another data set.
"""

import argparse
import dataclasses
import time

import anndata
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import t
from sklearn.metrics import average_precision_score, mutual_info_score

import scprism
from kept import Kept, add_store_options
from scprism.model.config import Config
from scprism.paper.measures.knn import knn_scores
from scprism.read.synthetic import Simulation, gene_names, simulate_cells
from scprism.trust.sharing import mean_absolute_cosine, participation_ratio

SETTINGS = [
    ("rows", 0.0),
    ("rows", 0.1),
    *[(form, 1.0) for form in ("rows", "squared", "double_soft", "coherence", "hard")],
    *[(form, w) for form in ("decorrelated", "separate_maps") for w in (1.0, 10.0)],
]
SEEDS = (0, 1, 2, 3, 4)
DATA = {
    "planted": ("", "cell_type", None),
    "tm_facs_kidney": ("hallmark", "cell_ontology_class", None),
    "pbmc3k": ("hallmark", "cell_type", None),
    "baron_human1": ("hallmark", "cell_type", None),
    "tm_droplet_immune": ("hallmark", "cell_type", ("mouse_lung_immune", "Major_cell_type")),
}


def read(name, data):
    if name == "planted":
        planted = Simulation(
            n_cells=1200, genes=gene_names(1500), n_programs=12, n_types=8, program_size=60, overlap=0.3
        )
        return simulate_cells(planted, rng=0)
    return anndata.read_h5ad(data / f"{name}.h5ad")


def known(labels):
    text = labels.astype(str)
    return text[~text.isin(["NA", "nan"])]


def disentanglement(latent, labels):
    """Return LMS, MSAS and MSGS of SMI and SPN."""
    signed = latent - np.median(latent, axis=0)
    units = np.hstack([np.maximum(signed, 0), np.maximum(-signed, 0)])
    names = np.unique(labels)
    rng = np.random.default_rng(0)
    scores = {"SMI": np.zeros((units.shape[1], len(names))), "SPN": np.zeros((units.shape[1], len(names)))}
    for u, values in enumerate(units.T):
        width = np.ptp(values) or 1.0
        bins = np.minimum((values - values.min()) / width * 10, 9).astype(int)
        order = np.lexsort((rng.random(len(values)), values))
        for i, name in enumerate(names):
            of_type = labels == name
            share = of_type.mean()
            entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
            scores["SMI"][u, i] = mutual_info_score(bins, of_type) / entropy
            in_order = of_type[order]
            same = (in_order[:-1] & in_order[1:]).sum() / max(in_order[:-1].sum(), 1)
            scores["SPN"][u, i] = max(same - share, 0) / (1 - share)
    result = {}
    for kind, table in scores.items():
        rows, columns = linear_sum_assignment(-table)
        ranked = np.sort(table, axis=0)
        result |= {f"LMS-{kind}": table[rows, columns].sum() / len(names), f"MSAS-{kind}": ranked[-1].mean()}
        result[f"MSGS-{kind}"] = (ranked[-1] - ranked[-2]).mean()
    return result


def gene_maps(weights, inputs):
    z = inputs @ weights.hidden_weight.T + weights.hidden_bias
    gate = (1 / (1 + np.exp(-weights.hidden_beta * z))).mean(axis=0)
    return (weights.latent_weight * gate) @ weights.hidden_weight


def run(*, data, penalty, weight, seed, folder):
    genes, key, foreign = DATA[data]
    cells = read(data, folder)
    half = np.random.default_rng(seed).permutation(cells.n_obs)
    train, test = cells[half[::2]].copy(), cells[half[1::2]].copy()
    config = dataclasses.replace(
        Config(),
        penalty=penalty,
        penalty_weight=weight,
        genes=genes or tuple(cells.var_names),
        bottleneck_size=30,
        max_epochs=60,
    )
    start = time.perf_counter()
    model = scprism.Prism(config, rng=seed, device="cpu").fit(train)
    row = {"seconds": time.perf_counter() - start, "epochs": model.summary["n_epochs"]}
    inside = test[:, [g in set(model.recipe.genes) for g in test.var_names]]
    counts = inside[:, list(model.recipe.genes)].X.toarray()
    share = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 1e4)
    per_million = np.expm1(model.denoise(test, adjust=False).astype(np.float64))
    p = per_million / per_million.sum(axis=1, keepdims=True)
    row["loss"] = float((-(counts * np.log(np.maximum(p, 1e-12))).sum(axis=1) / counts.sum(axis=1).clip(1)).mean())
    maps = gene_maps(model.weights, share)
    row |= {
        "cosine": mean_absolute_cosine(maps),
        "genes": float(participation_ratio(np.abs(maps)).mean()),
        "units": float(participation_ratio(np.abs(maps).T).mean()),
    }
    z_train, z_test = model.embed(train), model.embed(test)
    labels, reference = known(test.obs[key].reset_index(drop=True)), known(train.obs[key].reset_index(drop=True))
    row |= disentanglement(z_test[labels.index], labels.to_numpy())
    row["F1"] = f1(z_train[reference.index], reference, z_test[labels.index], labels)
    if foreign is not None:
        other = anndata.read_h5ad(folder / f"{foreign[0]}.h5ad")
        truth = known(other.obs[foreign[1]].reset_index(drop=True))
        row["transfer F1"] = f1(
            z_train[reference.index], coarse(reference), model.embed(other)[truth.index], coarse(truth)
        )
    if data == "planted":
        planted = cells.varm["program_loadings"][cells.var_names.get_indexer(model.recipe.genes)] > 0
        precision = [[average_precision_score(program, np.abs(unit)) for unit in maps] for program in planted.T]
        best = linear_sum_assignment(-np.array(precision))
        row["AUPRC"] = float(np.array(precision)[best].mean())
    return row


def coarse(labels):
    """Return labels that the droplet and the lung data share."""
    return labels.str.lower().str.replace(r"( cells?|s)$", "", regex=True).replace("granulocyte", "neutrophil")


def f1(reference, labels, query, truth):
    scores = knn_scores(reference, labels, query, truth, neighbours=(15,), metric="cosine")
    return float(scores["macro_f1"].iloc[0])


def tables(frame):
    for name, part in frame.groupby("data"):
        values = part.drop(columns=["data", "epochs"]).dropna(axis=1).set_index(["penalty", "weight", "seed"])
        print(f"\n{name}: means over {part['seed'].nunique()} seeds, trained on half of the cells")
        print(values.groupby(level=["penalty", "weight"]).mean().round(3).to_string())
    compared = ["loss", "cosine", "LMS-SMI", "LMS-SPN", "F1", "transfer F1", "AUPRC"]
    print("\nless no penalty on the same seed; * its 95 % interval (Student's t over seeds) leaves out 0")
    for name, part in frame.groupby("data"):
        values = part.set_index(["penalty", "weight", "seed"]).reindex(columns=compared).dropna(axis=1).sort_index()
        none = values.xs(("rows", 0.0), level=("penalty", "weight"))
        differences = values.drop(("rows", 0.0)).sub(none, level="seed")
        print(f"\n{name}\n{differences.groupby(level=['penalty', 'weight']).agg(told).to_string()}")


def told(differences):
    """Return a mean difference, with a star where its interval leaves out 0."""
    n, mean = len(differences), differences.mean()
    half = t.ppf(0.975, n - 1) * differences.std() / np.sqrt(n)
    return f"{mean:+.3f}{'*' if abs(mean) > half else ' '}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_store_options(parser)
    options = parser.parse_args()
    asked = [
        {"data": name, "penalty": form, "weight": weight, "seed": seed}
        for seed in SEEDS
        for name in DATA
        for form, weight in SETTINGS
    ]
    frame = Kept("penalties", __file__, options).rows(asked, files, lambda chosen: [run(**chosen, folder=options.data)])
    if len(frame):
        tables(frame)


def files(asked):
    """Return the data sets that a run reads."""
    other = DATA[asked["data"]][2]
    return [name for name in (asked["data"], other[0] if other else "planted") if name != "planted"]


if __name__ == "__main__":
    main()
