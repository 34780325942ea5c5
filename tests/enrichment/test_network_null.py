"""Enrichment against null networks: p-values by hand, calibration, planted programs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, false_discovery_control

from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import match_sets
from scprism.enrichment.network_null import enrich_against, map_scores, unit_draws
from scprism.enrichment.permutation import summarise_draws
from scprism.enrichment.settings import GseaSettings, sized_sets
from scprism.errors import InputError
from scprism.estimator.prism import Prism
from scprism.explain.explanation import Explanation
from scprism.read.synthetic import make_cells
from scprism.trust.null_networks import Nulls, null_explanations

GENES = tuple("abcdefghijkl")
TOP, MIDDLE, BOTTOM = (0, 1, 2), (0, 1, 11), (9, 10, 11)
BY_RANK = GseaSettings(n_permutations=500, weight=0.0, min_size=2)


def explained(*units, fingerprint="null"):
    """Return an explanation of one group in which the set's genes a, b and c stand at these places of each unit."""
    signed = np.zeros((1, len(units), 12), np.float32)
    for unit, places in enumerate(units):
        others = [place for place in range(12) if place not in places]
        signed[0, unit, :3] = 6.5 - np.array(places)
        signed[0, unit, 3:] = 6.5 - np.array(others)
    names = tuple(f"u{k}" for k in range(len(units)))
    return Explanation(
        signed, np.abs(signed), ("all",), names, GENES, np.array([9]), "plain", float("nan"), "zero", fingerprint
    )


def test_p_value_counts_the_units_of_all_null_networks_by_sign():
    # Scores by rank: 1 at the top, 2/3 in the middle, -1 at the bottom. Against 1: three of four upper draws reach it.
    nulls = [explained(TOP, MIDDLE, BOTTOM), explained(TOP, TOP)]
    model = explained(TOP, BOTTOM, fingerprint="model")
    table = enrich_against(model, {"abc": list("abc")}, nulls, settings=BY_RANK, rng=0)
    settings, table = table.settings, table.table.set_index("unit")
    assert table["es"].tolist() == pytest.approx([1, -1])
    assert table["p_value"].tolist() == pytest.approx([4 / 5, 2 / 2])
    assert table["nes"].tolist() == pytest.approx([1 / ((3 + 2 / 3) / 4), -1])
    assert table["q_value"].tolist() == pytest.approx([1, 1])
    assert settings["n_null_draws"] == 5
    assert settings["null"] == "gene permutation and null networks, the larger p-value"


def test_the_network_itself_with_other_groups_is_compared_unit_by_unit():
    nulls = [explained(TOP, MIDDLE, fingerprint="model"), explained(MIDDLE, TOP, fingerprint="model")]
    model = explained(TOP, MIDDLE, fingerprint="model")
    table = enrich_against(model, {"abc": list("abc")}, nulls, settings=BY_RANK, rng=0)
    table = table.table.set_index("unit")
    assert table["p_value"].tolist() == pytest.approx([2 / 3, 3 / 3])


def test_p_value_is_the_larger_of_two_and_never_below_that_of_gene_permutation():
    rng = np.random.default_rng(0)
    genes = tuple(f"g{k:02d}" for k in range(60))
    sets = {f"s{k}": genes[10 * k : 10 * k + 10] for k in range(6)}
    settings = GseaSettings(n_permutations=200)

    def drawn(n_units, fingerprint):
        signed = rng.normal(size=(2, n_units, 60)).astype(np.float32)
        names = tuple(f"u{k}" for k in range(n_units))
        return Explanation(signed, signed, ("a", "all"), names, genes, np.ones(2), "plain", 0.0, "", fingerprint)

    model, nulls = drawn(5, "model"), [drawn(8, "null") for _ in range(10)]
    keys = ["group", "unit", "gene_set"]
    alone = enrich(model, sets, settings=settings, rng=0).table.set_index(keys)
    joint = enrich_against(model, sets, iter(nulls), settings=settings, rng=0).table
    backwards = enrich_against(model, sets, nulls[::-1], settings=settings, rng=0).table
    pd.testing.assert_frame_equal(joint, backwards)
    assert list(joint.columns) == [
        *keys,
        "size",
        "es",
        "nes",
        *("p_value", "log_p_error", "p_is_bound", "q_value", "leading_edge"),
    ]
    pool = pd.concat([enrich(null, sets, settings=settings, rng=0).table for null in nulls])
    pool = pool.groupby(["group", "gene_set"])["es"].apply(list)
    for row in joint.itertuples():
        same = [es for es in pool[row.group, row.gene_set] if (es >= 0) == (row.es >= 0)]
        expected = (sum(abs(es) >= abs(row.es) for es in same) + 1) / (len(same) + 1)
        before = alone.loc[(row.group, row.unit, row.gene_set)]
        assert row.p_value == pytest.approx(max(expected, before["p_value"]))
        assert row.leading_edge == before["leading_edge"]
    np.testing.assert_allclose(joint["q_value"], false_discovery_control(joint["p_value"]))
    assert (joint.groupby(["group", "unit"], sort=False)["p_value"].diff().dropna() >= 0).all()
    assert joint["group"].unique().tolist() == ["a", "all"]


@pytest.fixture(scope="module")
def cells():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def sets(cells):
    return {name: list(cells.var_names[cells.var[name]]) for name in cells.var if name.startswith("program")}


@pytest.fixture(scope="module")
def model(cells):
    return Prism(units="raw", genes="all", hidden_size=32, bottleneck_size=10, device="cpu", rng=0).fit(cells)


def network_p_values(model, cells, sets, *, n_tested):
    """Return p-values of unit 0 of untrained networks that are not among the null ones, (networks, groups, sets)."""
    genes = sorted(model.recipe.genes)
    members = sized_sets(match_sets(sets, genes), GseaSettings(), n_genes=len(genes))[1]

    def scores(n, seed):
        found = null_explanations(model, cells, nulls=Nulls(n=n), groupby="cell_type", rng=seed)
        return [map_scores(e.signed, e.genes, members, weight=1.0, one_sided=False, threads=1) for e in found]

    tested = np.stack([s[:, 0] for s in scores(n_tested, 1)], axis=1)  # (groups, networks, sets)
    draws = (d for s in scores(50, 2) for d in unit_draws(s, n_units=n_tested, same_units=False))
    null = summarise_draws(tested, draws)
    return ((null.n_extreme + 1) / (null.n_same + 1)).transpose(1, 0, 2)


def test_untrained_networks_are_called_at_the_nominal_rate_even_for_sets_that_vary_together(model, cells, sets):
    p_values = network_p_values(model, cells, sets, n_tested=100)
    # Networks are independent, groups and sets within one are not: each is a sample of its own.
    for group in range(p_values.shape[1]):
        for name in range(p_values.shape[2]):
            hits = int((p_values[:, group, name] < 0.05).sum())
            assert binomtest(hits, 100, 0.05).pvalue > 0.05 / p_values[0].size / 10
    # One p-value has a standard deviation of 0.29.
    np.testing.assert_allclose(p_values.mean(axis=0), 0.5, atol=4.5 * 0.29 / np.sqrt(100))


def test_planted_programs_are_found_and_random_genes_are_not(model, cells, sets):
    rng = np.random.default_rng(0)
    free = cells.var_names[~cells.var.any(axis=1)]
    decoys = {f"decoy_{k}": list(rng.choice(free, 20, replace=False)) for k in range(6)}
    explanation = model.explain(cells, groupby="cell_type")
    nulls = null_explanations(model, cells, nulls=Nulls(n=100), groupby="cell_type", rng=1)
    table = enrich_against(explanation, sets | decoys, nulls, rng=0).table
    found = set(table.loc[table["q_value"] < 0.05, "gene_set"])
    assert found >= set(sets)
    false = table[table["gene_set"].isin(list(decoys))]
    assert (false["p_value"] < 0.05).mean() <= 0.05


def test_nulls_of_other_groups_genes_or_method_are_refused():
    model, sets = explained(TOP, fingerprint="model"), {"abc": list("abc")}
    for change, message in (
        ({"groups": ("a",)}, "must have the explanation's groups, 'all', got 'a'"),
        ({"genes": GENES[::-1]}, "must have the explanation's genes, 'a', 'b', 'c' and 9 more, got 'l'"),
        ({"method": "guided"}, "must have the explanation's method, 'plain', got 'guided'"),
    ):
        with pytest.raises(InputError, match=message):
            enrich_against(model, sets, [replace(explained(TOP), **change)], settings=BY_RANK)
    with pytest.raises(InputError, match="`nulls` must hold at least one explanation, got none"):
        enrich_against(model, sets, [], settings=BY_RANK)
