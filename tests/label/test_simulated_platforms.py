"""Cells as other platforms might have measured them."""

import dataclasses

import numpy as np
import pytest
from scipy import sparse, stats

from scprism.label.simulated_platforms import (
    PLATFORMS,
    Platform,
    _poisson,
    by_platform,
    copied_rows,
    measured_by,
    platform_covariance,
)
from scprism.model.config import Config
from scprism.prepare.draws import normal_of_genes
from scprism.query.model_genes import in_model_genes
from scprism.query.view import query_in
from scprism.read.checked import check_cells
from scprism.read.synthetic import make_cells

GENES = [f"gene{i}" for i in range(60)]
KEYS = np.random.default_rng(9).permutation(400).astype(np.uint64)


@pytest.fixture
def counts():
    return sparse.csr_matrix(np.random.default_rng(0).poisson(2.0, (400, 60)).astype(np.float32))


def test_poisson_quantiles_are_those_of_scipy():
    rng = np.random.default_rng(0)
    chance, mean = rng.random(3000), rng.gamma(0.4, 4, 3000) * rng.choice([1, 40], 3000, p=[0.9, 0.1])
    assert (_poisson(chance, mean) == stats.poisson.ppf(chance, mean)).all()


def test_a_copy_has_each_genes_counts_times_its_efficiency(counts):
    platform = Platform("p", spread=1.0, depth=0.5)
    copy = measured_by(platform, counts, GENES, keys=KEYS)
    efficiency = 0.5 * np.exp(normal_of_genes(GENES, draw="p"))
    expected = np.asarray(counts.sum(axis=0)).ravel() * efficiency
    drawn = np.asarray(copy.sum(axis=0)).ravel()
    assert (abs(drawn - expected) < 5 * np.sqrt(expected)).all()
    assert np.corrcoef(np.log(drawn + 1), np.log(expected + 1))[0, 1] > 0.99


def test_a_platform_of_no_spread_and_the_same_depth_adds_poisson_noise_alone(counts):
    copy = measured_by(Platform("p", spread=0.0, depth=1.0), counts, GENES, keys=KEYS)
    apart = (copy - counts).toarray()[counts.toarray() > 0]
    assert apart.mean() == pytest.approx(0, abs=0.03)
    assert apart.var() == pytest.approx(counts.data.mean(), rel=0.05)


def test_copies_ignore_the_order_of_genes_and_cells_and_the_other_cells(counts):
    genes, cells = np.random.default_rng(1).permutation(60), np.random.default_rng(2).permutation(400)[:50]
    whole = measured_by(PLATFORMS[1], counts, GENES, keys=KEYS).toarray()
    part = measured_by(PLATFORMS[1], counts[cells][:, genes], [GENES[i] for i in genes], keys=KEYS[cells]).toarray()
    assert (part == whole[cells][:, genes]).all()


def test_platforms_differ(counts):
    copies = [measured_by(platform, counts, GENES, keys=KEYS).toarray() for platform in PLATFORMS]
    assert all((a != b).any() for i, a in enumerate(copies) for b in copies[:i])


def test_the_covariance_is_the_mean_outer_product_of_the_shifts():
    latent = np.array([[0.0, 0.0], [1.0, 1.0]])
    copies = [latent + np.array([2.0, 0.0]), latent + np.array([0.0, 1.0])]
    assert platform_covariance(latent, copies).tolist() == [[2.0, 0.0], [0.0, 0.5]]


def test_copies_are_made_of_each_label_alike():
    codes = np.repeat([0, 1, 2], [1000, 150, 20])
    keys = np.random.default_rng(0).permutation(len(codes)).astype(np.uint64)
    rows = copied_rows(codes, keys)
    assert (np.diff(rows) > 0).all()
    assert np.bincount(codes[rows]).tolist() == [90, 90, 20]
    assert sorted(keys[rows][codes[rows] == 0]) == sorted(keys[codes == 0])[:90]


def test_the_rest_of_a_library_changes_as_the_genes_do(model_recipe):
    cells, recipe = model_recipe
    query = query_in(check_cells(cells), recipe, Config())
    query = in_model_genes(query, np.arange(100))
    keys = np.arange(100, dtype=np.uint64)
    copy = by_platform(query, Platform("half", spread=0.0, depth=0.5), keys=keys)
    before, after = (np.asarray(q.matrix.todense(), dtype=float) for q in (query, copy))
    ratio = after[:, :-1].sum(axis=1) / before[:, :-1].sum(axis=1)
    assert ratio.mean() == pytest.approx(0.5, abs=0.01)
    assert after[:, -1] == pytest.approx(before[:, -1] * ratio, rel=1e-5)


@pytest.fixture(scope="module")
def model_recipe():
    from scprism.label.genes import label_recipe

    cells = make_cells(rng=0)
    recipe, _ = label_recipe(sparse.csr_matrix(cells.X), list(cells.var_names), organism="human")
    return cells, dataclasses.replace(
        recipe,
        genes=recipe.genes[::2],
        **{name: getattr(recipe, name)[::2] for name in ("mean", "spread", "share")},
    )
