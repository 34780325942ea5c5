import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from scprism.errors import InputError, PrismWarning
from scprism.explain.grouping import MAX_GROUPS, MAX_GROUPS_OF_FRACTIONS, group_codes


def cells(values):
    obs = pd.DataFrame({"group": values}, index=[f"c{i}" for i in range(len(values))])
    return AnnData(np.zeros((len(values), 1), dtype=np.float32), obs=obs)


@pytest.mark.parametrize(
    ("values", "groups", "codes"),
    [
        pytest.param(["b", "a", "b"], ("a", "b"), [1, 0, 1], id="text"),
        pytest.param(["10", "9", "1"], ("1", "9", "10"), [2, 1, 0], id="numbers as text"),
        pytest.param([10, 9, 1], ("1", "9", "10"), [2, 1, 0], id="numbers"),
        pytest.param([2.0, np.nan, 1.5], ("1.5", "2"), [1, -1, 0], id="numbers, one missing"),
        pytest.param([True, False, True], ("False", "True"), [1, 0, 1], id="yes and no"),
        pytest.param(["b", None, "a"], ("a", "b"), [1, -1, 0], id="missing"),
        pytest.param(pd.array([2, None, 10], dtype="Int64"), ("2", "10"), [0, -1, 1], id="missing number"),
        pytest.param(pd.array(["b", None, "a"], dtype="string"), ("a", "b"), [1, -1, 0], id="missing string"),
        pytest.param(
            pd.Categorical(["late", "early", None], categories=["early", "mid", "late"]),
            ("early", "late"),
            [1, 0, -1],
            id="categories in their order, used ones",
        ),
        pytest.param(
            pd.Categorical([2.0, 10.0, 2.0], categories=[10.0, 2.0]), ("10", "2"), [1, 0, 1], id="whole numbers"
        ),
    ],
)
def test_groups_have_their_order_and_missing_is_missing(values, groups, codes):
    found, numbers = group_codes(cells(values), "group")
    assert found == groups
    assert numbers.tolist() == codes


@pytest.mark.parametrize("word", ["nan", "NaN", "NA", "<NA>", " ", "None"])
@pytest.mark.parametrize("kind", [list, pd.Categorical])
def test_text_for_missing_is_no_group_and_told(word, kind):
    with pytest.warns(PrismWarning, match="2 of 4 cells have text such as 'NA', 'nan' or 'None' for a group"):
        groups, codes = group_codes(cells(kind(["T", word, "B", word])), "group")
    assert groups == ("B", "T")
    assert codes.tolist() == [1, -1, 0, -1]


@pytest.mark.parametrize(("step", "limit"), [(1.37, MAX_GROUPS_OF_FRACTIONS), (1, MAX_GROUPS)])
def test_too_many_groups_are_refused_with_what_to_do(step, limit):
    values = np.repeat(np.arange(1, limit + 2) * step, 2)
    with pytest.raises(InputError, match=rf"gives {limit + 1} groups of {len(values)} cells .* pandas.qcut"):
        group_codes(cells(values), "group")
    assert len(group_codes(cells(values[2:]), "group")[0]) == limit


def test_a_group_called_all_is_refused():
    with pytest.raises(InputError, match="a group 'all', which is how all cells together are called"):
        group_codes(cells(["all", "T"]), "group")
