"""The plane: neighbours stay, seeds repeat, small or flat data fall back to principal components."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from scprism.report.projection import Projection, principal_components, project


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, np.ndarray]:
    """Three clusters of 20 cells in 6 units, apart in direction, and their numbers."""
    rng = np.random.default_rng(3)
    which = np.repeat([0, 1, 2], 20)
    latent = 8 * np.eye(6)[which] + rng.normal(scale=0.5, size=(60, 6))
    return latent.astype(np.float32), which


@pytest.fixture(scope="module", params=["umap", "tsne"])
def drawn(request: pytest.FixtureRequest, clusters: tuple[np.ndarray, np.ndarray]) -> Projection:
    """The clusters drawn by each method."""
    return project(clusters[0], method=request.param, metric="cosine", rng=1)


def test_neighbours_in_the_plane_are_of_the_planted_cluster(drawn, clusters):
    _, which = clusters
    near = NearestNeighbors(n_neighbors=5).fit(drawn.coordinates).kneighbors(return_distance=False)
    assert (which[near] == which[:, None]).all()


def test_the_same_seed_gives_the_same_plane(drawn, clusters):
    again = project(clusters[0], method="umap" if drawn.method == "UMAP" else "tsne", metric="cosine", rng=1)
    np.testing.assert_array_equal(again.coordinates, drawn.coordinates)


def test_few_cells_are_shown_by_their_principal_components(clusters):
    latent = clusters[0][::5]
    projection = project(latent, rng=0)
    expected = PCA(2, svd_solver="full").fit_transform(latent)
    assert projection.method == "PCA"
    assert projection.note == "UMAP needs at least 15 cells and there are 12, so principal components are shown."
    np.testing.assert_allclose(np.abs(projection.coordinates), np.abs(expected), atol=1e-4)


def test_a_single_unit_is_shown_as_it_is_against_a_random_height():
    latent = np.arange(30, dtype=np.float32)[:, None]
    projection = project(latent, rng=0)
    np.testing.assert_allclose(projection.coordinates[:, 0], latent[:, 0] - 14.5, atol=1e-5)
    assert np.unique(projection.coordinates[:, 1]).size == 30
    assert "vertical position is random" in projection.note


def test_dead_units_are_no_directions(clusters):
    latent = clusters[0].copy()
    latent[:, 2:] = 1.5
    components, n_directions = principal_components(latent)
    assert n_directions == 2
    assert project(latent, rng=0).method == "PCA"
    np.testing.assert_allclose(components.var(axis=0).sum(), latent.var(axis=0, dtype=np.float64).sum(), rtol=1e-9)


def test_cells_that_are_all_alike_stay_in_one_column():
    projection = project(np.ones((20, 4), dtype=np.float32), rng=0)
    np.testing.assert_array_equal(projection.coordinates[:, 0], np.zeros(20))
