"""GSEA of many rankings at once: hand-computed scores, planted sets, invariances and messages."""

import numpy as np
import pandas as pd
import pytest

from scprism.enrichment.gsea import gsea, gsea_with
from scprism.enrichment.settings import GseaSettings
from scprism.errors import InputError, PrismWarning

N_GENES = 400
COLUMNS = [
    *("ranking", "gene_set", "size", "es", "nes"),
    *("p_value", "log_p_error", "p_is_bound", "q_value", "leading_edge"),
]


def simulated(n_rankings, *, seed=0, n_sets=12, size=20):
    """Return rankings of standard normal scores and random sets; the first set of each is 'planted' one higher."""
    rng = np.random.default_rng(seed)
    genes = [f"g{k:03d}" for k in range(N_GENES)]
    values = rng.standard_normal((n_rankings, N_GENES))
    chosen = [rng.choice(N_GENES, size + k, replace=False) for k in range(n_sets)]
    values[:, chosen[0]] += 2.0
    sets = {f"set{k}": [genes[g] for g in members] for k, members in enumerate(chosen)}
    sets["planted"] = sets.pop("set0")
    return pd.DataFrame(values, columns=genes, index=[f"r{k}" for k in range(n_rankings)]), sets


def by_test(table):
    return table.set_index(["ranking", "gene_set"]).sort_index()


def one_set(values, members, **options):
    """Return the row of one small set in one ranking of genes named by letters."""
    scores = pd.DataFrame([values], index=["r"], columns=list("abcdefgh")[: len(values)])
    settings = {"min_size": 1, "n_permutations": 50, "rng": 0, **options}
    return gsea(scores, {"s": list(members)}, **settings).iloc[0]


def test_score_of_six_genes_with_ties_is_the_one_computed_by_hand():
    # Order a, b, c (tied with b, after it by name), d, e, f; hits b (weight 2) and d (weight 1), four misses of 1/4.
    # Running sum: -1/4, 5/12, 1/6, 1/2, 1/4, 0.
    row = one_set([3.0, 2.0, 2.0, -1.0, -2.0, -3.0], "bd")
    assert row["es"] == pytest.approx(1 / 2, abs=1e-15)
    assert row["leading_edge"] == "b;d"


def test_tied_genes_stand_in_alphabetical_order_whatever_the_order_of_columns():
    scores = pd.DataFrame([[1.0, 1.0, 1.0, 1.0, -1.0, -1.0]], columns=list("dbcafe"))
    row = gsea(scores, {"s": ["a", "d"]}, min_size=1, n_permutations=10, rng=0).iloc[0]
    # Order a b c d e f: 1/2, 1/4, 0, 1/2, 1/4, 0.
    assert row["es"] == pytest.approx(1 / 2, abs=1e-15)
    assert row["leading_edge"] == "a"


@pytest.mark.parametrize(
    ("weight", "es"),
    [
        pytest.param(0.0, 0.5, id="unweighted"),
        pytest.param(1.0, -2 / 3, id="weighted"),
        pytest.param(2, -0.8, id="squared"),
    ],
)
def test_weight_is_the_power_of_the_score(weight, es):
    # Hits a (score 2) and f (score -4): the sum falls from a's share to that less 1, then f brings it back to 0.
    # Shares 1/2, 1/3 and 1/5; of the equal extremes 1/2 and -1/2 the upper counts.
    assert one_set([2.0, 1.5, 1.0, -1.0, -2.0, -4.0], "af", weight=weight)["es"] == pytest.approx(es, abs=1e-12)


def test_lower_sets_have_negative_scores_and_their_leading_edge_starts_at_the_bottom():
    row = one_set([3.0, 2.0, 1.0, -1.0, -2.0, -3.0], "aef")
    # Shares 3/8, 2/8, 3/8: 3/8, 1/24, -7/24, -5/8, -3/8, 0.
    assert row["es"] == pytest.approx(-5 / 8, abs=1e-15)
    assert row["leading_edge"] == "f;e"


def test_one_sided_score_is_the_highest_point_even_where_the_lowest_is_further_away():
    values = [5.0, 4.0, 3.0, 2.0, 1.0, 0.5]
    # Hits b and f: -1/4, 4/4.5 - 1/4, ... 4/4.5 - 1, 0. Hits e and f: lowest -1, highest 0.
    assert one_set(values, "bf", one_sided=True)["es"] == pytest.approx(4 / 4.5 - 1 / 4, abs=1e-15)
    row = one_set(values, "ef", one_sided=True)
    assert (row["es"], row["p_value"]) == (0.0, 1.0)
    with pytest.warns(PrismWarning, match="a one-sided test fits them"):
        assert one_set(values, "ef")["es"] == pytest.approx(-1.0, abs=1e-15)


def test_set_whose_members_all_score_zero_is_walked_with_equal_steps():
    # Hits c and d at 0 in the middle: -1/4, -1/2, 0, 1/2, 1/4, 0; the upper of two equal extremes counts.
    assert one_set([2.0, 1.0, 0.0, 0.0, -1.0, -2.0], "cd")["es"] == pytest.approx(0.5, abs=1e-12)


def test_table_has_one_row_a_ranking_and_set_with_rankings_in_order_and_sets_by_p_value():
    scores, sets = simulated(3)
    table = gsea(scores, sets, n_permutations=200, rng=0)
    assert list(table.columns) == COLUMNS
    assert len(table) == 3 * len(sets)
    assert list(table["ranking"].unique()) == ["r0", "r1", "r2"]
    assert all(part["p_value"].is_monotonic_increasing for _, part in table.groupby("ranking"))


@pytest.mark.parametrize("weight", [pytest.param(0.0, id="unweighted"), pytest.param(1.0, id="weighted")])
def test_planted_set_comes_first_in_every_ranking(weight):
    scores, sets = simulated(40)
    table = gsea(scores, sets, weight=weight, n_permutations=200, rng=0)
    first = table.groupby("ranking").first()
    assert set(first["gene_set"]) == {"planted"}
    assert first["q_value"].max() < 0.05


def test_result_does_not_depend_on_the_order_of_columns_or_rows():
    scores, sets = simulated(5)
    scores = scores.round(1)  # with ties
    shuffled = scores.sample(frac=1, axis=1, random_state=1).iloc[::-1]
    pd.testing.assert_frame_equal(
        by_test(gsea(scores, sets, n_permutations=100, rng=0)), by_test(gsea(shuffled, sets, n_permutations=100, rng=0))
    )


def test_result_does_not_depend_on_the_number_of_threads():
    scores, sets = simulated(70)
    pd.testing.assert_frame_equal(
        gsea(scores, sets, n_permutations=150, rng=3, threads=1),
        gsea(scores, sets, n_permutations=150, rng=3, threads=2),
    )


def test_result_does_not_depend_on_a_factor_common_to_all_scores():
    scores, sets = simulated(3)
    pd.testing.assert_frame_equal(
        gsea(scores, sets, n_permutations=100, rng=0), gsea(scores * 1e-30, sets, n_permutations=100, rng=0), rtol=1e-9
    )


def test_turning_a_ranking_round_turns_the_scores_round():
    scores, sets = simulated(4)
    table, turned = (by_test(gsea(s, sets, n_permutations=2000, rng=0)) for s in (scores, -scores))
    np.testing.assert_allclose(turned["es"], -table["es"], atol=1e-12)
    # A p-value's relative error is at most a third, where it rests on 10 draws: three errors of a difference.
    np.testing.assert_allclose(np.log(turned["p_value"]), np.log(table["p_value"]), atol=3 * np.sqrt(2) / 3)


def test_p_values_are_uniform_where_scores_know_nothing_of_the_sets():
    rng = np.random.default_rng(5)
    genes = [f"g{k}" for k in range(300)]
    scores = pd.DataFrame(rng.standard_normal((400, 300)), columns=genes)
    sets = {"a": genes[:15], "b": genes[100:140], "c": genes[200:280]}
    p_values = gsea(scores, sets, n_permutations=400, rng=1)["p_value"]
    for alpha in (0.01, 0.05, 0.2, 0.5):
        # Sets of one draw share it, so the error is that of 400 rankings, not 1,200 tests, and that of the draws.
        spread = np.sqrt(alpha * (1 - alpha) * (1 / 400 + 2 / 400))
        assert (p_values <= alpha).mean() == pytest.approx(alpha, abs=3 * spread)


def test_normalised_scores_are_one_in_size_on_average_where_there_is_nothing_to_find():
    rng = np.random.default_rng(6)
    genes = [f"g{k}" for k in range(300)]
    scores = pd.DataFrame(rng.standard_normal((300, 300)), columns=genes)
    table = gsea(scores, {"a": genes[:15], "b": genes[200:280]}, n_permutations=2000, rng=1)
    for (_, sign), nes in table.groupby(["gene_set", table["es"] > 0])["nes"]:
        assert (nes > 0).all() == sign
        assert nes.abs().mean() == pytest.approx(1.0, abs=4 * nes.std() / np.sqrt(len(nes)))


def test_p_value_is_never_zero_and_counts_the_set_itself():
    scores, sets = simulated(1)
    table = by_test(gsea(scores, sets, n_permutations=19, rng=0))
    assert table["p_value"].min() >= 1 / 20


def test_q_values_are_over_all_tests_of_the_call():
    scores, sets = simulated(6)
    table = gsea(scores, sets, n_permutations=300, rng=0).sort_values("p_value", ignore_index=True)
    n = len(table)
    by_hand = np.minimum.accumulate((table["p_value"] * n / np.arange(1, n + 1)).to_numpy()[::-1])[::-1]
    np.testing.assert_allclose(table["q_value"], np.minimum(by_hand, 1.0), rtol=1e-12)


def test_ranking_without_an_order_has_p_value_one_and_is_named():
    scores, sets = simulated(2)
    scores.loc["dead"] = 0.0
    with pytest.warns(PrismWarning, match="'dead'"):
        table = gsea(scores, sets, n_permutations=100, rng=0)
    dead = table[table["ranking"] == "dead"]
    assert (dead[["es", "nes"]] == 0).all(axis=None)
    assert (dead["p_value"] == 1).all()
    assert set(dead["leading_edge"]) == {""}


def test_sets_outside_the_size_limits_are_left_out_and_counted():
    scores, sets = simulated(1, n_sets=4)
    sets |= {"small": sets["set1"][:3], "none": ["absent"] * 12}
    table = gsea(scores, sets, n_permutations=20, min_size=4, max_size=22, rng=0)
    assert set(table["gene_set"]) == {"planted", "set1", "set2"}
    assert table.attrs["n_sets_left_out"] == 3


def test_size_counts_only_genes_of_the_ranking():
    scores, sets = simulated(1, n_sets=1)
    sets["planted"] = [*sets["planted"], "elsewhere1", "elsewhere2"]
    table = gsea(scores, sets, n_permutations=20, rng=0)
    assert table["size"].tolist() == [20]
    assert table.attrs["share_matched"] == pytest.approx(20 / 22)


def test_attributes_say_how_the_tests_were_made():
    scores, sets = simulated(1)
    attrs = gsea(scores, sets, n_permutations=30, weight=0.5, rng=0).attrs
    assert attrs["null"] == "gene permutation"
    assert (attrs["n_permutations"], attrs["weight"], attrs["one_sided"]) == (30, 0.5, False)


def test_null_of_like_expression_is_not_fooled_by_sets_of_highly_expressed_genes():
    rng = np.random.default_rng(2)
    genes = [f"g{k:03d}" for k in range(N_GENES)]
    expression = pd.Series(np.linspace(0, 3, N_GENES), index=genes)
    # Scores follow expression, and so does the set: only a null of like expression knows that this is no finding.
    scores = pd.DataFrame(expression.to_numpy() - 1.5 + rng.standard_normal((60, N_GENES)), columns=genes)
    sets = {"high": list(rng.choice(genes[250:], 30, replace=False))}
    naive = gsea(scores, sets, n_permutations=200, rng=0)
    settings = GseaSettings(n_permutations=200, null="matched", expression=expression)
    tested = gsea_with(scores, sets, settings=settings, rng=0)
    matched = tested.table
    assert (naive["p_value"] < 0.05).mean() > 0.5
    assert (matched["p_value"] < 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)
    assert tested.settings["null"] == "permutation of genes of like mean expression"


def scores_with(value):
    scores, _ = simulated(2)
    scores.iloc[1, 5] = value
    return scores


def test_message_for_missing_or_infinite_scores_names_the_ranking():
    _, sets = simulated(1)
    for value in (np.nan, np.inf):
        with pytest.raises(InputError, match=r"1 missing or infinite values, in the rankings 'r1'"):
            gsea(scores_with(value), sets)


def test_message_for_names_given_twice():
    scores, sets = simulated(2)
    with pytest.raises(InputError, match=r"genes \(columns\).*more than once: 'g001'"):
        gsea(scores.rename(columns={"g002": "g001"}), sets)
    with pytest.raises(InputError, match=r"rankings \(rows\).*more than once: 'r0'"):
        gsea(scores.rename(index={"r1": "r0"}), sets)


def test_message_for_sets_of_the_wrong_size_gives_their_sizes():
    scores, sets = simulated(1)
    with pytest.raises(InputError, match="between 100 and 399 genes among the 400.*have 20 to 31"):
        gsea(scores, sets, min_size=100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"n_permutations": 0}, "`n_permutations` must be at least 1", id="no_permutations"),
        pytest.param({"weight": -1.0}, "`weight` must be 0 or more", id="negative_weight"),
        pytest.param(
            {"min_size": 9, "max_size": 5}, "`min_size` must be from 1 to `max_size`, got 9 and 5", id="sizes"
        ),
    ],
)
def test_message_for_settings_out_of_range(options, message):
    scores, sets = simulated(1)
    with pytest.raises(InputError, match=message):
        gsea(scores, sets, **options)


def test_message_for_expression_without_the_null_that_uses_it():
    scores, sets = simulated(1)
    expression = pd.Series(1.0, index=scores.columns)
    with pytest.raises(InputError, match='`null="matched"` and only with it'):
        gsea_with(scores, sets, settings=GseaSettings(expression=expression))
    settings = GseaSettings(null="matched", expression=expression.drop("g007"))
    with pytest.raises(InputError, match="without one: 'g007'"):
        gsea_with(scores, sets, settings=settings)


def test_message_for_text_among_the_scores():
    scores, sets = simulated(1)
    with pytest.raises(InputError, match="numbers only.*'g003'"):
        gsea(scores.assign(g003="high"), sets)


def test_one_sided_test_of_signed_scores_warns():
    scores, sets = simulated(1)
    with pytest.warns(PrismWarning, match="never negative"):
        gsea(scores, sets, one_sided=True, n_permutations=10, rng=0)
