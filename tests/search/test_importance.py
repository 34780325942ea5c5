import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor

from scprism.search.importance import setting_importance
from scprism.search.space import Span

SPACE = {"learning_rate": Span(1e-4, 1e-2), "hidden_size": Span(10, 100), "weight_decay": Span(1e-7, 1e-2)}


def random_trials(rng, n_trials):
    table = pd.DataFrame(
        {
            "learning_rate": 10 ** rng.uniform(-4, -2, n_trials),
            "hidden_size": rng.integers(10, 100, n_trials),
            "weight_decay": 10 ** rng.uniform(-7, -2, n_trials),
        }
    )
    table["validation_loss"] = (np.log10(table["learning_rate"]) + 3) ** 2
    return table


def test_the_setting_that_decides_comes_first_and_the_others_are_flat(rng):
    trials = random_trials(rng, 40)
    table = setting_importance(trials, SPACE, n_shuffles=20, rng=0).set_index("setting")
    assert table.index[0] == "learning_rate"
    assert table["flat"].to_dict() == {"learning_rate": False, "hidden_size": True, "weight_decay": True}
    assert table.loc["learning_rate", "importance"] > 0.6
    assert table["p_value"].min() == pytest.approx(1 / 21)
    # all shares together, of settings and shuffled copies, are one
    assert table["importance"].sum() + table["control"].sum() == pytest.approx(1)


def test_losses_of_nothing_but_noise_leave_every_setting_flat_most_of_the_time(rng):
    flat = []
    for _ in range(3):
        trials = random_trials(rng, 30).assign(validation_loss=rng.random(30))
        flat += setting_importance(trials, SPACE, n_shuffles=20, rng=rng)["flat"].tolist()
    # 9 settings, each called important with a chance of at most 5 %
    assert flat.count(False) <= 2


def test_importance_is_the_mean_decrease_of_impurity_of_a_forest(rng):
    # of the same data, in which shuffled copies hardly matter, scikit-learn's own forest gives nearly the same shares
    trials = random_trials(rng, 60)
    trials["validation_loss"] += (trials["hidden_size"] / 100) ** 2
    values = np.column_stack([np.log(trials[name]) for name in SPACE])
    forest = RandomForestRegressor(200, random_state=0).fit(values, trials["validation_loss"].rank())
    expected = dict(zip(SPACE, forest.feature_importances_, strict=True))
    table = setting_importance(trials, SPACE, n_shuffles=20, rng=0).set_index("setting")["importance"]
    assert table.idxmax() == max(expected, key=expected.__getitem__)
    np.testing.assert_allclose((table / table.sum()).loc[list(SPACE)], list(expected.values()), atol=0.1)


def test_a_diverged_trial_is_as_bad_as_the_worst(rng):
    trials = random_trials(rng, 60)
    is_bad = trials["weight_decay"] > 1e-4
    # bad trials also diverge where the layer is wide: nothing is lost by that, so the width does not matter
    trials["validation_loss"] = np.where(is_bad, np.where(trials["hidden_size"] > 50, np.nan, 1.0), 0.0)
    table = setting_importance(trials, SPACE, n_shuffles=20, rng=0).set_index("setting")
    assert table.index[0] == "weight_decay"
    assert table.loc["weight_decay", "importance"] > 0.6


def test_few_trials_tell_nothing(rng):
    assert setting_importance(random_trials(rng, 9), SPACE).empty
