"""What the sections about units make of planted rows."""

import itertools

import numpy as np
import pandas as pd
import pytest

from scprism.paper.experiments import (
    ablation,
    guided,
    orthogonality,
    pathways,
    released_penalty,
    stability,
    untrained_sets,
)
from scprism.paper.registry import EXPERIMENTS
from scprism.paper.section import fall, interval_outcome, means_by, settled


def frame(rows):
    return pd.DataFrame([{"experiment": "x", "seconds": 1.0, "message": "", **row} for row in rows])


def verdict(section, name, rows):
    return section({name: frame(rows)}).verdicts[-1]


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [([True, True], "holds"), ([True, False], "mixed"), ([False], "does not hold"), ([], "not shown")],
)
def test_an_outcome_holds_where_all_answers_agree(answers, outcome):
    assert settled(answers) == outcome
    estimates = [(1.0, (0.5, 2.0)) if yes else (0.2, (-1.0, 2.0)) for yes in answers]
    assert interval_outcome([*estimates, (np.nan, (np.nan, np.nan))]) == outcome


def test_a_fall_is_a_share_of_what_there_was():
    assert fall(4.0, 1.0) == 0.75
    assert fall(1.0, 1.5) == -0.5
    assert np.isnan(fall(0.0, 1.0))


def test_means_are_printed_with_their_intervals_and_their_number():
    table = means_by(pd.DataFrame({"kind": ["a", "a", "b"], "x": [1.0, 1.0, 4.0]}), ["kind"], ["x"])
    assert table.to_dict("list") == {
        "kind": ["a", "b"],
        "n": [2, 1],
        "x": ["1.000 [1.000, 1.000]", "4.000 [4.000, 4.000]"],
    }


def test_units_are_counted_by_their_number_of_sets():
    hits = pd.DataFrame({"unit": list("aabbbcd"), "gene_set": list("xyxyzxz"), "each ranking": [1, 2, 1, 1, 1, 3, 0]})
    # a has two sets, b three, c one, and d none that is called
    assert pathways.histogram(hits) == [1, 1, 1]


@pytest.mark.parametrize(("untrained", "outcome"), [(9, "not shown"), (2, "holds")])
def test_single_sets_count_only_where_more_units_have_any_than_by_chance(untrained, outcome):
    rows = []
    for preset, n_any in (("paper", 9), ("untrained", untrained)):
        for seed in (0, 1):
            network = {"model": "a", "query": "b", "preset": preset, "seed": seed}
            summary = dict.fromkeys(("coverage", "sets_per_unit", "sets_of_one", "sets_over_four", "share"), 1.0)
            counted = {"method": "guided", "rule": "each ranking", "units": 50, "any": n_any, "single": n_any}
            rows.append({**network, **summary, **counted})
            rows += [{**network, "unit": f"u{i}", "gene_set": "s", "each ranking": 1} for i in range(n_any)]
    assert verdict(pathways.report_pathways, "pathways", rows).outcome == outcome


def attributions(*, guided_between, plain_between, guided_kept):
    between = {"guided": guided_between, "plain": plain_between, "deeplift": 0.2, "gradient_x_input": 0.2}
    return [
        {
            "data": data,
            "preset": "paper",
            "seed": seed,
            "method": method,
            "kind": kind,
            "cosine": value,
            "between": value + seed / 1000,
            "kept": guided_kept if method == "guided" else 0.05,
        }
        for data, seed, kind in itertools.product(("a", "b"), (0, 1), ("signed", "absolute"))
        for method, value in between.items()
    ]


@pytest.mark.parametrize(("plain", "kept", "outcome"), [(0.1, 0.3, "holds"), (0.1, 0.01, "mixed"), (0.6, 0.3, "mixed")])
def test_p5_asks_for_all_four_differences(plain, kept, outcome):
    rows = attributions(guided_between=0.4, plain_between=plain, guided_kept=kept)
    assert verdict(guided.report_guided, "guided", rows).outcome == outcome


def test_differences_are_paired_by_network():
    rows = frame(attributions(guided_between=0.4, plain_between=0.1, guided_kept=0.3))
    rows = rows[rows["kind"] == "signed"]
    # seeds differ, differences do not
    mean, interval = guided.paired_differences(rows, measure="between", other="plain")
    assert (mean, *interval) == pytest.approx((0.3, 0.3, 0.3))


@pytest.mark.parametrize(("shares", "outcome"), [([0.2, 0.3], "holds"), ([0.04, 0.05], "does not hold")])
def test_p6_compares_with_the_nominal_share(shares, outcome):
    rows = [
        {"data": "a", "method": "guided", "scores": "absolute", "share_p": p, "share_q": 0.0}
        | dict.fromkeys(("n_tests", "n_q", "units_any", "units"), 10)
        for p in shares
    ]
    assert verdict(untrained_sets.report_untrained_sets, "untrained-sets", rows).outcome == outcome


@pytest.mark.parametrize(("single", "span", "outcome"), [(0.2, 0.8, "holds"), (0.2, 0.4, "does not hold")])
def test_p7_asks_for_units_that_change_and_a_span_that_stays(single, span, outcome):
    def row(data, kind, one, every):
        return {"data": data, "kind": kind, "single_r2": one, "span_r2": every, "matched": 0.5, "canonical": 0.5}

    rows = [row(data, "paper", single, span) for data in "ab"] + [row(data, "untrained", 0.1, 0.3) for data in "ab"]
    assert verdict(stability.report_stability, "stability", rows).outcome == outcome


def test_p1_needs_identical_weights_without_gradients_and_others_with_them():
    def row(gradient, identical):
        known = {"data": "a", "epochs": 1, "penalty": 1.0, "l1": 0.0, "largest_change": 0.1, "off_orthonormal": 1.0}
        return {"gradient": gradient, "identical": identical, **known}

    released = [row(False, True), row(False, True)]
    for extra, outcome in ((row(True, False), "holds"), (row(True, True), "does not hold"), (row(False, False), None)):
        found = verdict(released_penalty.report_released_penalty, "released-penalty", [*released, extra]).outcome
        assert found == (outcome or "does not hold")


@pytest.mark.parametrize(("maps", "outcome"), [(0.09, "holds"), (0.02, "does not hold")])
def test_p2_compares_the_fall_of_maps_with_that_of_rows(maps, outcome):
    rows = [
        {
            "model": "a",
            "preset": "paper",
            "penalty": penalty,
            "seed": seed,
            "rule": "each ranking",
            "off_orthonormal": 7.0 if penalty == "0" else 0.01,
            "row_cosine": 0.1 if penalty == "0" else 0.001,
            "map_cosine": 0.1 if penalty == "0" else maps,
            **dict.fromkeys(("own_map_cosine", "share", "loss", "spread_sets", "spread_units"), 0.5),
            **dict.fromkeys(("single", "any"), 3),
        }
        for penalty in ("0", "1")
        for seed in (0, 1)
    ]
    section = orthogonality.report_orthogonality({"orthogonality": frame(rows)})
    assert section.verdicts[-1].outcome == outcome
    assert section.verdicts[0].outcome == "not shown"
    assert "Fisher p = 0.63 (0.81 by the other reading), Mann-Whitney p = 0.66 (0.95)" in section.verdicts[0].ours


def test_a_step_is_compared_with_the_one_before_on_the_same_data_and_seed():
    rows = frame(
        [
            {"reference": "a", "query": q, "seed": s, "step": step, "macro_f1": {"b": 0.5, "c": 0.9}[q] + step / 10}
            for q, s, step in itertools.product("bc", (0, 1), (0, 1))
            if (s, step) != (1, 0)
        ]
    )
    mean, interval = ablation.changes(rows, before=0, after=1, measure="macro_f1")
    assert (mean, *interval) == pytest.approx((0.1, 0.1, 0.1))


@pytest.mark.parametrize("name", ["pathways", "orthogonality", "guided", "stability", "ablation", "untrained-sets"])
def test_a_section_without_results_says_so(name):
    section = EXPERIMENTS[name].section
    empty = section({name: pd.DataFrame(columns=["experiment", "seconds", "message"])})
    assert empty.verdicts[-1].outcome == "no data"
    refused = frame([{"message": "the query has no genes of the model"}])
    assert "the query has no genes of the model" in section({name: refused}).text
