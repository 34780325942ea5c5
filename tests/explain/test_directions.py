import numpy as np
import pytest

from scprism.errors import InputError
from scprism.explain.directions import contrast_direction, probe_direction


def test_contrast_points_from_one_mean_to_the_other() -> None:
    latents = np.array([[1.0, 0.0], [3.0, 8.0], [0.0, 0.0], [-2.0, 0.0]], np.float32)
    first = np.array([True, True, False, False])
    # means (2, 4) and (-1, 0): the step (3, 4) has length 5
    np.testing.assert_allclose(contrast_direction(latents, first, ~first), [0.6, 0.8])


def test_contrast_needs_two_groups_that_differ() -> None:
    latents = np.ones((3, 2), np.float32)
    first = np.array([True, False, False])
    with pytest.raises(InputError, match="same mean latent"):
        contrast_direction(latents, first, ~first)
    with pytest.raises(InputError, match="`second` must mark at least one of the 3 cells"):
        contrast_direction(latents, first, np.zeros(3, bool))
    with pytest.raises(InputError, match="`first` must mark"):
        contrast_direction(latents, np.array([0, 1, 2]), first)


def test_probe_recovers_a_planted_direction() -> None:
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(20_000, 4)) * [1.0, 10.0, 0.1, 0.0]
    truth = np.array([1.5, 0.0, -20.0, 0.0])  # log odds per latent unit
    labels = np.where(rng.random(20_000) < 1 / (1 + np.exp(-latents @ truth)), "T cell", "B cell")
    direction = probe_direction(latents, labels, label="T cell")
    assert (np.abs(direction - truth) <= [0.1, 0.01, 1.0, 0.0]).all()
    np.testing.assert_allclose(probe_direction(latents, labels, label="B cell"), -direction, rtol=1e-3, atol=1e-4)


def test_probe_needs_a_label_that_tells_cells_apart() -> None:
    with pytest.raises(InputError, match=r"got 'T cel'\. Closest: 'T cell'"):
        probe_direction(np.ones((2, 3)), np.array(["T cell", "B cell"]), label="T cel")
    with pytest.raises(InputError, match="some but not all cells"):
        probe_direction(np.ones((2, 3)), np.array(["T cell", "T cell"]), label="T cell")
