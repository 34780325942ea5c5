"""Over-representation, against SciPy and the Human Protein Atlas."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, fisher_exact

from scprism.enrichment.gene_sets import gene_sets
from scprism.enrichment.over_representation import ora
from scprism.errors import InputError, PrismWarning


def tissue_genes(shared_data, tissue):
    path = shared_data / "human_protein_atlas" / "hpa_tissue_specific_genes.tsv"
    table = pd.read_csv(path, sep="\t", keep_default_na=False)
    return sorted(set(table.loc[table["Tissue"] == tissue, "symbol"]))


def test_each_row_is_fishers_exact_test_of_its_table():
    rng = np.random.default_rng(0)
    background = [f"g{k}" for k in range(500)]
    listed = set(rng.choice(background, 60, replace=False))
    sets = {f"s{k}": list(rng.choice(background, 10 + 8 * k, replace=False)) for k in range(8)}
    table = ora(listed, sets, background=background)
    for row in table.itertuples():
        members = set(sets[row.gene_set])
        both = len(members & listed)
        counts = [[both, len(members) - both], [len(listed) - both, 500 - len(members | listed)]]
        expected = fisher_exact(counts, alternative="greater")
        assert (row.size, row.overlap) == (len(members), both)
        assert row.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        assert row.odds_ratio == pytest.approx(expected.statistic, rel=1e-12)
        assert row.expected == pytest.approx(len(members) * 60 / 500)
        assert set(filter(None, row.genes.split(";"))) == members & listed
    np.testing.assert_allclose(table["q_value"], false_discovery_control(table["p_value"]))


def test_background_of_the_sets_passes_over_listed_genes_in_no_set():
    sets = {"a": ["g1", "g2"], "b": ["g3", "g4", "g5"]}
    table = ora(["g1", "g2", "elsewhere"], sets, background="sets", min_size=1).set_index("gene_set")
    # Both listed genes of 5 are in a: 1 of C(5, 2) = 10 ways.
    assert table.loc["a", "p_value"] == pytest.approx(0.1)
    assert table.loc["a", "odds_ratio"] == np.inf
    assert table.loc["b", "p_value"] == 1.0
    assert table.attrs == {"background": "genes of the sets", "n_listed": 2, "n_background": 5}


def test_background_of_measured_genes_counts_those_in_no_set():
    sets = {"a": ["g1", "g2"], "b": ["g3", "g4", "g5"]}
    table = ora(["g1", "g2"], sets, background=[f"g{k}" for k in range(1, 11)], min_size=1).set_index("gene_set")
    # 1 of C(10, 2) = 45 ways.
    assert table.loc["a", "p_value"] == pytest.approx(1 / 45)


def test_result_does_not_depend_on_the_order_or_case_of_genes():
    sets = {"a": ["g1", "g2", "g7"], "b": ["g3", "g4", "g5"]}
    background = [f"g{k}" for k in range(1, 11)]
    pd.testing.assert_frame_equal(
        ora(["g1", "g4", "g2"], sets, background=background, min_size=1),
        ora(["G2", "g4", "G1"], sets, background=background[::-1], min_size=1),
    )


def test_a_listed_gene_counts_once_and_not_at_all_where_several_could_be_meant():
    background = ["ABC", "Abc", "aBC", "x1", "x2", "x3"]
    sets = {"s": ["ABC", "Abc", "aBC", "x1"]}
    with pytest.raises(InputError, match="None of the 1 listed genes.*could be one of several.*'abc'"):
        ora(["abc"], sets, background=background, min_size=1)
    with pytest.warns(PrismWarning, match="1 listed genes are left out.*'abc'. Spell them as in the background"):
        table = ora(["abc", "X1"], sets, background=background, min_size=1)
    assert table[["size", "overlap"]].to_numpy().tolist() == [[4, 1]]
    assert table.attrs["n_listed"] == 1
    # One name spelled exactly, one in other capitals, and one twice: three spellings, two genes.
    assert ora(["ABC", "X2", "x2"], sets, background=background, min_size=1).attrs["n_listed"] == 2


def test_two_spellings_among_the_sets_are_one_gene_of_the_background():
    sets = {"a": ["Per1", "PER1", "Per2"], "b": ["per2", "Clock"]}
    table = ora(["per1"], sets, background="sets", min_size=1).set_index("gene_set")
    assert table["size"].to_dict() == {"a": 2, "b": 2}
    assert table.attrs["n_background"] == 3
    assert table.loc["a", "p_value"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("genes", "background", "message"),
    [
        pytest.param(["x"], "sets", "None of the 1 listed genes.*'x'.*in the background", id="outside"),
        pytest.param([], "sets", "`genes` must be a list of at least one symbol", id="empty"),
        pytest.param("g1", "sets", "`genes` must be a list", id="string"),
        pytest.param(["g1"], "all", "`background` must be one of 'sets', got 'all'", id="background"),
        pytest.param(["g1"], ["g1", "g9"], "No gene set has between 2 and 500 genes among the 2", id="sizes"),
    ],
)
def test_messages(genes, background, message):
    with pytest.raises(InputError, match=message):
        ora(genes, {"a": ["g1", "g2"]}, background=background, min_size=2)


@pytest.mark.shared_data
def test_hallmark_sets_tell_muscle_fat_and_breast_apart_as_the_protein_atlas_does(shared_data):
    hallmark = gene_sets("hallmark", organism="human")
    muscle, fat, breast = (
        ora(tissue_genes(shared_data, tissue), hallmark, background="sets").set_index("gene_set")
        for tissue in ("Skeletal.Muscle", "Adipose.Tissue", "Breast")
    )
    assert muscle.index[0] == "HALLMARK_MYOGENESIS"
    assert muscle["q_value"].iloc[0] < 1e-50
    assert fat.index[0] == "HALLMARK_ADIPOGENESIS"
    # Of the paper's sets, these overlap with breast in the atlas of 2018 (adipogenesis does not).
    for name in ("HALLMARK_EPITHELIAL_MESENCHYMAL_TRANSITION", "HALLMARK_MYOGENESIS"):
        assert breast.loc[name, "p_value"] < 0.05
