"""Figures draw the numbers of their tables: each number that is drawn is read back from the axes."""

import itertools
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from anndata import AnnData
from matplotlib.colors import to_hex

import scprism
from scprism import figures
from scprism.errors import InputError
from scprism.report.palette import VALIDATION


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def calls() -> pd.DataFrame:
    cells = [f"c{i}" for i in range(8)]
    table = {"label": ["B"] * 4 + ["T"] * 4, "confidence": [0.95, 0.95, 0.95, 0.95, 0.25, 0.25, 0.55, 0.55]}
    return pd.DataFrame({**table, "distance": 1.0, "novel": False}, index=cells)


@pytest.fixture
def truth(calls) -> "pd.Series[str]":
    return pd.Series(["B", "B", "B", "T", "T", "NK", "T", np.nan], index=calls.index)


@pytest.fixture
def activity(calls) -> pd.DataFrame:
    return pd.DataFrame({"U01": [2.0, 2, 4, 4, 1, 1, 1, 1], "U02": [0.0] * 4 + [3.0] * 4}, index=calls.index)


@pytest.fixture
def genes() -> pd.DataFrame:
    rows = [("U01", 1, "CD74", 3.0), ("U01", 2, "LYZ", -2.0), ("U01", 3, "IL1B", 1.0), ("U02", 1, "CD3E", 1.0)]
    table = pd.DataFrame(rows, columns=["unit", "rank", "gene", "signed"])
    return table.assign(absolute=table["signed"].abs())


@pytest.fixture
def enrichment() -> pd.DataFrame:
    rows = [
        ("all", "U01", "HALLMARK_E2F_TARGETS", 2.0, 0.01),
        ("all", "U01", "HALLMARK_APOPTOSIS", -1.5, 0.2),
        ("all", "U02", "HALLMARK_E2F_TARGETS", -1.0, 0.9),
        ("all", "U02", "HALLMARK_APOPTOSIS", -2.5, 0.001),
        ("all", "U03", "HALLMARK_APOPTOSIS", 0.5, 0.9),
        ("B", "U01", "HALLMARK_APOPTOSIS", 1.0, 0.9),
    ]
    return pd.DataFrame(rows, columns=["group", "unit", "gene_set", "nes", "q_value"])


@pytest.fixture
def comparison() -> pd.DataFrame:
    rows = [
        ("all", "U01", 0.5, 0.2, 0.8, 0.001),
        ("all", "U02", -0.1, -0.4, 0.2, 0.6),
        ("B", "U01", 9.0, 8.0, 10.0, 0.5),
    ]
    table = pd.DataFrame(rows, columns=["within", "unit", "difference", "low", "high", "q_value"])
    return table.assign(group="stimulated", reference="control", p_value=table["q_value"])


def names(ticks):
    return [tick.get_text() for tick in ticks]


def test_annotated_cells_are_drawn_where_umap_has_them(calls):
    plane = np.arange(16, dtype=np.float32).reshape(8, 2)
    cells = AnnData(np.zeros((8, 1)), obs=calls.add_prefix("prism_").assign(U01=np.arange(8.0)), obsm={"X_umap": plane})
    ax = figures.plot_embedding(cells)
    assert {c.get_label(): c.get_offsets().tolist() for c in ax.collections} == {
        "B": plane[:4].tolist(),
        "T": plane[4:].tolist(),
    }
    coloured = figures.plot_embedding(cells, colour="U01").collections[1]
    assert coloured.get_array().tolist() == list(range(8))
    with pytest.raises(InputError, match="`colour` must be a column of `.obs`, got 'U02'. Closest: 'U01'"):
        figures.plot_embedding(cells, colour="U02")
    del cells.obsm["X_umap"]
    with pytest.raises(InputError, match="The cells have no coordinates"):
        figures.plot_embedding(cells)
    with pytest.raises(InputError, match="must have the columns 'x', 'y' and 'label'"):
        figures.plot_embedding(calls)


def test_composition_stacks_shares_that_sum_to_one(calls):
    groups = pd.Series(["one"] * 5 + ["two"] * 2 + [np.nan], index=calls.index)
    ax = figures.plot_composition(calls, groups)
    assert names(ax.get_yticklabels()) == ["one (5)", "two (2)"]
    first, second = ax.containers
    drawn = {bars.get_label(): [bar.get_width() for bar in bars] for bars in (first, second)}
    assert drawn == {"T": [0.2, 1.0], "B": [0.8, 0.0]}
    assert [bar.get_x() for bar in second] == [bar.get_width() for bar in first]


def test_confusion_shows_shares_of_each_known_type(calls, truth):
    ax = figures.plot_confusion(calls, truth)
    assert names(ax.get_yticklabels()) == ["B (3)", "T (3)", "NK (1)"]
    assert names(ax.get_xticklabels()) == ["B", "T"]
    np.testing.assert_allclose(ax.images[0].get_array(), [[1, 0], [1 / 3, 2 / 3], [0, 1]])
    with pytest.raises(InputError, match="holds that of none"):
        figures.plot_confusion(calls, pd.Series(["B"], index=["elsewhere"]))


def test_calibration_shows_the_share_of_right_labels_in_each_bin(calls, truth):
    ax = figures.plot_calibration(calls, truth)
    points = [bars[0].get_xydata()[0].tolist() for bars in ax.containers]
    np.testing.assert_allclose(points, [[0.25, 0.5], [0.55, 1.0], [0.95, 0.75]])
    assert names(ax.texts) == ["2", "1", "4"]
    # the interval of 3 of 4, by statsmodels.stats.proportion.proportion_confint(3, 4, method="wilson")
    low, high = ax.containers[2][2][0].get_segments()[0][:, 1]
    np.testing.assert_allclose([low, high], [0.300636, 0.954413], atol=1e-5)


def test_unit_genes_are_bars_of_their_attribution(genes):
    ax = figures.plot_unit_genes(genes, unit="U01", n_genes=2)
    assert [bar.get_width() for bar in ax.patches] == [3.0, -2.0]
    assert names(ax.get_yticklabels()) == ["CD74", "LYZ"]
    assert to_hex(ax.patches[0].get_facecolor()) == VALIDATION.lower() != to_hex(ax.patches[1].get_facecolor())
    with pytest.raises(InputError, match="`unit` must be one of 'U01', 'U02', got 'U03'"):
        figures.plot_unit_genes(genes, unit="U03")


def test_units_by_label_are_means_of_the_label_with_most(activity, calls):
    ax = figures.plot_units_by_label(activity, calls["label"])
    np.testing.assert_allclose(ax.images[0].get_array(), [[1, 0], [1 / 3, 1]])
    assert (names(ax.get_xticklabels()), names(ax.get_yticklabels())) == (["U01", "U02"], ["B", "T"])


def test_enrichment_shows_scores_and_marks_the_significant(enrichment):
    ax = figures.plot_enrichment(enrichment)
    assert sorted(names(ax.get_yticklabels())) == ["Apoptosis", "E2F targets"]
    assert names(ax.get_xticklabels()) == ["U01", "U02"]
    rows = names(ax.get_yticklabels())
    shown = pd.DataFrame(ax.images[0].get_array(), index=rows, columns=["U01", "U02"])
    assert shown.loc["E2F targets"].tolist() == [2.0, -1.0]
    assert shown.loc["Apoptosis"].tolist() == [-1.5, -2.5]
    dots = {(rows[int(y)], ["U01", "U02"][int(x)]) for x, y in ax.collections[0].get_offsets()}
    assert dots == {("E2F targets", "U01"), ("Apoptosis", "U02")}
    assert names(figures.plot_enrichment(enrichment, group="B").texts) == ["no gene set has q < 0.05 in 'B'"]
    with pytest.raises(InputError, match="`group` must be a group of the enrichment, got 'T'"):
        figures.plot_enrichment(enrichment, group="T")


def test_comparison_shows_differences_with_their_intervals(comparison):
    ax = figures.plot_comparison(comparison)
    assert names(ax.get_yticklabels()) == ["U02", "U01"]
    low_high, point = ax.get_lines()[2:4]
    assert list(low_high.get_xdata()) == [0.2, 0.8]
    assert point.get_xdata() == [0.5]
    assert point.get_markerfacecolor() == VALIDATION != ax.get_lines()[1].get_markerfacecolor()
    assert ax.get_xlabel() == "difference of mean activity, stimulated − control"
    two = pd.concat([comparison, comparison.assign(group="other")])
    with pytest.raises(InputError, match="`group` must name one of the groups"):
        figures.plot_comparison(two)
    assert len(figures.plot_comparison(two, group="other", within="B").get_yticklabels()) == 1


def test_coverage_shows_both_shares():
    coverage = pd.DataFrame(
        {
            "gene": list("abcd"),
            "found": ["name", "name", "name", "missing"],
            "sources": "",
            "share": [0.5, 0.2, 0.2, 0.1],
        }
    )
    ax = figures.plot_coverage(coverage)
    assert names(ax.get_yticklabels()) == ["by name", "missing"]
    np.testing.assert_allclose(
        [[bar.get_width() for bar in bars] for bars in ax.containers], [[0.75, 0.25], [0.9, 0.1]]
    )


def test_every_figure_draws_on_the_axes_it_is_given(calls, truth, activity, genes, enrichment, comparison):
    log = pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0], "validation_loss": [2.0, 1.5]})
    coverage = pd.DataFrame({"gene": ["a"], "found": ["name"], "sources": [""], "share": [1.0]})
    plane = pd.DataFrame({"x": [0.0], "y": [1.0], "label": ["B"]})
    drawn = {
        "plot_calibration": lambda ax: figures.plot_calibration(calls, truth, ax),
        "plot_comparison": lambda ax: figures.plot_comparison(comparison, ax),
        "plot_composition": lambda ax: figures.plot_composition(calls, calls["label"], ax),
        "plot_confidence": lambda ax: figures.plot_confidence(calls, ax),
        "plot_confusion": lambda ax: figures.plot_confusion(calls, truth, ax),
        "plot_coverage": lambda ax: figures.plot_coverage(coverage, ax),
        "plot_embedding": lambda ax: figures.plot_embedding(plane, ax),
        "plot_enrichment": lambda ax: figures.plot_enrichment(enrichment, ax),
        "plot_pathways": lambda ax: figures.plot_pathways(enrichment, ax),
        "plot_sets_per_unit": lambda ax: figures.plot_sets_per_unit(enrichment, ax),
        "plot_training": lambda ax: figures.plot_training(log, ax),
        "plot_unit_genes": lambda ax: figures.plot_unit_genes(genes, ax, unit="U01"),
        "plot_units_by_label": lambda ax: figures.plot_units_by_label(activity, calls["label"], ax),
    }
    assert sorted(drawn) == figures.__all__
    for name, plot in drawn.items():
        ax = plt.figure().add_subplot()
        assert plot(ax) is ax, name
        made = plot(None)
        assert made is not ax, name
        assert not any("HALLMARK_" in text.get_text() for text in made.figure.findobj(mpl.text.Text)), name
        plt.close("all")


def test_names_do_not_overlap_on_a_figure_of_its_own_size():
    sets = [f"HALLMARK_SET_{i}" for i in range(50)]
    table = pd.DataFrame(
        [("all", f"U{u:02d}", name, 2.0, 0.01) for u in range(30) for name in sets],
        columns=["group", "unit", "gene_set", "nes", "q_value"],
    )
    ax = figures.plot_pathways(table)
    ax.figure.canvas.draw()
    for axis in (ax.get_yticklabels(), ax.get_xticklabels()):
        boxes = [tick.get_window_extent() for tick in axis]
        assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))


def test_the_module_is_there_by_name():
    assert scprism.figures.plot_embedding is figures.plot_embedding
    assert "figures" in dir(scprism)
