from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from scprism.paper.experiments import units
from scprism.paper.experiments.units import commonest_types, foreign_pairs, small_pairs
from scprism.paper.plan import Plan
from scprism.paper.scale import SCALES

SHAPES = {"gut": (900, 20_000), "lung": (600, 20_000), "skin": (300, 20_000), "receptors": (999, 1_800)}


@pytest.fixture
def plan(monkeypatch, source):
    monkeypatch.setattr(units, "file_shape", lambda path: SHAPES[path.strip("/").removesuffix(".h5ad")])
    sources = [
        source("gut", {"T cell": 400, "goblet cell": 500}),
        source("lung", {"T cell": 300, "B cell": 300}),
        source("skin", {"keratinocyte": 200, "melanocyte": 100}),
        source("receptors", {"hepatocyte": 900, "stellate cell": 99}),
    ]
    return Plan(sources, ("paper",), SCALES["tiny"])


def names(pairs):
    return [(model.name, query.name) for model, query in pairs]


def test_pairs_without_a_common_type_come_first_the_larger_ones_before_the_smaller(plan):
    # gut and lung share T cells; of the others, gut with skin has 300 cells on its smaller side, as has lung with skin
    assert names(foreign_pairs(plan)) == [("gut", "skin"), ("skin", "gut")]
    assert names(foreign_pairs(plan, per_organism=3)) == [("gut", "skin"), ("skin", "gut")]


def test_no_data_set_is_model_or_query_twice_and_selections_of_genes_are_left_out(plan):
    pairs = foreign_pairs(plan, per_organism=9)
    assert len({model.name for model, _ in pairs}) == len({query.name for _, query in pairs}) == len(pairs)
    assert "receptors" not in {name for pair in names(pairs) for name in pair}


def test_small_pairs_are_those_with_the_fewest_cells_to_train_on(plan):
    assert names(small_pairs(plan, n=1)) == [("skin", "gut")]


def test_the_papers_tissues_are_the_pair_where_they_are_there(plan, source):
    types = {"a": 20, "b": 20}
    muscle = replace(source("muscle", types), platform="Smart-seq2", tissue="Limb_Muscle")
    mammary = replace(source("mammary", types), platform="Smart-seq2", tissue="Mammary_Gland")
    assert names(foreign_pairs(replace(plan, sources=[*plan.sources, mammary, muscle]))) == [("muscle", "mammary")]


def test_organisms_are_not_mixed(plan, source):
    human = source("skin", {"keratinocyte": 200, "melanocyte": 100}, organism="human")
    assert foreign_pairs(Plan([plan.sources[0], human], ("paper",), SCALES["tiny"])) == []


def test_the_commonest_types_with_enough_cells_are_explained():
    types = ["a"] * 30 + ["b"] * 20 + ["c"] * 40 + ["rare"] * 14 + [np.nan] * 5
    cells = AnnData(np.zeros((len(types), 1)), obs=pd.DataFrame({"type": types}, index=map(str, range(len(types)))))
    assert set(commonest_types(cells).dropna()) == {"a", "b", "c"}
    assert commonest_types(cells, n=2).value_counts().to_dict() == {"c": 40, "a": 30}
