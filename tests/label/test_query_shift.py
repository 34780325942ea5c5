"""Whether a query lies where the reference lies."""

import numpy as np
import pytest
from scipy import sparse

from scprism.label.query_shift import (
    CellQuality,
    UsualRange,
    describe_difference,
    joined_quality,
    usual_range,
    with_quality,
)
from scprism.prepare.stream import PreparedChunk

USUAL = UsualRange(depth=(100.0, 1000.0, 5000.0), zeros=(0.5, 0.7, 0.9))


def quality(depth, zeros):
    return CellQuality(np.full(9, float(depth)), np.full(9, float(zeros)))


def test_a_query_like_the_reference_is_not_remarked_on():
    assert describe_difference(quality(1000, 0.7), USUAL, far_share=0.01) == ""


@pytest.mark.parametrize(
    ("depth", "zeros", "far", "words"),
    [
        (50, 0.7, 0.0, "counts per cell in the model's genes: median 50, in the reference 1,000 (100 to 5,000)"),
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
    text = describe_difference(quality(depth, zeros), USUAL, far_share=far)
    assert words in text
    assert text.count(";") == 0  # nothing else is named


def test_the_medians_are_compared_so_that_a_few_odd_cells_do_not_matter():
    mixed = CellQuality(np.array([1000.0] * 5 + [1.0] * 4), np.full(9, 0.7))
    assert describe_difference(mixed, USUAL, far_share=0.0) == ""


def test_depth_and_zeros_are_those_of_the_genes_that_the_file_has():
    counts = sparse.csr_matrix(np.array([[3.0, 0, 0, 1], [0, 0, 0, 0]]))
    seen = []
    chunks = [PreparedChunk(slice(0, 2), counts, counts)]
    assert list(with_quality(chunks, n_genes=4, seen=seen)) == chunks
    found = joined_quality(seen)
    assert (found.depth.tolist(), found.zeros.tolist()) == ([4.0, 0.0], [0.5, 1.0])


def test_no_cells_are_no_difference():
    assert describe_difference(joined_quality([]), USUAL, far_share=0.0) == ""


def test_usual_are_percentiles():
    depth = np.arange(101.0)
    assert usual_range(CellQuality(depth, depth / 100)) == UsualRange((1.0, 50.0, 99.0), (0.01, 0.5, 0.99))
    assert UsualRange.from_json(USUAL.to_json()) == USUAL
