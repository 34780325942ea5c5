"""GSEA against gseapy, an independent implementation in Rust."""

import gseapy
import numpy as np
import pandas as pd
import pytest

from scprism.enrichment.gsea import gsea

N_GENES = 800
N_PERMUTATIONS = 1500


@pytest.fixture(scope="module")
def rankings():
    """Return 4 rankings without ties, and 15 sets of which some are planted at several strengths."""
    rng = np.random.default_rng(0)
    genes = np.array([f"g{k:04d}" for k in range(N_GENES)])
    values = rng.standard_normal((4, N_GENES))
    chosen = [rng.choice(N_GENES, int(size), replace=False) for size in rng.integers(15, 90, 15)]
    for k, shift in enumerate((0.3, -0.4, 0.6, -0.9)):
        values[:, chosen[k]] += shift
    return pd.DataFrame(values, columns=genes), {f"s{k}": list(genes[c]) for k, c in enumerate(chosen)}


def peers(scores, sets, **options):
    """Return gseapy's table of all rankings by (ranking, set), as numbers."""
    common = {"min_size": 10, "threads": 2, "no_plot": True, "outdir": None, "seed": 1, **options}
    tables = {}
    for name, row in scores.iterrows():
        result = gseapy.prerank(row.sort_values(ascending=False), sets, **common).res2d.set_index("Term")
        tables[name] = result[["ES", "NES", "NOM p-val"]].astype(float).join(result["Lead_genes"])
    return pd.concat(tables).sort_index()


def ours(scores, sets, **options):
    return (
        gsea(scores, sets, n_permutations=N_PERMUTATIONS, rng=0, **options)
        .set_index(["ranking", "gene_set"])
        .sort_index()
    )


@pytest.mark.parametrize("weight", [0.0, 1.0, 1.5])
def test_scores_normalised_scores_and_leading_edges_are_gseapys(rankings, weight):
    scores, sets = rankings
    table = ours(scores, sets, weight=weight)
    peer = peers(scores, sets, weight=weight, permutation_num=N_PERMUTATIONS)
    np.testing.assert_allclose(table["es"], peer["ES"], atol=1e-6)
    assert np.corrcoef(table["nes"], peer["NES"])[0, 1] >= 0.999
    for genes, peers_genes in zip(table["leading_edge"], peer["Lead_genes"], strict=True):
        assert set(genes.split(";")) == set(peers_genes.split(";"))


def test_p_values_are_gseapys_within_its_error(rankings):
    scores, sets = rankings
    table = gsea(scores, sets, n_permutations=20_000, rng=0).set_index(["ranking", "gene_set"]).sort_index()
    peer = peers(scores, sets, permutation_num=N_PERMUTATIONS)["NOM p-val"].to_numpy()
    p_values = table["p_value"].to_numpy()
    # Not quite half of gseapy's permutations have the sign of the score; its zeros mean under 1 of them.
    spread = np.sqrt(p_values * (1 - p_values) / (0.4 * N_PERMUTATIONS)) + 1 / N_PERMUTATIONS
    assert (np.abs(p_values - peer) < 4 * spread).all()


def test_small_p_values_are_those_of_gseapys_multilevel_mode_to_1e_20():
    n_genes, rng = 1000, np.random.default_rng(3)
    genes = np.array([f"g{k:04d}" for k in range(n_genes)])
    values = rng.standard_normal(n_genes)
    sizes = (15, 20, 25, 30, 40, 50, 60, 80, 100, 40, 40, 60)
    shifts = (0.9, 1.2, -1.2, 1.5, 1.3, -1.5, 1.8, 1.3, 1.1, 0.6, -0.6, 2.5)
    order, sets, at = rng.permutation(n_genes), {}, 0
    for k, (size, shift) in enumerate(zip(sizes, shifts, strict=True)):
        chosen, at = order[at : at + size], at + size
        values[chosen] += shift
        sets[f"s{k}"] = list(genes[chosen])
    scores = pd.DataFrame([values], columns=genes, index=["r"])

    def mean_log_p(tables):
        return pd.concat([np.log(p_values) for p_values in tables], axis=1).mean(axis=1)

    own = mean_log_p(
        gsea(scores, sets, n_permutations=2000, rng=seed).set_index(["ranking", "gene_set"])["p_value"]
        for seed in range(10)
    )
    # gseapy's errors at this size of sample are about 0.3 in ln p.
    multilevel = {"method": "multilevel", "sample_size": 501, "threads": 1}
    peer = mean_log_p(peers(scores, sets, seed=seed, **multilevel)["NOM p-val"] for seed in range(8))
    small = peer.index[peer < np.log(1e-3)]
    assert own[small].min() < np.log(1e-20)
    np.testing.assert_allclose(own[small], peer[small], rtol=0, atol=np.log(1.3))
