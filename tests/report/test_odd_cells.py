"""Odd cells: which they are, why, in which order, and which genes speak against their label."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scprism import Prism, enrich, load_dataset
from scprism.report.odd_cells import find_odd_cells


@pytest.fixture
def table():
    """100 cells of two labels, each usual but the first five."""
    rng = np.random.default_rng(0)
    labels = pd.DataFrame(
        {
            "label": np.resize(["B cell", "T cell"], 100),
            "confidence": 0.95,
            "runner_up": "NK cell",
            "distance": np.exp(rng.uniform(-0.3, 0.3, 100)),
            "novelty_p": 0.5,
            "novel": False,
        },
        index=[f"cell-{i}" for i in range(100)],
    )
    # T cells lie three times as far as B cells: that alone is not odd
    labels.loc[labels["label"] == "T cell", "distance"] *= 3
    labels.iloc[0, labels.columns.get_indexer(["novelty_p", "novel"])] = [0.001, True]
    labels.iloc[1, labels.columns.get_loc("confidence")] = 0.31
    labels.iloc[2, labels.columns.get_loc("distance")] = 3.0  # a B cell as far as T cells are
    labels.iloc[4, labels.columns.get_indexer(["novelty_p", "novel", "confidence"])] = [0.04, True, 0.2]
    return labels


@pytest.fixture
def depth():
    depth = np.exp(np.random.default_rng(1).uniform(6.7, 7.3, 100))
    depth[3] = 40
    return depth


def test_each_odd_cell_is_found_for_its_reason_and_the_oddest_comes_first(table, depth):
    odd = find_odd_cells(table, depth)
    ways = odd.table.set_index("cell")[list(odd.kinds)]
    assert ways.index.tolist()[:2] == ["cell-4", "cell-0"]
    assert {cell: set(ways.columns[row]) for cell, row in zip(ways.index, ways.to_numpy(), strict=True)} == {
        "cell-0": {"novel"},
        "cell-1": {"low confidence"},
        "cell-2": {"far"},
        "cell-3": {"few molecules"},
        "cell-4": {"novel", "low confidence"},
    }


def test_what_is_not_known_is_not_looked_at(table):
    odd = find_odd_cells(table.drop(columns=["distance", "runner_up", "novelty_p"]), None)
    assert odd.kinds == ("novel", "low confidence")
    assert sorted(odd.table["cell"]) == ["cell-0", "cell-1", "cell-4"]


def test_equal_depths_and_distances_make_no_cell_odd(table):
    same = table.assign(distance=1.0, novel=False, confidence=0.9)
    assert find_odd_cells(same, np.full(100, 500.0)).table.empty


def test_the_page_lists_them_with_reasons_and_counts(page):
    # by hand: cells 5, 8 and 9 are novel, 5 and 9 have a confidence below one half
    assert [row[:3] for row in page.tables["odd-cells"][1:]] == [
        ["cell-9", "NK cell", "novel; low confidence"],
        ["cell-5", "B cell", "novel; low confidence"],
        ["cell-8", "T <CD4> & 'naïve'", "novel"],
    ]
    assert "3 cells of 10 (30.0%) are out of the ordinary: 3 novel, 2 of low confidence" in page.text["odd"]


def test_only_the_oddest_are_listed_and_this_is_said(results, monkeypatch, written):
    monkeypatch.setattr("scprism.report.odd_cells.CELLS_SHOWN", 2)
    page = written(results)
    assert len(page.tables["odd-cells"]) == 3
    assert "The 2 oddest cells" in page.text["odd"]


@pytest.mark.filterwarnings("ignore:The query is unlike")
def test_genes_against_a_label_are_those_of_the_reasons(written):
    reference, query = load_dataset("tm_droplet_immune")[::4].copy(), load_dataset("mouse_lung_immune")[::10].copy()
    model = Prism(units="raw", bottleneck_size=3, max_epochs=1, rng=0).fit(reference)
    view, known = model.view(query), model.view(reference)
    labels = view.label(reference=known, labels="cell_type")
    why = view.explain()
    sets = {"some": list(model.genes[:30]), "others": list(model.genes[30:60])}
    results = SimpleNamespace(
        model=model,
        explanation=why,
        enrichment=enrich(why, sets, rng=0),
        embedding=view.embed(),
        cells=view,
        labels=labels,
        reference=known,
        reference_labels="cell_type",
    )
    first = written(results).tables["odd-cells"][1]
    reasons = view.reasons(reference=known, labels="cell_type", cells=[first[0]])
    own = reasons[reasons["cell"] == first[0]]
    parts = (own["regressions"] + own["centroids"]).set_axis(own["gene"]).sort_values()
    expected = [f"{gene} {part:+.2f}".replace("-", "−", 1) for gene, part in parts[parts < 0].head(4).items()]
    assert first[-1].split(", ") == expected
    genes = [gene for gene in model.genes if gene in query.var_names]
    assert first[6] == f"{query[first[0], genes].X.sum():,.0f}"
