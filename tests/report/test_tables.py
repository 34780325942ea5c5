"""The numbers behind the figures, against counts by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd

from scprism.report.tables import (
    confidence_counts,
    counted_groups,
    dead_units,
    label_table,
    leading_groups,
    sets_per_unit,
    significant_groups,
)

NASTY = "T <CD4> & 'naïve'"


def test_label_table_counts_cells_low_confidence_and_novel_cells_by_hand(labels):
    table = label_table(labels)
    assert table.index.tolist() == ["B cell", NASTY, "NK cell"]
    assert table["cells"].tolist() == [6, 3, 1]
    assert table["low_confidence"].tolist() == [1, 0, 1]
    assert table["novel"].tolist() == [1, 1, 1]
    np.testing.assert_allclose(table["share"], [0.6, 0.3, 0.1])
    np.testing.assert_allclose(table["mean_confidence"], [0.8, 0.8, 0.3])


def test_confidence_counts_put_each_cell_in_its_tenth(labels):
    counts = confidence_counts(labels)
    assert counts.loc["B cell"].tolist() == [0, 0, 0, 0, 1, 0, 1, 0, 1, 3]
    assert counts.loc[NASTY].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert counts.loc["NK cell"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_nine_of_fifteen_neighbours_are_in_the_tenth_that_starts_at_six(labels):
    one = labels.head(1).assign(confidence=9 / 15)
    assert confidence_counts(one).iloc[0].tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]


def test_significant_groups_equal_the_hand_count(enrichment):
    counts = significant_groups(enrichment)
    # q = 0.05 itself is not below 0.05, and the whole data set is no group
    expected = pd.DataFrame(
        {"unit_0": [2, 0], "unit_1": [0, 1]},
        index=pd.Index(["HALLMARK_E2F_TARGETS", "HALLMARK_APOPTOSIS"], name="gene_set"),
    )
    pd.testing.assert_frame_equal(counts, expected, check_dtype=False)


def test_the_whole_data_set_is_counted_where_it_is_the_only_group(enrichment):
    whole = enrichment[enrichment["group"] == "all"]
    assert counted_groups(whole) == ["all"]
    assert significant_groups(whole).to_dict() == {
        "unit_0": {"HALLMARK_APOPTOSIS": 0, "HALLMARK_E2F_TARGETS": 1},
        "unit_1": {"HALLMARK_APOPTOSIS": 0, "HALLMARK_E2F_TARGETS": 1},
        "unit_2": {"HALLMARK_APOPTOSIS": 1, "HALLMARK_E2F_TARGETS": 0},
    }


def test_sets_per_unit_keep_units_without_any_set(enrichment):
    assert sets_per_unit(enrichment).to_dict() == {"unit_0": 1, "unit_1": 1, "unit_2": 0}
    assert sets_per_unit(enrichment.assign(q_value=0.5)).tolist() == [0, 0, 0]


def test_a_group_where_everything_is_large_does_not_lead_every_unit(explanation):
    # sums over genes are 60, 5, 2.5 in B cells and 0.1, 0, 0.9 in the other group; over their means, 22.5 and 1/3, that
    # is 2.67, 0.22, 0.11 and 0.3, 0, 2.7
    assert leading_groups(explanation) == ["B cell", "B cell", NASTY]


def test_a_single_unit_is_led_by_the_group_of_its_largest_attributions(explanation):
    order = [0, 2, 1]
    single = replace(
        explanation,
        signed=explanation.signed[order, 2:],
        absolute=explanation.absolute[order, 2:],
        groups=("all", NASTY, "B cell"),
        units=("unit_0",),
    )
    assert leading_groups(single) == ["B cell"]


def test_units_of_hardly_any_spread_are_dead():
    latent = np.zeros((4, 3), dtype=np.float32)
    latent[:, 0] = [1, 2, 3, 4]
    latent[:, 1] = [5, 5.0005, 5, 5]
    latent[:, 2] = [0, 0.1, 0, 0]
    assert dead_units(latent).tolist() == [False, True, False]
