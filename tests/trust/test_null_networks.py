"""Null explanations: what each kind keeps of the model and the data, and what it takes away."""

import dataclasses

import numpy as np
import pytest

from scprism.errors import InputError
from scprism.estimator.prism import Prism
from scprism.model.network import build_autoencoder, to_weights
from scprism.read.synthetic import make_cells
from scprism.trust import null_networks
from scprism.trust.null_networks import Nulls, null_explanations


@pytest.fixture(scope="module")
def cells():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def model(cells):
    return Prism(units="raw", genes="all", hidden_size=16, bottleneck_size=6, max_epochs=8, device="cpu", rng=0).fit(
        cells
    )


@pytest.mark.parametrize("method", ["deeplift", "guided"])
def test_untrained_null_is_the_explanation_by_a_network_before_training(model, cells, method):
    rng = np.random.default_rng(3).spawn(1)[0]
    found = null_explanations(model, cells, nulls=Nulls(n=2, absolute=True), groupby="cell_type", method=method, rng=3)
    for null in found:
        weights = to_weights(build_autoencoder(model.config, n_genes=len(model.recipe.genes), rng=rng))
        before = dataclasses.replace(model, weights=weights)
        expected = before.explain(cells, groupby="cell_type", method=method)
        np.testing.assert_allclose(null.signed, expected.signed, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(null.absolute, expected.absolute, rtol=1e-5, atol=1e-7)
        assert (null.groups, null.units, null.method) == (expected.groups, expected.units, method)
        assert null.fingerprint == before.fingerprint


def test_gene_shuffled_nulls_train_on_genes_that_have_nothing_in_common(model, cells, monkeypatch):
    seen = []
    fit = null_networks.fit_network

    def fit_and_keep(recipe, shuffled, *, config, **options):
        seen.append((shuffled, config))
        return fit(recipe, shuffled, config=config, **options)

    monkeypatch.setattr(null_networks, "fit_network", fit_and_keep)
    nulls = Nulls(kind="gene_shuffled", n=2, reference=cells, max_epochs=2)
    found = list(null_explanations(model, cells, nulls=nulls, groupby="cell_type", rng=0))
    assert len({model.fingerprint, *(null.fingerprint for null in found)}) == 3
    assert all(config.max_epochs == 2 and config.bottleneck_size == 6 for _, config in seen)
    # Genes of one program go together in the reference (correlation 0.24) and no longer do when shuffled.
    program = cells.var["program_0"].loc[list(model.recipe.genes)].to_numpy()
    pairs = np.triu_indices(program.sum(), 1)
    shuffled = seen[0][0].inputs.toarray()
    assert abs(np.corrcoef(shuffled[:, program].T)[pairs].mean()) < 4.5 / np.sqrt(len(pairs[0]) * cells.n_obs)
    np.testing.assert_allclose(shuffled.mean(axis=0), model.recipe.mean, rtol=1e-5)
    np.testing.assert_allclose(shuffled.std(axis=0), model.recipe.spread, rtol=1e-4)


def test_permuted_labels_keep_the_network_and_the_sizes_of_groups(model, cells):
    known = model.explain(cells, groupby="cell_type")
    nulls = Nulls(kind="permuted_labels", n=3, absolute=True)
    for null in null_explanations(model, cells, nulls=nulls, groupby="cell_type", rng=0):
        assert null.fingerprint == known.fingerprint
        assert null.n_cells.tolist() == known.n_cells.tolist()
        # The whole stays; groups lie near it, where the true groups do not.
        np.testing.assert_allclose(null.signed[-1], known.signed[-1], atol=1e-5)
        distance, truly = (np.linalg.norm(e.signed[:-1] - e.signed[-1], axis=(1, 2)) for e in (null, known))
        assert (distance < 0.5 * truly).all()


def test_no_untrained_null_starts_where_the_model_of_the_same_seed_did(model, cells):
    start = to_weights(build_autoencoder(model.config, n_genes=len(model.recipe.genes), rng=np.random.default_rng(0)))
    nulls = null_explanations(model, cells, nulls=Nulls(n=3), rng=0)
    assert start.fingerprint() not in {null.fingerprint for null in nulls}


@pytest.mark.parametrize("kind", ["untrained", "permuted_labels"])
def test_same_seed_gives_the_same_nulls_and_another_seed_others(model, cells, kind):
    def signed(seed):
        nulls = null_explanations(model, cells, nulls=Nulls(kind=kind, n=2), groupby="cell_type", rng=seed)
        return [null.signed for null in nulls]

    first, again, other = signed(1), signed(1), signed(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_cells_without_a_group_stay_without_one(model, cells):
    types = cells.obs["cell_type"].astype(object).where(np.arange(cells.n_obs) % 3 > 0)
    nulls = Nulls(kind="permuted_labels", n=1)
    (null,) = null_explanations(model, cells, nulls=nulls, groupby=types, rng=0)
    assert null.n_cells.tolist() == [*types.value_counts().sort_index(), cells.n_obs]


@pytest.mark.parametrize(
    ("nulls", "method", "message"),
    [
        pytest.param(Nulls(kind="trained"), None, "`kind` must be one of 'untrained'", id="kind"),
        pytest.param(Nulls(n=0), None, "`n` must be at least 1, got 0", id="none"),
        pytest.param(Nulls(kind="gene_shuffled"), None, "Give `reference`", id="no reference"),
        pytest.param(Nulls(), "expected_gradients", "'integrated_gradients' has them", id="expected gradients"),
    ],
)
def test_nulls_that_cannot_be_had_are_refused(model, cells, nulls, method, message):
    with pytest.raises(InputError, match=message):
        null_explanations(model, cells, nulls=nulls, method=method)
