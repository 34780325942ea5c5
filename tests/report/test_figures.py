"""Static figures: they draw the numbers of the table, on the given axes."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_hex

from scprism.figures import (
    plot_confidence,
    plot_embedding,
    plot_pathways,
    plot_sets_per_unit,
    plot_training,
)
from scprism.report.palette import UNLABELLED, label_styles

NASTY = "T <CD4> & 'naïve'"


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def plane() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": [0.0, 1, 2, 3],
            "y": [3.0, 2, 1, 0],
            "label": ["B cell", "B cell", NASTY, np.nan],
            "confidence": [0.5, np.nan, 1.0, 0.25],
        }
    )


def test_training_lines_are_the_log_and_the_best_epoch_is_marked(results):
    log = results.model.log
    ax = plot_training(log, best_epoch=2)
    train, validation, best = ax.get_lines()
    assert train.get_ydata().tolist() == log["train_loss"].tolist()
    assert validation.get_ydata().tolist() == log["validation_loss"].tolist()
    assert list(best.get_xdata()) == [2, 2]


def test_embedding_draws_each_label_where_its_cells_are(plane):
    ax = plot_embedding(plane)
    places = {c.get_label(): c.get_offsets().tolist() for c in ax.collections}
    assert places == {"B cell": [[0, 3], [1, 2]], NASTY: [[2, 1]], UNLABELLED: [[3, 0]]}


def test_embedding_colours_numbers_and_leaves_cells_without_a_value_grey(plane):
    ax = plot_embedding(plane, colour="confidence")
    grey, coloured = ax.collections
    assert grey.get_offsets().tolist() == [[1, 2]]
    assert coloured.get_array().tolist() == [0.5, 1.0, 0.25]


def test_confidence_shows_shares_of_each_label(labels):
    ax = plot_confidence(labels)
    shares = ax.collections[0].get_array().reshape(3, 10)
    np.testing.assert_allclose(shares[0], np.array([0, 0, 0, 0, 1, 0, 1, 0, 1, 3]) / 6)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["B cell (6)", f"{NASTY} (3)", "NK cell (1)"]


def test_pathways_show_the_hand_count(enrichment):
    ax = plot_pathways(enrichment)
    assert ax.images[0].get_array().tolist() == [[2, 0], [0, 1]]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["E2F targets", "Apoptosis"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1"]


def test_pathways_say_so_where_nothing_is_significant(enrichment):
    ax = plot_pathways(enrichment, threshold=1e-6)
    assert [t.get_text() for t in ax.texts] == ["no gene set has q < 1e-06"]


def test_histogram_counts_units_with_no_set_too(enrichment):
    ax = plot_sets_per_unit(enrichment)
    assert [bar.get_height() for bar in ax.patches] == [1, 2]


def test_figures_draw_on_the_axes_they_are_given(results, labels, enrichment, plane):
    for plot, table in (
        (plot_training, results.model.log),
        (plot_confidence, labels),
        (plot_pathways, enrichment),
        (plot_sets_per_unit, enrichment),
        (plot_embedding, plane),
    ):
        ax = plt.figure().add_subplot()
        assert plot(table, ax) is ax


def test_thirty_six_labels_differ_in_colour_or_shape():
    styles = label_styles([*map(str, range(20)), UNLABELLED, *map(str, range(20, 36))])
    looks = {(to_hex(s.colour), s.symbol) for s in styles.values()}
    assert len(looks) == 37
    assert len({s.colour for s in styles.values()}) == 10
