import random
import sys

import numpy as np
import pytest

import scprism
from scprism.errors import PrismError
from scprism.integration.combat import combat
from scprism.integration.joined import join_data_sets, log_values
from scprism.integration.scanorama import scanorama


def test_it_agrees_with_combat_where_batches_have_the_same_types(two_batches, capsys):
    pytest.importorskip("scanorama")
    ours, other = scanorama([two_batches], batch="batch"), combat([two_batches], batch="batch")
    assert ours.var_names.tolist() == other.var_names.tolist()
    assert ours.obs_names.tolist() == two_batches.obs_names.tolist()
    batches = (two_batches.obs["batch"] == "batch_0").to_numpy()
    apart = np.abs(ours.X[batches].mean(axis=0) - ours.X[~batches].mean(axis=0)).mean()
    assert apart < 0.3 * np.abs(_uncorrected_gap(two_batches)).mean()
    assert np.corrcoef(ours.X.ravel(), other.X.ravel())[0, 1] > 0.9
    uncorrected = log_values(join_data_sets([two_batches], batch="batch"), target_sum=1e4).toarray()
    lengths = np.linalg.norm(ours.X, axis=1)
    assert np.median(lengths) == pytest.approx(np.median(np.linalg.norm(uncorrected, axis=1)), rel=0.1)
    assert capsys.readouterr().out == ""


def _uncorrected_gap(cells):
    values = log_values(join_data_sets([cells], batch="batch"), target_sum=1e4).toarray()
    first = (cells.obs["batch"] == "batch_0").to_numpy()
    return values[first].mean(axis=0) - values[~first].mean(axis=0)


def test_the_order_of_cells_and_the_global_generators_are_left_alone(two_batches):
    pytest.importorskip("scanorama")
    shuffled = two_batches[np.random.default_rng(0).permutation(two_batches.n_obs)].copy()
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    expected = np.random.random(), random.random()  # noqa: NPY002, S311
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    mixed = scanorama([shuffled], batch="batch")
    assert (np.random.random(), random.random()) == expected  # noqa: NPY002, S311
    assert mixed.obs_names.tolist() == shuffled.obs_names.tolist()
    own = np.corrcoef(mixed.X, combat([shuffled], batch="batch").X)[: shuffled.n_obs, shuffled.n_obs :]
    assert np.diag(own).mean() > own.mean() + 0.05


def test_without_the_package_the_message_says_what_to_install(two_batches, monkeypatch):
    monkeypatch.setitem(sys.modules, "scanorama", None)
    with pytest.raises(PrismError, match=r"pip install 'scprism\[integrate\]'"):
        scprism.integrate([two_batches], batch="batch", method="scanorama")
