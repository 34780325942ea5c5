"""How numbers and scripts are made small, how exact they stay, and how large a page becomes."""

import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from page_data import unpacked, whole
from scprism.report.embedding import Counted, Named, embedding_data
from scprism.report.interactive import safe_json
from scprism.report.packing import packed, quantised, whole_numbers
from scprism.report.projection import Projection
from scprism.report.subject import DrawnCells


@pytest.mark.parametrize("bits", [8, 16])
def test_numbers_are_exact_to_a_step_and_missing_ones_stay_missing(bits):
    values = np.append(np.random.default_rng(0).normal(size=100), np.nan)
    result = quantised(values, bits=bits)
    codes, none = whole(result).astype(float), 2**bits - 1
    step = (np.nanmax(values) - np.nanmin(values)) / (none - 1)
    back = np.where(codes == none, np.nan, result["low"] + codes * step)
    np.testing.assert_allclose(back, values, atol=0.5001 * step)
    assert back[np.nanargmax(values)] == pytest.approx(np.nanmax(values))


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [2.5, 2.5]])
def test_nothing_and_equal_numbers_can_be_written(values):
    result = quantised(np.array(values))
    assert len(whole(result)) == len(values)
    assert result["low"] == result["high"] == (2.5 if 2.5 in values else 0.0)


def test_codes_take_two_bytes_only_where_they_must():
    assert [whole_numbers([0, n])["bits"] for n in (255, 256)] == [8, 16]
    assert whole(whole_numbers([0, 300, 7])).tolist() == [0, 300, 7]


def test_what_is_packed_comes_back_and_is_the_same_each_time():
    text = "é</script>" * 1000
    assert unpacked(packed(text)) == text
    assert packed(text) == packed(text)
    assert len(packed(text)) < 500


def test_ten_thousand_cells_beside_ten_thousand_of_a_reference_take_less_than_five_megabytes():
    rng = np.random.default_rng(0)
    n, n_units, n_genes = 10_000, 40, 150
    table = pd.DataFrame({"cell": [f"{rng.integers(4**16):016x}-1" for _ in range(2 * n)]})
    table["origin"], table["novel"] = np.repeat(["reference", "query"], n), rng.random(2 * n) < 0.05
    table["label"] = rng.choice([f"type {i}" for i in range(30)], 2 * n)
    table["confidence"] = np.where(table["origin"] == "query", rng.random(2 * n), np.nan)
    table["x"], table["y"] = rng.normal(size=(2, 2 * n))
    obs = pd.DataFrame({"donor": rng.choice(list("abcdef"), n), "n_counts": rng.integers(500, 20_000, n)})
    obs["percent_mito"], obs["cluster"] = rng.random(n), rng.integers(40, size=n).astype(str)
    genes = np.log1p(rng.negative_binomial(0.3, 0.2, size=(n, n_genes)) * rng.uniform(0.5, 2, size=(n, 1)))
    units = np.maximum(rng.normal(size=(2 * n, n_units)), 0)
    drawn = DrawnCells(table, units, Projection(np.zeros((0, 2)), "UMAP"), 2 * n, np.arange(n))
    counted = Counted(np.ones(n), tuple(f"gene{i}" for i in range(n_genes)), genes)
    named = [Named(f"U{i}", f"U{i} some name") for i in range(n_units)]
    data = packed(safe_json(embedding_data(drawn, units=named, obs=obs, counted=counted)))
    assert len(packed(get_plotlyjs())) + len(data) < 4_800_000
