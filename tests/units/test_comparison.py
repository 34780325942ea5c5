from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from scprism.errors import InputError
from scprism.units.comparison import CELLS_ARE_NO_REPLICATES, compare_activity


@pytest.fixture
def trial(rng):
    """Six donors before and after treatment: U01 rises by one, U02 does not change but differs between donors."""
    donors = np.repeat([f"d{i}" for i in range(6)], 40)
    treated = np.tile(np.repeat(["rest", "treated"], 20), 6)
    baseline = np.repeat(rng.normal(scale=2, size=6), 40)
    activity = pd.DataFrame(
        {
            "U01": baseline + (treated == "treated") + rng.normal(scale=0.5, size=240),
            "U02": baseline + rng.normal(scale=0.5, size=240),
        }
    )
    labels = np.tile(["B", "T"], 120)
    return activity, pd.Series(treated), pd.Series(donors), pd.Series(labels)


def test_paired_samples_are_tested_as_scipy_does_on_their_means(trial):
    activity, groups, donors, _ = trial
    table = compare_activity(activity, groups, reference="rest", replicates=donors).table.set_index("unit")
    means = activity.groupby([donors, groups]).mean()
    for unit in activity:
        treated, rest = means[unit].xs("treated", level=1), means[unit].xs("rest", level=1)
        expected = stats.ttest_rel(treated, rest)
        assert table.loc[unit, "p_value"] == pytest.approx(expected.pvalue, rel=1e-9)
        interval = expected.confidence_interval(0.95)
        assert (table.loc[unit, "low"], table.loc[unit, "high"]) == pytest.approx(tuple(interval), rel=1e-9)
        assert table.loc[unit, "auroc"] == pytest.approx(roc_auc_score(groups == "treated", activity[unit]))
    assert table.loc["U01", "q_value"] < 1e-3 < 0.05 < table.loc["U02", "q_value"]
    assert table.loc["U01", "difference"] == pytest.approx(1, abs=0.2)
    assert table["n_samples"].tolist() == [6, 6]


def test_samples_of_one_group_each_are_not_paired(trial):
    activity, groups, donors, _ = trial
    alone = donors + "-" + groups
    table = compare_activity(activity, groups, reference="rest", replicates=alone).table.set_index("unit")
    means = activity["U01"].groupby(alone).mean()
    treated, rest = means[means.index.str.endswith("treated")], means[means.index.str.endswith("rest")]
    expected = stats.ttest_ind(treated, rest, equal_var=False)
    assert table.loc["U01", "p_value"] == pytest.approx(expected.pvalue, rel=1e-9)
    paired = compare_activity(activity, groups, reference="rest", replicates=donors).table.set_index("unit")
    assert table.loc["U01", "p_value"] > 1000 * paired.loc["U01", "p_value"]  # donors differ more


def test_hedges_g_by_hand():
    activity = pd.DataFrame({"U01": [0.0, 2.0, 3.0, 5.0]})
    groups = pd.Series(["a", "a", "b", "b"])
    table = compare_activity(activity, groups, reference="a", replicates=pd.Series(list("wxyz"))).table
    # difference 3, pooled standard deviation √2, correction 1 − 3/(4·4 − 9)
    assert table["effect_size"].iloc[0] == pytest.approx((1 - 3 / 7) * 3 / np.sqrt(2))


def test_donors_that_merely_differ_are_significant_by_cells_and_the_result_warns(rng):
    donors = pd.Series(np.repeat(list("abcdef"), 50))
    groups = pd.Series(np.repeat(["case", "control"], 150))
    activity = pd.DataFrame({"U01": np.repeat(rng.normal(size=6), 50) + rng.normal(scale=0.1, size=300)})
    by_cells = compare_activity(activity, groups, reference="control")
    by_donors = compare_activity(activity, groups, reference="control", replicates=donors)
    assert by_cells.warnings == (CELLS_ARE_NO_REPLICATES,)
    assert by_cells.table["p_value"].iloc[0] < 1e-3 < 0.05 < by_donors.table["p_value"].iloc[0]
    assert by_donors.warnings == ()


def test_within_each_label_too(trial):
    activity, groups, donors, labels = trial
    activity["U02"] += ((labels == "B") & (groups == "treated")) * 3.0
    result = compare_activity(activity, groups, reference="rest", replicates=donors, within=labels)
    table = result.table.set_index(["within", "unit"])
    assert set(table.index.get_level_values(0)) == {"all", "B", "T"}
    assert table.loc[("B", "U02"), "difference"] == pytest.approx(3, abs=0.3)
    assert table.loc[("T", "U02"), "difference"] == pytest.approx(0, abs=0.3)


def test_one_sample_a_group_has_no_p_value_and_that_is_said(trial):
    activity, groups, _, _ = trial
    result = compare_activity(activity, groups, reference="rest", replicates=groups)
    assert result.table["p_value"].isna().all()
    assert result.table["q_value"].isna().all()
    assert "without a p-value: 'treated'" in result.warnings[0]


def test_cells_without_a_group_are_left_out(trial):
    activity, groups, donors, _ = trial
    more = pd.concat([activity, activity + 100], ignore_index=True)
    unknown = pd.concat([groups, pd.Series([None] * len(groups))], ignore_index=True)
    twice = pd.concat([donors, donors], ignore_index=True)
    found = compare_activity(more, unknown, reference="rest", replicates=twice).table
    pd.testing.assert_frame_equal(found, compare_activity(activity, groups, reference="rest", replicates=donors).table)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        pytest.param(["rest", "stim"] * 2, "must be one of the groups, got 'control'", id="no such group"),
        pytest.param(["control"] * 4, "nothing to compare", id="one group"),
    ],
)
def test_groups_that_cannot_be_compared(groups, message):
    with pytest.raises(InputError, match=message):
        compare_activity(pd.DataFrame({"U01": np.arange(4.0)}), pd.Series(groups), reference="control")


def test_cells_without_a_replicate_are_left_out_and_counted(trial):
    activity, groups, donors, _ = trial
    unknown = donors.where(donors != "d5", None)
    result = compare_activity(activity, groups, reference="rest", replicates=unknown)
    known = (donors != "d5").to_numpy()
    expected = compare_activity(activity[known], groups[known], reference="rest", replicates=donors[known])
    pd.testing.assert_frame_equal(result.table, expected.table)
    assert result.warnings == ("40 cells have no replicate and were left out.",)


def test_a_notebook_shows_warnings_as_text(trial):
    activity, groups, donors, _ = trial
    result = replace(compare_activity(activity, groups, reference="rest", replicates=donors), warnings=("n < 3 & few",))
    page = result._repr_html_()
    assert "n &lt; 3 &amp; few" in page
    assert page.count("<tr") == len(result.table) + 1


def test_a_label_called_all_is_refused(trial):
    activity, groups, donors, labels = trial
    with pytest.raises(InputError, match="`within` has a label 'all', which is how the table calls all cells together"):
        compare_activity(activity, groups, reference="rest", replicates=donors, within=labels.replace("B", "all"))
