from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import scprism
from scprism.errors import BundleError, InputError
from scprism.explain.explanation import Explanation, read_explanation, write_explanation

N_CELLS = np.array([2, 5, 3])  # of groups a, b, and none


@pytest.fixture
def maps() -> np.ndarray:
    """The maps of ten cells: two of group a, five of group b, three of no group; two units, four genes."""
    return np.random.default_rng(0).normal(size=(10, 2, 4))


@pytest.fixture
def explanation(maps: np.ndarray) -> Explanation:
    parts = [maps[:2], maps[2:7], maps]
    return Explanation(
        signed=np.stack([p.mean(axis=0) for p in parts]).astype(np.float32),
        absolute=np.stack([np.abs(p).mean(axis=0) for p in parts]).astype(np.float32),
        groups=("b cell", "a", "all"),
        units=("unit_0", "unit_1"),
        genes=("Cd19", "Cd3e", "Lyz2", "Nkg7"),
        n_cells=np.array([2, 5, 10]),
        method="deeplift",
        completeness_error=1e-6,
        baseline="zero expression",
        fingerprint="abc",
    )


def test_file_gives_back_the_explanation(explanation: Explanation, tmp_path: Path) -> None:
    write_explanation(explanation, tmp_path / "out" / "explanation.h5ad")
    back = read_explanation(tmp_path / "out" / "explanation.h5ad")
    for name, value in vars(explanation).items():
        np.testing.assert_array_equal(getattr(back, name), value, err_msg=name)
    assert back.signed.dtype == np.float32
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["explanation.h5ad"]


def test_gradients_come_back_without_a_completeness_error(explanation: Explanation, tmp_path: Path) -> None:
    plain = Explanation(**{**vars(explanation), "method": "plain", "completeness_error": float("nan")})
    write_explanation(plain, tmp_path / "plain.h5ad")
    assert np.isnan(read_explanation(tmp_path / "plain.h5ad").completeness_error)


def test_file_is_an_anndata_of_group_and_unit(explanation: Explanation, tmp_path: Path) -> None:
    write_explanation(explanation, tmp_path / "e.h5ad")
    table = anndata.read_h5ad(tmp_path / "e.h5ad")
    assert table.var_names.tolist() == ["Cd19", "Cd3e", "Lyz2", "Nkg7"]
    row = table[(table.obs["group"] == "a") & (table.obs["unit"] == "unit_1")]
    assert row.obs["n_cells"].item() == 5
    np.testing.assert_array_equal(row.X[0], explanation.signed[1, 1])
    np.testing.assert_array_equal(row.layers["absolute"][0], explanation.absolute[1, 1])
    facts = table.uns["scprism"]
    assert {key: facts[key] for key in ("method", "baseline", "fingerprint", "schema_version")} == {
        "method": "deeplift", "baseline": "zero expression", "fingerprint": "abc", "schema_version": 1,
    }  # fmt: skip


def test_failed_write_leaves_the_old_file(
    explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "e.h5ad"
    write_explanation(explanation, path)
    before = path.read_bytes()

    def fail(_self: object, target: Path, **_options: object) -> None:
        Path(target).write_bytes(b"half")
        msg = "disk full"
        raise OSError(msg)

    monkeypatch.setattr(anndata.AnnData, "write_h5ad", fail)
    with pytest.raises(OSError, match="disk full"):
        write_explanation(explanation, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["e.h5ad"]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no file '.*nowhere\.h5ad'"):
        read_explanation(tmp_path / "nowhere.h5ad")


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_truncated_file_is_refused(explanation: Explanation, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "e.h5ad"
    write_explanation(explanation, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BundleError, match="cannot be read: it is truncated, or no h5ad file"):
        read_explanation(path)


def test_foreign_file_is_refused(tmp_path: Path) -> None:
    anndata.AnnData(np.ones((2, 2), np.float32)).write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(BundleError, match="is an h5ad file, but no explanation"):
        read_explanation(tmp_path / "cells.h5ad")


def test_newer_file_is_refused(explanation: Explanation, tmp_path: Path) -> None:
    table = explanation.to_anndata()
    table.uns["scprism"]["schema_version"] = 99
    table.write_h5ad(tmp_path / "e.h5ad")
    with pytest.raises(BundleError, match="from a newer scprism: its schema is 99, known is up to 1"):
        read_explanation(tmp_path / "e.h5ad")


@pytest.mark.parametrize("damage", ["rows", "layer", "fact", "column"])
def test_edited_file_is_refused(explanation: Explanation, tmp_path: Path, damage: str) -> None:
    table = explanation.to_anndata()
    if damage == "rows":
        table = table[[1, 0, 2, 3, 4]].copy()
    elif damage == "layer":
        del table.layers["absolute"]
    elif damage == "fact":
        del table.uns["scprism"]["method"]
    else:
        del table.obs["unit"]
    table.write_h5ad(tmp_path / "e.h5ad")
    with pytest.raises(BundleError, match="an explanation with parts missing or edited"):
        read_explanation(tmp_path / "e.h5ad")


def test_difference_from_the_rest_compares_with_all_other_cells(explanation: Explanation, maps: np.ndarray) -> None:
    contrast = explanation.difference("rest")
    assert contrast.groups == ("b cell", "a")
    assert contrast.n_cells.tolist() == [2, 5]
    assert contrast.minus == "rest"
    rest = np.concatenate([maps[:2], maps[7:]])
    np.testing.assert_allclose(contrast.signed[1], maps[2:7].mean(axis=0) - rest.mean(axis=0), atol=1e-6)
    expected = np.abs(maps[2:7]).mean(axis=0) - np.abs(rest).mean(axis=0)
    np.testing.assert_allclose(contrast.absolute[1], expected, atol=1e-6)


def test_difference_from_few_other_cells_is_summed_exactly() -> None:
    """99.999 % of the cells are in the group: the rest is what is left of two large sums, here in exact fractions."""
    whole, own = np.float32(1.2345), np.float32(1.2344999)
    maps = np.array([own, whole]).reshape(2, 1, 1)
    cells = np.array([99_999, 100_000])
    contrast = Explanation(maps, maps, ("a", "all"), ("0",), ("g",), cells, "plain", np.nan, "zero", "").difference(
        "rest"
    )
    exact = Fraction(float(own)) - (Fraction(float(whole)) * 100_000 - Fraction(float(own)) * 99_999)
    assert contrast.signed.item() == np.float32(float(exact))
    assert contrast.absolute.item() == np.float32(float(exact))


def test_difference_from_all_is_the_form_of_the_paper(explanation: Explanation, maps: np.ndarray) -> None:
    contrast = explanation.difference("all")
    expected = np.abs(maps[:2]).mean(axis=0) - np.abs(maps).mean(axis=0)
    np.testing.assert_allclose(contrast.absolute[0], expected, atol=1e-6)


def test_difference_from_a_group_leaves_that_group_out(explanation: Explanation, maps: np.ndarray) -> None:
    contrast = explanation.difference("a")
    assert contrast.groups == ("b cell",)
    np.testing.assert_allclose(contrast.signed[0], maps[:2].mean(axis=0) - maps[2:7].mean(axis=0), atol=1e-6)


def test_impossible_differences_are_refused(explanation: Explanation) -> None:
    with pytest.raises(InputError, match="already a difference, from 'all'"):
        explanation.difference("all").difference("rest")
    with pytest.raises(InputError, match="`group` must be one of"):
        explanation.difference("c")
    alone = Explanation(
        **{**vars(explanation), "signed": explanation.signed[2:], "absolute": explanation.absolute[2:],
           "groups": ("all",), "n_cells": np.array([10])}
    )  # fmt: skip
    with pytest.raises(InputError, match="No group is left to compare"):
        alone.difference("rest")


def test_top_genes_are_ordered_by_the_wanted_mean(explanation: Explanation) -> None:
    signed = np.array([[[0.1, -0.9, 0.5, 0.0], [3.0, 1.0, 2.0, 0.0]]] * 3, np.float32)
    absolute = np.array([[[2.0, 0.9, 0.5, 2.0], [3.0, 1.0, 2.0, 0.0]]] * 3, np.float32)
    planted = Explanation(**{**vars(explanation), "signed": signed, "absolute": absolute})
    by_absolute = planted.top_genes("a", 2)
    expected = pd.DataFrame(
        {
            "unit": ["unit_0", "unit_0", "unit_1", "unit_1"],
            "rank": [1, 2, 1, 2],
            "gene": ["Cd19", "Nkg7", "Cd19", "Lyz2"],
            "signed": np.float32([0.1, 0.0, 3.0, 2.0]),
            "absolute": np.float32([2.0, 2.0, 3.0, 2.0]),
        }
    )
    pd.testing.assert_frame_equal(by_absolute, expected, check_dtype=False)
    assert planted.top_genes("a", 3, by="signed")["gene"].tolist()[:3] == ["Cd3e", "Lyz2", "Cd19"]


def test_frame_is_one_group_units_by_genes(explanation: Explanation) -> None:
    frame = explanation.frame("a", absolute=True)
    assert frame.loc["unit_1", "Lyz2"] == explanation.absolute[1, 1, 2]
    assert explanation.frame("a").loc["unit_1", "Lyz2"] == explanation.signed[1, 1, 2]
    with pytest.raises(InputError, match="`group` must be one of 'b cell', 'a', 'all', got 'B'"):
        explanation.frame("B")


def test_an_explanation_shows_itself_in_a_notebook(explanation):
    told = replace(explanation, warnings=("Watch <out>",))
    html = told._repr_html_()
    assert "Watch &lt;out&gt;" in html
    leading = told.top_genes("all", 5, by="signed").groupby("unit", sort=False)["gene"].agg(", ".join)
    for unit, genes in leading.items():
        assert f"<th>{unit}</th>" in html
        assert genes in html


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_an_explanation_saves_itself(explanation, tmp_path, ending):
    explanation.save(tmp_path / f"why{ending}")
    again = scprism.read_explanation(tmp_path / f"why{ending}")
    np.testing.assert_array_equal(again.signed, explanation.signed)
    assert again.units == explanation.units
