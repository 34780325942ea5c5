"""Whether planted gene programs come back from the maps of a default model's units, by attribution method, one table.

    python benchmarks/programs.py [--seeds 3]

Cells are simulated with 10 programs of 40 of 1,000 genes; a program shares a quarter of its genes with the next. A
number is the mean area under the precision–recall curve of ranking genes by a unit's map for each program's genes,
each program with a unit of its own (Hungarian matching). "all": the mean signed attribution over all cells, the better
of its two signs; "groups": the same in each cell type, the best of them; "absolute": mean |attribution| over all
cells. The best of many rankings is above chance for random maps too: those of "genes shuffled" are deeplift's with gene
names dealt out anew. "top set" is the share of programs that enrichment among 10 programs and 10 random sets puts
first, with q < 0.05, for some unit and group. Means and standard errors over seeds.
"""

import argparse
import logging
import warnings

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import NMF, PCA

from scprism.enrichment.enrich import enrich
from scprism.enrichment.settings import GseaSettings
from scprism.estimator.prism import Prism
from scprism.explain.attribution import GRADIENTS, Attribution
from scprism.explain.explanation import Explanation
from scprism.explain.grouping import group_codes
from scprism.explain.groups import explain_groups
from scprism.query.view import open_query
from scprism.read.synthetic import Simulation, gene_names, simulate_cells

N_PROGRAMS, N_EXPLAINED, N_BASELINES = 10, 300, 50


def precision_areas(rankings: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the average precision of each ranking (…, genes) for each program (genes, programs): (…, programs)."""
    hits = members[np.argsort(-rankings, axis=-1, kind="stable")]  # (…, genes, programs)
    precision = hits.cumsum(axis=-2) / np.arange(1, hits.shape[-2] + 1)[:, None]
    return (precision * hits).sum(axis=-2) / members.sum(axis=0)


def matched_area(maps: np.ndarray, members: np.ndarray, *, signed: bool) -> float:
    """Return the mean area of the programs' own units; `maps` is (groups, units, genes), the best group counts."""
    areas = np.stack([precision_areas(group, members) for group in maps])
    if signed:
        areas = np.maximum(areas, np.stack([precision_areas(-group, members) for group in maps]))
    best = areas.max(axis=0)  # (units, programs)
    units, programs = linear_sum_assignment(-best)
    return float(best[units, programs].mean())


def top_share(explanation: Explanation, programs: dict[str, list[str]], rng: np.random.Generator) -> float:
    decoys = {f"decoy_{k}": rng.choice(explanation.genes, len(genes)) for k, genes in enumerate(programs.values())}
    table = enrich(explanation, programs | decoys, settings=GseaSettings(n_permutations=300), rng=0, threads=1).table
    first = table.groupby(["group", "unit"], sort=False).head(1)
    return len(set(first.loc[first["q_value"] < 0.05, "gene_set"]) & set(programs)) / len(programs)


def explanations(model: Prism, cells: AnnData) -> dict[str, Explanation]:
    """Return the explanation of some cells by each method and baseline."""
    query = open_query(cells, model.recipe, model.config)
    inputs = sparse.vstack([chunk.inputs for chunk in query.chunks()], format="csr")
    groups, codes = group_codes(cells, "cell_type")
    mean = model.recipe.mean.astype(np.float32)
    ways = {name: Attribution(method=name) for name in GRADIENTS}
    ways |= {
        f"{name}, from mean": Attribution(method=name, baseline=mean)
        for name in ("deeplift", "gradient_x_input", "integrated_gradients")
    }
    ways |= {f"{name}, from zero": Attribution(method=name) for name in ("deeplift", "gradient_x_input")}
    ways["expected_gradients"] = Attribution(method="expected_gradients", baseline=inputs[-N_BASELINES:])
    chunk = (inputs[:N_EXPLAINED], codes[:N_EXPLAINED])
    genes = model.recipe.genes
    return {
        name: explain_groups(model.weights, [chunk], genes=genes, groups=groups, attribution=way, threads=1)
        for name, way in ways.items()
    }


def references(model: Prism, cells: AnnData) -> dict[str, np.ndarray]:
    """Return loadings of as many factors as the model has units, (1, factors, genes)."""
    query = open_query(cells, model.recipe, model.config)
    x = sparse.vstack([chunk.inputs for chunk in query.chunks()], format="csr").toarray()
    n = model.weights.n_units
    pca = PCA(n, random_state=0).fit(x).components_
    nmf = NMF(n, init="nndsvda", max_iter=150, random_state=0).fit(x).components_
    return {"PCA loadings": pca[None], "NMF loadings": nmf[None]}


def rows_of(seed: int) -> pd.DataFrame:
    simulation = Simulation(
        n_cells=1000,
        genes=gene_names(1000),
        n_programs=N_PROGRAMS,
        n_types=5,
        program_size=40,
        overlap=0.25,
        library_size=4000.0,
    )
    cells = simulate_cells(simulation, rng=seed)
    model = Prism(genes="all", rng=seed, device="cpu").fit(cells)
    names = [f"program_{k}" for k in range(N_PROGRAMS)]
    members = cells.var[names].loc[list(model.recipe.genes)].to_numpy()
    programs = {name: list(cells.var_names[cells.var[name]]) for name in names}
    rows = []
    found = explanations(model, cells)
    for name, explanation in found.items():
        rows.append(
            {
                "method": name,
                "all": matched_area(explanation.signed[-1:], members, signed=True),
                "groups": matched_area(explanation.signed[:-1], members, signed=True),
                "absolute": matched_area(explanation.absolute[-1:], members, signed=False),
                "top set": top_share(explanation, programs, np.random.default_rng(seed)),
            }
        )
    shuffled = np.random.default_rng(seed).permutation(members)
    chance = found["deeplift, from mean"]
    rows.append(
        {
            "method": "genes shuffled",
            "all": matched_area(chance.signed[-1:], shuffled, signed=True),
            "groups": matched_area(chance.signed[:-1], shuffled, signed=True),
            "absolute": matched_area(chance.absolute[-1:], shuffled, signed=False),
        }
    )
    for name, loadings in references(model, cells).items():
        absolute = matched_area(np.abs(loadings), members, signed=False)
        rows.append({"method": name, "all": matched_area(loadings, members, signed=True), "absolute": absolute})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    n_seeds = parser.parse_args().seeds
    logging.getLogger("scprism").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    by_method = pd.concat([rows_of(seed) for seed in range(n_seeds)]).groupby("method", sort=False)
    mean, error = by_method.mean(), by_method.sem()
    table = mean.map("{:.3f}".format) + " ± " + error.map("{:.3f}".format)
    print(f"mean over {n_seeds} seeds ± standard error")
    print(table.where(mean.notna(), "").to_string())


if __name__ == "__main__":
    main()
