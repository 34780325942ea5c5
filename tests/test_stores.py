import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from scprism._stores import writable_obs, write_anndata
from scprism.errors import PrismWarning

TWO = pd.Index(["c1", "c2"])

# what a column holds, what comes back, and how it is told
COLUMNS = {
    "text of pandas 3": (pd.array(["a", None], dtype="string"), ["a", None], None),
    "text with gaps": (np.array(["a", np.nan], dtype=object), ["a", None], None),
    "categories of text of pandas 3": (pd.Categorical(pd.array(["a", "b"], dtype="string")), ["a", "b"], None),
    "integers with gaps": (pd.array([1, None], dtype="Int64"), [1, None], None),
    "numbers": (np.array([1.5, np.nan]), [1.5, None], None),
    "integers as objects": (np.array([1, 2], dtype=object), [1, 2], None),
    "nothing": (np.array([None, None], dtype=object), [None, None], None),
    "text and numbers": (np.array(["a", 1], dtype=object), ["a", "1"], "as text"),
    "categories of text and numbers": (pd.Categorical(["b", 1], categories=["b", 1]), ["b", "1"], "as text"),
    "bins": (pd.cut([1, 4], [0, 2, 4]), ["(0, 2]", "(2, 4]"], "as text"),
    "dates": (pd.to_datetime(["2020-01-01", None]), ["2020-01-01", None], "as text"),
    "times of a zone": (
        pd.to_datetime(["2020-01-01", "2020-01-02"]).tz_localize("UTC"),
        ["2020-01-01 00:00:00+00:00", "2020-01-02 00:00:00+00:00"],
        "as text",
    ),
    "answers with gaps": (np.array([True, None], dtype=object), ["True", None], "as text"),
    "text with a NUL": (np.array(["a\0b", "c"], dtype=object), ["ab", "c"], None),
    "half a character": (np.array(["a\ud800", "c"], dtype=object), ["a?", "c"], None),
    "lists": (pd.Series([[1], [2, 3]]).to_numpy(), None, "left out"),
}


def saved(cells, path, message=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_anndata(cells, path)
    told = [str(w.message) for w in caught if issubclass(w.category, PrismWarning)]
    assert [message in text for text in told] == ([True] if message else [])
    return anndata.read_h5ad(path) if path.suffix == ".h5ad" else anndata.io.read_zarr(path)


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
@pytest.mark.parametrize("case", COLUMNS)
def test_every_column_is_written_or_told_of(tmp_path, case, ending):
    values, expected, message = COLUMNS[case]
    column = pd.Series(values, index=TWO, dtype=values.dtype)  # told, since pandas 3 has a type of text that it prefers
    cells = AnnData(np.zeros((2, 1), dtype=np.float32), obs=column.to_frame("column"))
    before = cells.obs.copy()
    found = saved(cells, tmp_path / f"x{ending}", message).obs
    if expected is None:
        assert "column" not in found
    else:
        assert [None if pd.isna(value) else value for value in found["column"]] == expected
    pd.testing.assert_frame_equal(cells.obs, before)


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
@pytest.mark.parametrize(
    ("name", "becomes"),
    [("a/b", "a_b"), ("/a", "_a"), ("_index", "index"), ("", "unnamed"), (".", "unnamed"), (5, "5"), ("a\0", "a")],
)
def test_every_name_of_a_column_is_written(tmp_path, name, becomes, ending):
    obs = pd.DataFrame({"x": [3, 4]}, index=TWO)
    obs[name] = [1, 2]
    cells = AnnData(np.zeros((2, 1), dtype=np.float32))
    cells.obs = obs.set_axis(cells.obs_names)
    found = saved(
        cells, tmp_path / f"x{ending}", f"{name} to {becomes}".replace("\0", "\\x00") if name != becomes else None
    ).obs
    assert found[becomes].tolist() == [1, 2]
    assert found["x"].tolist() == [3, 4]


def test_names_that_become_alike_stay_apart():
    obs = pd.DataFrame([[1, 2, 3, 4]], columns=["a/b", "a_b", "x", "x"], index=["c"])
    with pytest.warns(PrismWarning, match="a/b to a_b_1"):
        found = writable_obs(obs)
    assert found.to_dict("list") == {"a_b_1": [1], "a_b": [2], "x": [3], "x_1": [4]}


def test_order_of_categories_stays():
    obs = pd.DataFrame({"day": pd.Categorical([10, "late"], categories=["late", 10], ordered=True)}, index=TWO)
    with pytest.warns(PrismWarning, match="written as text"):
        found = writable_obs(obs)["day"]
    assert (found.cat.ordered, list(found.cat.categories)) == (True, ["late", "10"])


@pytest.mark.parametrize("name", ["_index", "a/b", 3, "x"])
def test_names_of_cells_are_written_whatever_they_are_called(tmp_path, name):
    index = pd.Index(pd.array(["c1", "c2"], dtype="string"), name=name)
    cells = AnnData(np.ones((2, 1), dtype=np.float32), obs=pd.DataFrame({"x": [1, 2]}, index=index))
    found = saved(cells, tmp_path / "x.h5ad")
    assert (list(found.obs_names), found.obs["x"].tolist()) == (["c1", "c2"], [1, 2])


def test_all_parts_of_an_anndata_are_written(tmp_path):
    cells = AnnData(
        np.ones((2, 1), dtype=np.float32),
        layers={"a": np.zeros((2, 1))},
        obsm={"b": np.full((2, 3), 2.0)},
        varm={"c": np.full((1, 2), 3.0)},
        obsp={"d": np.eye(2)},
        uns={"e": {"f": 1}},
    )
    found = saved(cells, tmp_path / "x.h5ad")
    assert found.layers["a"].tolist() == [[0], [0]]
    assert found.obsm["b"].tolist() == [[2] * 3] * 2
    assert found.varm["c"].tolist() == [[3, 3]]
    assert found.obsp["d"].tolist() == [[1, 0], [0, 1]]
    assert found.uns["e"]["f"] == 1
