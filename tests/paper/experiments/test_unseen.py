import numpy as np
import pytest

from scprism.paper.experiments.unseen import cross_validated_f1, kept_neighbours, plan_no_overlap, plan_umap
from scprism.paper.plan import Plan


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_types_that_lie_apart_are_all_told(rng):
    types = np.repeat(["a", "b", "c"], 40)
    values = np.eye(3)[np.repeat([0, 1, 2], 40)] + rng.normal(scale=0.01, size=(120, 3))
    assert cross_validated_f1(values, types) == 1.0


def test_types_that_lie_together_are_told_by_chance(rng):
    types = np.repeat(["a", "b"], 500)
    assert cross_validated_f1(rng.normal(size=(1000, 5)), types) == pytest.approx(0.5, abs=0.05)


def test_a_type_with_fewer_cells_than_folds_does_not_count(rng):
    types = np.array(["a"] * 40 + ["b"] * 40 + ["rare"] * 3)
    values = np.vstack([np.eye(2)[[0] * 40 + [1] * 40], [[1.0, 0.0]] * 3]) + rng.normal(scale=0.01, size=(83, 2))
    assert cross_validated_f1(values, types) == 1.0


def test_a_turned_space_keeps_all_neighbours_and_a_shuffled_one_those_of_chance(rng):
    values = rng.normal(size=(300, 6))
    turned = values @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert kept_neighbours(values, turned, n_neighbours=15) == 1.0
    assert kept_neighbours(values, rng.permutation(values), n_neighbours=15) == pytest.approx(15 / 299, abs=0.02)


def test_models_without_a_shared_type_are_set_against_the_query_s_own(sources, tiny):
    plan = Plan(sources, ("paper",), tiny)
    assert plan_no_overlap(plan) == []  # the two data sets share T and B cells
    apart = [sources[0], _renamed(sources[-1])]
    cells = plan_no_overlap(Plan(apart, ("paper",), tiny))
    assert [(c.settings["query"], c.settings["model"], c.settings["features"]) for c in cells] == [
        ("first", "first", "paper"),
        ("first", "second", "paper"),
        ("first", "first", "paper, Adam"),
        ("first", "second", "paper, Adam"),
        ("first", "first", "untrained"),
        ("second", "second", "paper"),
        ("second", "first", "paper"),
        ("second", "second", "paper, Adam"),
        ("second", "first", "paper, Adam"),
        ("second", "second", "untrained"),
    ]


def test_the_model_of_the_figure_shares_types_with_most_data(sources, tiny):
    cells = plan_umap(Plan(sources, ("paper", "default"), tiny))
    assert {cell.settings["model"] for cell in cells} == {"first"}
    assert [(cell.settings["preset"], cell.settings["data"]) for cell in cells] == [
        ("paper", "second"),
        ("default", "second"),
        ("paper, Adam", "second"),
    ]


def _renamed(source):
    from dataclasses import replace

    return replace(source, types=tuple((f"other {name}", n) for name, n in source.types))
