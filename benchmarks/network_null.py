"""How often each null calls a set significant where nothing was learned, and whether it finds what was planted.

    python benchmarks/network_null.py [--networks 4] [--seeds 3]

"untrained": explanations of the bundled Tabula Muris cells by untrained networks, Hallmark sets; findings are false.
The other columns: default models of simulated cells with 10 planted programs. "planted" and "half" (half of a program,
half matched genes of none) are to be found; "random" (genes of no program) and "matched" (the same, of a program's
expression) are not; "any" (random genes, some of programs) is at nominal if a chance overlap is no finding. Numbers
are the share of tests with p < 0.05 over groups, units and sets, and its standard error over networks or seeds;
"q" counts tests with q < 0.05; "found" is the share of programs with q < 0.05 in some unit and group.
"""

import argparse
import logging
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.stats import false_discovery_control

from correlated_ranks import correlated_rank_test, inter_gene_correlation
from scprism.enrichment.gene_sets import gene_sets, match_sets
from scprism.enrichment.gsea import gsea_with
from scprism.enrichment.network_null import map_scores, unit_draws
from scprism.enrichment.permutation import summarise_draws
from scprism.enrichment.settings import GseaSettings, sized_sets
from scprism.errors import PrismWarning
from scprism.estimator.prism import Prism
from scprism.explain.explanation import Explanation
from scprism.query.view import open_query
from scprism.read.datasets import load_dataset
from scprism.read.synthetic import Simulation, gene_names, simulate_cells
from scprism.trust.null_networks import Nulls, null_explanations

ALPHA = 0.05
N_UNTRAINED, N_SHUFFLED, SHUFFLED_EPOCHS = 40, 10, 60
N_PROGRAMS = 10


@dataclass
class Setting:
    """A model's cells, sets, and the scores of its null networks."""

    cells: sparse.csr_matrix
    mean: pd.Series
    sets: dict[str, list[str]]
    nulls: dict[str, list[np.ndarray]]


def scores_of(explanation: Explanation, sets: dict) -> tuple[list[str], object, np.ndarray]:
    names, members = sized_sets(
        match_sets(sets, sorted(explanation.genes)), GseaSettings(), n_genes=len(explanation.genes)
    )
    scores = map_scores(explanation.signed, explanation.genes, members, weight=1.0, one_sided=False, threads=1)
    return names, members, scores


def setting_of(model: Prism, cells: AnnData, sets: dict, *, rng: int) -> Setting:
    """Return the cells as the model sees them, and nulls made with this seed."""
    query = open_query(cells, model.recipe, model.config)
    shuffled = Nulls(kind="gene_shuffled", n=N_SHUFFLED, reference=cells, max_epochs=SHUFFLED_EPOCHS)
    designs = {"untrained networks": Nulls(n=N_UNTRAINED), "gene-shuffled networks": shuffled}
    return Setting(
        cells=sparse.vstack([chunk.inputs for chunk in query.chunks()], format="csr"),
        mean=pd.Series(model.recipe.mean, index=list(model.recipe.genes)),
        sets=sets,
        nulls={
            name: [
                scores_of(null, sets)[2]
                for null in null_explanations(model, cells, nulls=design, groupby="cell_type", rng=rng)
            ]
            for name, design in designs.items()
        },
    )


def p_values(explanation: Explanation, setting: Setting) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return the sets' names and each null's p-values, (groups, units, sets)."""
    names, members, scores = scores_of(explanation, setting.sets)
    table = pd.DataFrame(explanation.signed.reshape(-1, len(explanation.genes)), columns=list(explanation.genes))
    named = {name: setting.sets[name] for name in names}
    result = {}
    matched = GseaSettings(n_permutations=200, null="matched", expression=setting.mean)
    for name, settings in (("gene permutation", GseaSettings(n_permutations=500)), ("matched expression", matched)):
        tests = gsea_with(table, named, settings=settings, rng=0, threads=1).table
        wide = tests.pivot_table(index="ranking", columns="gene_set", values="p_value").loc[table.index, names]
        result[name] = wide.to_numpy().reshape(scores.shape)
    order = np.argsort(np.asarray(explanation.genes))
    correlation = inter_gene_correlation(setting.cells[:, order], members)
    ranks = correlated_rank_test(table.to_numpy()[:, order], members, correlation)[1]
    result["rank sum, correlated"] = ranks.reshape(scores.shape)
    for name, drawn in setting.nulls.items():
        draws = (d for s in drawn for d in unit_draws(s, n_units=scores.shape[1], same_units=False))
        null = summarise_draws(scores, draws)
        result[name] = (null.n_extreme + 1) / (null.n_same + 1)
        result[f"genes and {name}"] = np.maximum(result["gene permutation"], result[name])
    return names, result


def hits(p: np.ndarray) -> np.ndarray:
    return false_discovery_control(p, axis=None).reshape(p.shape) < ALPHA


def untrained_rows(n: int) -> pd.DataFrame:
    """Return each null's share and number of findings on untrained networks."""
    cells = load_dataset("tm_droplet_immune")
    model = Prism(rng=0, device="cpu", max_epochs=1).fit(cells)  # untrained networks need its recipe only
    model = replace(model, config=replace(model.config, max_epochs=200))
    setting = setting_of(model, cells, gene_sets("hallmark", organism="mouse"), rng=1)
    rows = []
    for null in null_explanations(model, cells, nulls=Nulls(n=n), groupby="cell_type", rng=1000):
        for name, p in p_values(null, setting)[1].items():
            rows.append({"null": name, "untrained": (p < ALPHA).mean(), "untrained q": hits(p).sum()})
    return pd.DataFrame(rows)


def planted_sets(cells: AnnData, model: Prism, rng: np.random.Generator) -> dict[str, list[str]]:
    """Return the programs, named planted/0 and so on, and decoys of their sizes."""
    genes = np.asarray(model.recipe.genes)
    member = cells.var[[f"program_{k}" for k in range(N_PROGRAMS)]].loc[genes].to_numpy()
    free = np.flatnonzero(~member.any(axis=1))
    by_mean = free[np.argsort(model.recipe.mean[free])]
    sets = {}
    for k in range(N_PROGRAMS):
        program = np.flatnonzero(member[:, k])
        near = np.searchsorted(model.recipe.mean[by_mean], model.recipe.mean[program])
        like = np.unique(by_mean[np.clip(near + rng.integers(-10, 11, program.size), 0, by_mean.size - 1)])
        half = program.size // 2
        chosen = {
            "planted": program,
            "half": np.concatenate([rng.choice(program, half, replace=False), rng.permutation(like)[:half]]),
            "random": rng.choice(free, program.size, replace=False),
            "matched": like,
            "any": rng.choice(genes.size, program.size, replace=False),
        }
        sets |= {f"{kind}/{k}": genes[members].tolist() for kind, members in chosen.items()}
    return sets


def planted_rows(seed: int) -> pd.DataFrame:
    """Return each null's findings for one simulated data set and the default model of it."""
    simulation = Simulation(
        n_cells=1000, genes=gene_names(1000), n_programs=N_PROGRAMS, n_types=5, program_size=40, library_size=4000.0
    )
    cells = simulate_cells(simulation, rng=seed)
    model = Prism(genes="all", rng=seed, device="cpu").fit(cells)
    setting = setting_of(model, cells, planted_sets(cells, model, np.random.default_rng(seed)), rng=seed + 1)
    names, tests = p_values(model.explain(cells, groupby="cell_type"), setting)
    kinds = np.array([name.split("/")[0] for name in names])
    rows = []
    for null, p in tests.items():
        shares = {kind: (p[..., kinds == kind] < ALPHA).mean() for kind in dict.fromkeys(kinds)}
        found = hits(p)[..., kinds == "planted"].any(axis=(0, 1)).mean()
        clean = hits(p)[..., np.isin(kinds, ["random", "matched"])].sum()
        rows.append({"null": null, **shares, "decoys q": clean, "found": found})
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    by_null = rows.groupby("null", sort=False)
    mean, error = by_null.mean(), by_null.sem()
    return mean.map("{:.3f}".format) + " ± " + error.map("{:.3f}".format)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    logging.getLogger("scprism").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", PrismWarning)
    untrained = summary(untrained_rows(options.networks))
    planted = summary(pd.concat([planted_rows(seed) for seed in range(options.seeds)]))
    print(f"share of tests with p < {ALPHA}; {options.networks} untrained networks, {options.seeds} simulations")
    print(untrained.join(planted).to_string())


if __name__ == "__main__":
    main()
