import dataclasses

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import scprism
from scprism.errors import InputError, PrismError
from scprism.estimator.load import load
from scprism.estimator.model import Model
from scprism.estimator.prism import Prism
from scprism.explain.directions import contrast_direction, probe_direction
from scprism.model.forward import encode
from scprism.model.presets import PRESETS
from scprism.prepare.selection import hallmark_genes
from scprism.query.embed import denoised, embed_cells
from scprism.query.view import open_query
from scprism.read.synthetic import Simulation, simulate_cells

GENES = hallmark_genes("mouse")[:300]


@pytest.fixture(scope="module")
def cells() -> AnnData:
    return simulate_cells(Simulation(n_cells=120, genes=GENES, n_programs=5, program_size=30), rng=0)


def small(preset="default", **changes):
    config = dataclasses.replace(PRESETS[preset], hidden_size=16, bottleneck_size=6, max_epochs=4, **changes)
    return Prism(config, units="raw", rng=0)


@pytest.fixture(scope="module")
def model(cells) -> Model:
    return small().fit(cells)


@pytest.fixture(scope="module")
def z(model, cells):
    return model.embed(cells)


def test_embedding_has_a_row_a_cell_and_a_column_a_unit(model, z):
    assert (z.shape, z.dtype) == ((120, 6), np.float32)


def test_embedding_is_the_networks_output_on_normalised_counts_by_hand(model, cells, z):
    counts = np.asarray(cells[:, list(model.recipe.genes)].X.toarray(), dtype=np.float64)
    library = counts.sum(axis=1, keepdims=True) / model.recipe.share.sum()
    x = np.log1p(1e4 * counts / library)
    w = model.weights
    h = np.log1p(np.exp(x @ w.hidden_weight.T + w.hidden_bias))
    np.testing.assert_allclose(z, h @ w.latent_weight.T + w.latent_bias, atol=1e-4)


def test_embedding_ignores_gene_order_and_further_genes(model, cells, z, rng):
    order = rng.permutation(cells.n_vars)
    shuffled = cells[:, order].copy()
    np.testing.assert_array_equal(model.embed(shuffled), z)
    more = AnnData(sparse.hstack([shuffled.X, shuffled.X], format="csr"), obs=cells.obs.copy())
    more.var_names = [*shuffled.var_names, *(f"extra_{i}" for i in range(cells.n_vars))]
    np.testing.assert_array_equal(model.embed(more), z)


def test_embedding_ignores_storage_and_leaves_the_cells_alone(model, cells, z, storage):
    stored = storage(cells)
    before = stored.X[:].copy()
    np.testing.assert_array_equal(model.embed(stored), z)
    difference = stored.X[:] != before
    assert not (difference.nnz if sparse.issparse(difference) else difference.any())
    assert list(stored.obs) == list(cells.obs)


def test_training_ignores_gene_order_and_storage(cells, model, storage, rng):
    order = rng.permutation(cells.n_vars)
    again = small().fit(storage(cells[:, order].copy()))
    assert again.fingerprint == model.fingerprint


def test_embedding_follows_the_order_of_the_cells(model, cells, z, rng):
    order = rng.permutation(cells.n_obs)
    np.testing.assert_allclose(model.embed(cells[order].copy()), z[order], atol=1e-6)


def test_chunks_do_not_change_the_embedding(model, cells, z):
    query = open_query(cells, model.recipe, model.config)
    chunks = list(query.chunks(size=7))
    assert [len(range(cells.n_obs)[chunk.rows]) for chunk in chunks[:-1]] == [7] * (cells.n_obs // 7)
    np.testing.assert_allclose(embed_cells(model.weights, chunks, fill=query.fill), z, atol=1e-6)


def test_same_seed_same_model_bit_for_bit(cells, model):
    assert small().fit(cells).fingerprint == model.fingerprint


def test_saved_model_embeds_bit_for_bit_alike(model, cells, z, tmp_path):
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.embed(cells), z)
    assert again.config == model.config


def test_denoised_values_are_log_counts_per_million_of_the_recipes_genes(model, cells):
    values = model.denoise(cells)
    per_million = np.expm1(values.astype(np.float64))
    assert values.shape == (120, len(model.recipe.genes))
    np.testing.assert_allclose(per_million.sum(axis=1), 1e6 * model.recipe.share.sum(), rtol=1e-4)


def test_denoised_values_are_adjusted_by_default_and_decoded_where_asked(model, cells):
    decoded = denoised(model.weights, model.embed(cells), recipe=model.recipe, config=model.config)
    np.testing.assert_array_equal(model.denoise(cells, adjust=False), decoded)
    np.testing.assert_array_equal(model.denoise(cells), model.denoise(cells, adjust=True))
    counts = cells[:, list(model.recipe.genes)].X.toarray()
    by_gene = [np.expm1(values.astype(np.float64)).mean(axis=0) for values in (decoded, model.denoise(cells))]
    target = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0) * 1e6 * model.recipe.share.sum()
    off = [np.abs(np.log(level / target))[counts.sum(axis=0) > 100].max() for level in by_gene]
    assert off[1] < 0.3 * off[0]


@pytest.mark.parametrize("likelihood", ["poisson_counts", "negative_binomial"])
def test_denoised_values_are_log_counts_per_million_under_every_count_likelihood(cells, likelihood):
    settings = {"likelihood": likelihood, "learning_rate": 1e-2, "input_dropout": 0.0, "penalty_weight": 0.0}
    trained = small(**settings).set_params(max_epochs=60).fit(cells)
    counts = cells[:, list(trained.recipe.genes)].X.toarray()
    per_million = 1e6 * counts.sum(axis=0) / cells.X.sum()
    decoded = np.expm1(trained.denoise(cells).astype(np.float64)).mean(axis=0)
    assert np.corrcoef(np.log1p(decoded), np.log1p(per_million))[0, 1] > 0.98
    assert decoded.sum() == pytest.approx(per_million.sum(), rel=0.05)


def test_denoising_with_the_paper_preset_keeps_each_genes_level(cells):
    paper = small("paper", optimiser="adam", learning_rate=0.01).fit(cells)
    trained = Prism(
        dataclasses.replace(paper.config, max_epochs=150, check_every=1, patience=150), units="raw", rng=0
    ).fit(cells)
    counts = cells[:, list(trained.recipe.genes)].X.toarray()
    log_cpm = np.log1p(1e6 * counts / cells.X.sum(axis=1))
    assert np.corrcoef(trained.denoise(cells).mean(axis=0), np.asarray(log_cpm).mean(axis=0))[0, 1] > 0.95


def test_labels_come_back_to_their_own_cells(cells):
    trainer = small(learning_rate=1e-2, input_dropout=0.0).set_params(max_epochs=60)
    calls = trainer.fit(cells).label(cells, reference=cells, labels="cell_type")
    assert (calls["label"].to_numpy() == cells.obs["cell_type"].to_numpy()).mean() > 0.9
    assert list(calls.table.index) == list(cells.obs_names)


def test_explanation_has_a_map_for_each_group_and_for_all(model, cells):
    why = model.explain(cells, groupby="cell_type", method="plain")
    assert why.groups == ("type_0", "type_1", "type_2", "all")
    assert why.signed.shape == (4, 6, len(model.recipe.genes))
    assert why.n_cells.tolist() == [*cells.obs["cell_type"].value_counts().sort_index(), 120]
    mean = np.tensordot(why.n_cells[:3] / 120, why.signed[:3], axes=1)
    np.testing.assert_allclose(why.signed[3], mean, atol=1e-6)


@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_deeplift_is_relative_to_its_baseline(model, cells, baseline):
    # completeness: a unit's attributions sum to its mean activation less that of the baseline
    why = model.explain(cells, method="deeplift", baseline=baseline)
    w, x0 = model.weights, model.recipe.mean if baseline == "mean" else np.zeros(len(model.recipe.genes))
    z0 = np.log1p(np.exp(w.hidden_weight @ x0 + w.hidden_bias)) @ w.latent_weight.T + w.latent_bias
    assert why.baseline.startswith({"mean": "the mean of the cells", "zero": "zero expression"}[baseline])
    np.testing.assert_allclose(why.signed[0].sum(axis=1), model.embed(cells).mean(axis=0) - z0, atol=1e-4)


def test_groups_may_be_given_as_a_series(model, cells):
    by_name = model.explain(cells, groupby="cell_type", method="plain")
    by_series = model.explain(cells, groupby=cells.obs["cell_type"].astype(str), method="plain")
    np.testing.assert_array_equal(by_name.signed, by_series.signed)


def test_groups_of_other_cells_are_refused(model, cells):
    with pytest.raises(InputError, match="its index .* differs from `.obs_names`"):
        model.explain(cells, groupby=cells.obs["cell_type"].iloc[::-1])


def test_a_contrast_of_groups_is_explained_up_to_how_far_they_lie_apart(model, cells, z):
    is_first = (cells.obs["cell_type"] == "type_0").to_numpy()
    rows = [contrast_direction(z, is_first, ~is_first), probe_direction(z, cells.obs["cell_type"], label="type_1")]
    directions = pd.DataFrame(rows, index=["type_0 - rest", "type_1"])
    why = model.explain(cells, groupby="cell_type", directions=directions)
    assert why.units == ("type_0 - rest", "type_1")
    along = pd.DataFrame(z @ np.transpose(rows), index=cells.obs["cell_type"].astype(str)).groupby(level=0).mean()
    baseline = encode(model.weights, np.zeros((1, len(model.recipe.genes)), np.float32)) @ np.transpose(rows)
    for group in along.index:
        sums = why.signed[why.groups.index(group)].sum(axis=1)
        np.testing.assert_allclose(sums, along.loc[group] - baseline[0], atol=1e-4)


def test_directions_must_be_named_rows_of_units(model, cells):
    with pytest.raises(InputError, match="`directions` must be a DataFrame"):
        model.explain(cells, directions=np.ones((1, 5)))
    with pytest.raises(InputError, match="one row a direction with"):
        model.explain(cells, directions=pd.DataFrame(np.ones((1, 3))))


def test_expected_gradients_need_their_reference(model, cells):
    with pytest.raises(InputError, match="needs the cells that it averages over"):
        model.explain(cells, method="expected_gradients")


def test_released_code_gives_the_first_unit_the_plain_gradient(cells):
    # row 11: the first unit queried has the plain gradient, every other one the guided
    model = small("as_released", reshuffle=False).fit(cells)
    released = model.explain(cells).signed[0]
    guided = load_with(model, first_unit_plain=False).explain(cells).signed[0]
    plain = model.explain(cells, method="plain").signed[0]
    np.testing.assert_array_equal(released[1:], guided[1:])
    np.testing.assert_allclose(released[0], plain[0], atol=1e-7)
    assert np.abs(released[0] - guided[0]).max() > 1e-3


def load_with(model, **changes):
    return dataclasses.replace(model, config=dataclasses.replace(model.config, **changes))


@pytest.mark.parametrize("preset", ["paper", "as_released"])
def test_every_preset_walks_the_whole_path(preset, cells):
    model = small(preset).fit(cells)
    assert model.embed(cells).min() >= 0  # the representation is after the bottleneck's softplus (method.md 3.1)
    assert set(model.label(cells, reference=cells, labels="cell_type")["label"]) <= set(cells.obs["cell_type"])


def test_integrated_values_train_a_model(cells):
    # row 16: corrected expression, negative values included, is used as it is when told to
    corrected = cells.copy()
    corrected.X = (np.log1p(cells.X.toarray()) - 0.2).astype(np.float32)
    config = dataclasses.replace(
        PRESETS["as_released"], normalise="none", hidden_size=8, bottleneck_size=4, max_epochs=2
    )
    model = Prism(dataclasses.replace(config, min_max_count=0.5), units="raw", rng=0).fit(corrected)
    assert model.recipe.mean.min() < 0
    with pytest.raises(InputError, match="Corrected expression must not be negative here"):
        Prism(dataclasses.replace(config, negative_values="refuse", min_max_count=0.5), units="raw", rng=0).fit(
            corrected
        )


def test_an_untrained_model_says_what_to_do(cells):
    with pytest.raises(PrismError, match="not trained yet and has no 'embed'. `fit` returns"):
        Prism().embed(cells)


def test_given_settings_replace_those_of_the_preset():
    model = Prism("paper", hidden_size=7, genes=["a", "b"], min_coverage=0.1)
    assert model.config == dataclasses.replace(PRESETS["paper"], hidden_size=7, genes=("a", "b"), min_coverage=0.1)


def test_a_human_query_meets_a_mouse_model(model, cells, z):
    from scprism.genes.match import ortholog_sources

    partners = ortholog_sources(GENES, of="mouse", source="human")
    one = {mouse: human[0] for mouse, human in partners.items() if len(human) == 1}
    human = cells[:, [g for g in cells.var_names if g in one]].copy()
    human.var_names = [one[g] for g in human.var_names]
    mouse = cells[:, [g for g in cells.var_names if g in one]].copy()
    assert model.align(human).organism == "human"
    np.testing.assert_allclose(model.embed(human), model.embed(mouse), atol=1e-5)


def test_layers_and_raw_hold_counts_as_told(cells, model, z):
    layered = cells.copy()
    layered.layers["counts"] = cells.X.copy()
    layered.X = cells.X.astype(np.float32).log1p()
    with pytest.raises(InputError, match="counts"):
        model.embed(layered)
    np.testing.assert_array_equal(model.embed(layered, layer="counts"), z)
    again = Prism(model.config, units="raw", layer="counts", rng=0).fit(layered)
    assert again.fingerprint == model.fingerprint


def test_public_names_are_those_of_the_design():
    names = ["Prism", "annotate", "attribute", "enrich", "gene_sets", "gsea", "load", "read_cells", "write_report"]
    assert set(names) <= set(scprism.__all__)
    assert all(callable(getattr(scprism, name)) for name in names)


def test_a_stratified_split_has_a_setting(cells, monkeypatch):
    seen = []
    monkeypatch.setattr("scprism.estimator.prism.fit_network", lambda _, training, **__: seen.append(training.strata))
    with pytest.raises(AttributeError):
        small(stratify="cell_type").fit(cells)  # nothing was trained
    assert len(set(zip(seen[0], cells.obs["cell_type"], strict=True))) == cells.obs["cell_type"].nunique() == 3
    with pytest.raises(InputError, match="got 'cel_type'. Closest: 'cell_type'"):
        small(stratify="cel_type").fit(cells)
