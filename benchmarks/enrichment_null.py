"""How often each null calls a set significant at 5 % where there is nothing to find, one table.

    python benchmarks/enrichment_null.py

Cells are simulated with modules of co-expressed genes, and with mean expression that differs between genes. Rankings
are made from the cells without regard to the gene sets, so every finding is false. A row is a kind of ranking and of
gene set, a column a null: the share of tests with p < 0.05, and its standard error over rankings.
"""

import argparse

import numpy as np
import pandas as pd

from correlated_ranks import correlated_rank_test, inter_gene_correlation
from scprism.enrichment.gsea import gsea_with
from scprism.enrichment.kernels import SetMembers
from scprism.enrichment.settings import GseaSettings

N_CELLS, N_GENES, N_MODULES, MODULE = 1000, 2000, 20, 50
ALPHA = 0.05


def simulated_cells(rng: np.random.Generator, *, correlation: float) -> np.ndarray:
    """Return cells × genes: N_MODULES modules of MODULE genes with this correlation, then genes of their own."""
    cells = rng.standard_normal((N_CELLS, N_GENES))
    for k in range(N_MODULES):
        genes = slice(k * MODULE, (k + 1) * MODULE)
        factor = rng.standard_normal((N_CELLS, 1))
        cells[:, genes] = np.sqrt(correlation) * factor + np.sqrt(1 - correlation) * cells[:, genes]
    return cells


def gene_sets(rng: np.random.Generator, kind: str, expression: np.ndarray) -> dict[str, list[int]]:
    """Return 20 sets: a module's genes, any genes, or genes among the half that is expressed more."""
    if kind == "co-expressed":
        return {f"s{k}": list(range(k * MODULE, (k + 1) * MODULE)) for k in range(N_MODULES)}
    pool = np.arange(N_GENES) if kind == "any" else np.argsort(expression)[N_GENES // 2 :]
    return {f"s{k}": sorted(rng.choice(pool, MODULE, replace=False).tolist()) for k in range(N_MODULES)}


def rankings(rng: np.random.Generator, cells: np.ndarray, kind: str, *, n: int, expression: np.ndarray) -> np.ndarray:
    """Return n rankings blind to the sets: covariance with a random label, its size, or that times expression."""
    covariance = rng.standard_normal((n, N_CELLS)) @ cells / np.sqrt(N_CELLS)
    return {"signed": covariance, "absolute": np.abs(covariance), "by expression": np.abs(covariance) * expression}[
        kind
    ]


def false_positives(scores: np.ndarray, sets: dict[str, list[int]], cells: np.ndarray, expression: np.ndarray) -> dict:
    """Return for each null the share of tests under ALPHA in each ranking."""
    genes = [f"g{k}" for k in range(N_GENES)]
    table = pd.DataFrame(scores, columns=genes)
    named = {name: [genes[k] for k in members] for name, members in sets.items()}
    one_sided = bool((scores >= 0).all())
    members = [np.array(genes_of, dtype=np.int32) for genes_of in sets.values()]
    packed = SetMembers(np.concatenate(members), np.concatenate([[0], np.cumsum([m.size for m in members])]))
    mean = pd.Series(expression, index=genes)
    quick = GseaSettings(n_permutations=500, one_sided=one_sided)
    matched = GseaSettings(n_permutations=200, one_sided=one_sided, null="matched", expression=mean)
    shares = {}
    for name, settings in (("gene permutation", quick), ("matched expression", matched)):
        result = gsea_with(table, named, settings=settings, rng=0).table
        shares[name] = result.assign(hit=result["p_value"] < ALPHA).groupby("ranking")["hit"].mean().to_numpy()
    for name, correlation in (("rank sum", np.zeros(len(sets))), ("rank sum, correlated", None)):
        found = inter_gene_correlation(cells, packed) if correlation is None else correlation
        shares[name] = (correlated_rank_test(scores, packed, found)[1] < ALPHA).mean(axis=1)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rankings", type=int, default=100)
    n = parser.parse_args().rankings
    rng = np.random.default_rng(0)
    rows = []
    for correlation in (0.0, 0.1, 0.3):
        cells = simulated_cells(rng, correlation=correlation)
        expression = rng.gamma(2.0, 0.5, N_GENES)
        for scores, sets in (
            ("signed", "any"),
            ("signed", "co-expressed"),
            ("absolute", "co-expressed"),
            ("by expression", "any"),
            ("by expression", "expressed"),
        ):
            made = rankings(rng, cells, scores, n=n, expression=expression)
            shares = false_positives(made, gene_sets(rng, sets, expression), cells, expression)
            summary = {null: f"{s.mean():.3f} ± {s.std() / np.sqrt(n):.3f}" for null, s in shares.items()}
            rows.append({"correlation": correlation, "scores": scores, "sets": sets, **summary})
    print(f"share of tests with p < {ALPHA}, {n} rankings × {N_MODULES} sets of {MODULE} of {N_GENES:,} genes")
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
