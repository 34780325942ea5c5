import numpy as np
import pytest
from scipy.stats import ortho_group

from scprism.paper.measures.span import canonical_correlation, matched_r2, predicted_share, predicted_total


@pytest.fixture
def latent(rng):
    return rng.normal(size=(600, 6)) * np.array([3.0, 2.0, 1.0, 1.0, 0.5, 0.1])


def test_a_rotated_latent_is_predicted_whole_and_its_units_are_not_the_same(latent):
    turned = latent @ ortho_group.rvs(6, random_state=0)
    np.testing.assert_allclose(predicted_share(latent, turned), 1.0, atol=1e-4)
    assert predicted_total(latent, turned) == pytest.approx(1.0, abs=1e-4)
    assert canonical_correlation(latent, turned) == pytest.approx(1.0, abs=1e-3)
    assert matched_r2(latent, turned, np.arange(6)).mean() < 0.6


def test_half_of_the_variance_is_noise(latent, rng):
    target = latent[:, :1] / 3 + rng.normal(size=(600, 1))
    assert predicted_share(latent, target)[0] == pytest.approx(0.5, abs=0.06)


def test_unrelated_cells_predict_nothing(rng):
    first, second = rng.normal(size=(2000, 5)), rng.normal(size=(2000, 5))
    np.testing.assert_allclose(predicted_share(first, second), 0.0, atol=0.05)
    # directions that fit one half by chance do not fit the other
    assert canonical_correlation(first, second) == pytest.approx(0.0, abs=0.03)


def test_matched_r2_is_the_squared_correlation(latent, rng):
    other = latent[:, ::-1] + rng.normal(size=(600, 6))
    place = np.arange(5, -1, -1)
    expected = [np.corrcoef(latent[:, place[i]], other[:, i])[0, 1] ** 2 for i in range(6)]
    np.testing.assert_allclose(matched_r2(latent, other, place), expected)


def test_a_constant_unit_has_no_share(latent):
    target = np.column_stack([latent[:, 0], np.full(600, 7.0)])
    shares = predicted_share(latent, target)
    assert shares[0] == pytest.approx(1.0, abs=1e-4)
    assert np.isnan(shares[1])
    assert np.isnan(matched_r2(latent, target, np.array([0, 1]))[1])


def test_columns_count_by_their_variance(latent, rng):
    target = np.column_stack([10 * latent[:, 0], rng.normal(size=600)])
    share = predicted_total(latent, target)
    assert share == pytest.approx(900 / 901, abs=1e-3)
