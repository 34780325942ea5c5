"""Whether a query lies where the reference lies."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scprism.label.query_shift import (
    CellQuality,
    UsualRange,
    describe_difference,
    joined_quality,
    quality_of,
    usual_range,
)
from scprism.prepare.stream import PreparedChunk

NONE = pd.DataFrame({"label": ["A"] * 100, "novel": False})
USUAL = UsualRange(depth=(100.0, 1000.0, 5000.0), zeros=(0.5, 0.7, 0.9))


def quality(depth, zeros):
    return CellQuality(np.full(9, float(depth)), np.full(9, float(zeros)))


def test_a_query_like_the_reference_is_not_remarked_on():
    assert describe_difference(quality(1000, 0.7), USUAL, calls=NONE) == ""


@pytest.mark.parametrize(
    ("depth", "zeros", "far", "words"),
    [
        (
            50,
            0.7,
            0.0,
            "counts per cell in the genes that labels are told by: median 50, in the reference 1,000 (100 to 5,000)",
        ),
        (9000, 0.7, 0.0, "median 9,000, in the reference 1,000"),
        (1000, 0.97, 0.0, "genes without a count: median 97%, in the reference 70% (50% to 90%)"),
        (1000, 0.1, 0.0, "genes without a count: median 10%"),
        (
            1000,
            0.7,
            0.31,
            "31% of its cells are novel, where 5% or fewer are expected",
        ),
    ],
)
def test_what_differs_is_named_with_its_numbers(depth, zeros, far, words):
    text = describe_difference(quality(depth, zeros), USUAL, calls=NONE.assign(novel=np.arange(100) < 100 * far))
    assert words in text
    assert text.count(";") == 0  # nothing else is named


def test_a_query_beyond_all_platforms_is_said_to_be_so():
    text = describe_difference(quality(1000, 0.7), USUAL, calls=NONE, is_outside=True)
    assert "nine tenths of its cells or more are stranger" in text


def test_the_medians_are_compared_so_that_a_few_odd_cells_do_not_matter():
    mixed = CellQuality(np.array([1000.0] * 5 + [1.0] * 4), np.full(9, 0.7))
    assert describe_difference(mixed, USUAL, calls=NONE) == ""


def test_depth_and_zeros_are_those_of_the_genes_that_the_file_has():
    counts = sparse.csr_matrix(np.array([[3.0, 0, 0, 1], [0, 0, 0, 0]]))
    found = quality_of(PreparedChunk(slice(0, 2), counts, counts), n_genes=4)
    assert (found.depth.tolist(), found.zeros.tolist()) == ([4.0, 0.0], [0.5, 1.0])


def test_no_cells_are_no_difference():
    assert describe_difference(joined_quality([]), USUAL, calls=NONE) == ""


def test_usual_are_percentiles():
    depth = np.arange(101.0)
    assert usual_range(CellQuality(depth, depth / 100)) == UsualRange((1.0, 50.0, 99.0), (0.01, 0.5, 0.99))
    assert UsualRange.from_json(USUAL.to_json()) == USUAL


def test_a_label_whose_cells_are_novel_is_named_where_the_whole_query_is_not():
    calls = pd.DataFrame({"label": ["A"] * 400 + ["B"] * 40, "novel": np.arange(440) >= 420})
    text = describe_difference(quality(1000, 0.7), USUAL, calls=calls)
    assert "many are novel: 'B' (50% of 40)" in text
    assert "'A'" not in text
