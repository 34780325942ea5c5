import numpy as np
import pandas as pd
import pytest

from scprism.enrichment.result import count_significant
from scprism.paper.measures.calls import (
    PAPER_UNITS,
    call_counts,
    call_summary,
    compare_counts,
    single_set_test,
)


def enrichment(p_values, q_values):
    """Two units, two sets, two types; values in the order type, unit, set."""
    index = pd.MultiIndex.from_product([["B", "T"], ["u0", "u1"], ["s0", "s1"]], names=["group", "unit", "gene_set"])
    return pd.DataFrame({"p_value": p_values, "q_value": q_values}, index=index).reset_index()


TABLE = enrichment([0.01, 0.03, 0.04, 0.9, 0.001, 0.9, 0.04, 0.9], [0.04, 0.06, 0.07, 0.9, 0.01, 0.9, 0.07, 0.9])


def test_a_set_is_counted_once_for_each_type_in_which_a_rule_calls_it():
    # B: u0 has p = .01 and .03, over its two sets q = .02 and .03; u1 has .04 and .9, so q = .08
    assert call_counts(TABLE, rule="each ranking").to_numpy().tolist() == [[2, 1], [0, 0]]
    assert call_counts(TABLE, rule="uncorrected").to_numpy().tolist() == [[2, 1], [2, 0]]
    assert call_counts(TABLE, rule="all tests").to_numpy().tolist() == [[2, 0], [0, 0]]


def test_calls_over_all_tests_are_those_of_figure_5():
    pd.testing.assert_frame_equal(call_counts(TABLE), count_significant(TABLE))


def test_summary_of_a_planted_table():
    counts = pd.DataFrame([[4, 0, 0], [1, 1, 0], [0, 2, 0], [0, 0, 0]], columns=["a", "b", "c"])
    found = call_summary(counts)
    assert {name: found[name] for name in ("units", "sets", "any", "single", "sets_any", "sets_of_one")} == {
        "units": 4,
        "sets": 3,
        "any": 3,
        "single": 2,
        "sets_any": 2,
        "sets_of_one": 0,
    }
    assert found["share"] == pytest.approx(2 / 3)
    assert found["sets_per_unit"] == pytest.approx(4 / 3)
    assert found["spread_sets"] == pytest.approx((1 + 2 + 1) / 3)
    # a: 4 and 1, (4 + 1)² / 17; b: 1 and 2, 9 / 5
    assert found["spread_units"] == pytest.approx((25 / 17 + 9 / 5) / 2)


def test_without_any_call_there_is_no_share():
    assert np.isnan(call_summary(pd.DataFrame([[0, 0]], columns=["a", "b"]))["share"])


def test_a_set_of_more_than_four_units_is_counted():
    counts = pd.DataFrame({"a": [1] * 5, "b": [1, 1, 1, 1, 0]})
    assert call_summary(counts)["sets_over_four"] == 1


# `method.md`, section 6: the p-values of the paper's own counts
@pytest.mark.parametrize(("reading", "fisher", "ranks"), [("with", 0.63, 0.66), ("with, other reading", 0.81, 0.95)])
def test_the_papers_counts_of_single_set_units_do_not_differ(reading, fisher, ranks):
    with_penalty, without = PAPER_UNITS[reading], PAPER_UNITS["without"]
    assert single_set_test(with_penalty, without) == pytest.approx(fisher, abs=0.005)
    assert compare_counts(with_penalty, without)[1] == pytest.approx(ranks, abs=0.005)


def test_the_papers_units_have_as_many_sets_with_the_constraint_as_without():
    difference, _ = compare_counts(PAPER_UNITS["with"], PAPER_UNITS["without"])
    assert difference == pytest.approx(56 / 30 - 68 / 38)
