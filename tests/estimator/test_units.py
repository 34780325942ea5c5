"""Units of a trained model, on cells with planted programs, and the interferon response of real cells."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from scprism import Prism, compare, load
from scprism.errors import BundleError, InputError, PrismError, PrismWarning
from scprism.read.synthetic import Simulation, simulate_cells
from scprism.units.named import write_units

SIMULATION = Simulation(n_cells=600, n_programs=4)


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(SIMULATION, rng=0)


@pytest.fixture(scope="module")
def query():
    return simulate_cells(SIMULATION, rng=0)[::3, ::-1].copy()


@pytest.fixture(scope="module")
def model(cells):
    return Prism(genes="all", organism="human", max_epochs=1, hidden_size=8, runs=6, device="cpu", rng=0).fit(cells)


def test_a_model_saved_has_the_same_units_when_it_is_loaded(model, query, tmp_path):
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.units, model.units)
    pd.testing.assert_frame_equal(again.programs, model.programs)
    pd.testing.assert_frame_equal(again.activity(query), model.activity(query))


def test_activity_is_that_of_nonnegative_least_squares(model, query):
    from scipy.optimize import nnls

    view, units = model.view(query), model.named_units.units
    activity = view.activity()
    assert activity.columns.tolist() == model.units.index.tolist()
    assert activity.index.equals(query.obs_names)
    inputs = next(view.query.chunks()).inputs[:20].toarray()
    values = np.log1p(np.expm1(inputs) * 1e4 / model.recipe.target_sum)
    for i, row in enumerate(values):
        expected, _ = nnls(
            (units.programs * units.gene_weights).T.astype(float), (row * units.gene_weights).astype(float)
        )
        np.testing.assert_allclose(activity.iloc[i], expected, atol=2e-5)


def test_genes_that_the_query_lacks_are_left_out_of_its_activities(model, query):
    whole = model.activity(query)
    half = query[:, np.arange(query.n_vars) % 2 == 0].copy()
    with pytest.warns(PrismWarning, match="Low gene coverage"):
        part = model.activity(half, min_coverage=0.3)
    for unit in whole:
        assert stats.spearmanr(whole[unit], part[unit])[0] > 0.7


def test_parts_of_genes_sum_to_the_mean_activity_of_each_group(model, query):
    groups = query.obs["cell_type"]
    explanation = model.explain(query, groupby="cell_type")
    means = model.activity(query).groupby(groups.to_numpy()).mean()
    for group in means.index:
        parts = explanation.signed[explanation.groups.index(group)].sum(axis=1)
        np.testing.assert_allclose(parts, means.loc[group], rtol=1e-4)
    assert explanation.completeness_error < 1e-5
    assert explanation.units == tuple(model.units.index)


def test_network_methods_explain_raw_units_and_programs_refuse_them(model, query):
    assert model.explain(query, method="guided").units[0] == "latent_0"
    assert model.explain(query, units="raw").units[0] == "latent_0"
    with pytest.raises(InputError, match="Programs are explained exactly"):
        model.explain(query, units="programs", method="guided")


def test_the_network_is_the_same_with_and_without_units(model, cells):
    raw = Prism(genes="all", organism="human", max_epochs=1, hidden_size=8, units="raw", device="cpu", rng=0).fit(cells)
    assert raw.fingerprint == model.fingerprint
    assert raw.named_units is None
    assert raw.units["trusted"].any() == False  # noqa: E712
    assert raw.activity(cells).columns[0] == "latent_0"
    np.testing.assert_array_equal(raw.activity(cells).to_numpy(), raw.embed(cells))
    with pytest.raises(PrismError, match="raw units"):
        _ = raw.programs


def test_few_cells_have_raw_units_and_a_warning(cells):
    with pytest.warns(PrismWarning, match="100 cells are too few"):
        few = Prism(genes="all", organism="human", max_epochs=1, device="cpu", rng=0).fit(cells[:100])
    assert few.named_units is None


def test_the_papers_preset_has_raw_units(cells):
    raw = Prism("paper", genes="all", organism="human", max_epochs=1, device="cpu", rng=0).fit(cells[:100])
    assert raw.named_units is None


@pytest.mark.parametrize("name", ["programs", "replication", "quantiles", "low", "gene_weights", "n_runs_found"])
def test_units_of_a_wrong_shape_are_refused(model, tmp_path, name):
    units = model.named_units.units
    object.__setattr__(changed := dataclasses.replace(units), name, getattr(units, name)[..., :-1])
    model.save(tmp_path / "m")
    write_units(dataclasses.replace(model.named_units, units=changed), tmp_path / "m", fingerprint=model.fingerprint)
    with pytest.raises(BundleError, match=rf"{name} must be finite and of shape"):
        load(tmp_path / "m")


def test_units_of_another_model_are_refused(model, tmp_path):
    model.save(tmp_path / "m")
    record = tmp_path / "m" / "units.json"
    record.write_text(record.read_text().replace(model.fingerprint, "0123456789abcdef"))
    with pytest.raises(BundleError, match="are of the model 0123456789abcdef"):
        load(tmp_path / "m")


def test_conditions_are_compared_by_units(model, query):
    query = query.copy()
    query.obs["condition"] = np.where(query.obs["cell_type"] == query.obs["cell_type"].iloc[0], "a", "b")
    query.obs["donor"] = np.resize(list("wxyz"), query.n_obs)
    result = compare(model, query, groupby="condition", reference="b", replicate="donor")
    activity = model.activity(query)
    table = result.table.set_index("unit")
    for unit in activity:
        assert table.loc[unit, "auroc"] == pytest.approx(roc_auc_score(query.obs["condition"] == "a", activity[unit]))
    with pytest.raises(InputError, match="`groupby` must be a column of `.obs`, got 'treatment'"):
        compare(model, query, groupby="treatment", reference="b")


def test_a_model_of_resting_blood_finds_the_interferon_response(shared_data):
    """Trained on resting cells alone, one unit tells stimulated cells, and its genes are those of interferon."""
    import anndata

    blood = anndata.read_h5ad(shared_data / "ifnb_2800.h5ad")
    resting = blood[blood.obs["condition"] == "CTRL"].copy()
    model = Prism(max_epochs=1, device="cpu", rng=0).fit(resting)
    activity = model.activity(blood)
    is_stimulated = blood.obs["condition"] == "STIM"
    auroc = pd.Series({unit: roc_auc_score(is_stimulated, activity[unit]) for unit in activity}).sort_values()
    assert auroc.iloc[-1] > 0.95
    found = model.units.loc[auroc.index[-1]]
    assert "INTERFERON" in found["sets"].split(";")[0]
    assert {"ISG15", "IFI6", "MX1", "IFIT3"} & set(found["top_genes"].split(";"))


@pytest.mark.parametrize("lost", ["units.json", "units.safetensors"])
def test_a_model_that_lost_a_file_of_its_units_is_refused(model, tmp_path, lost):
    model.save(tmp_path / "m")
    (tmp_path / "m" / lost).unlink()
    with pytest.raises(BundleError, match=rf"cannot be read .*{lost}"):
        load(tmp_path / "m")


def test_a_comparison_takes_numbers_and_keeps_what_was_warned_of_the_cells(model, query):
    half = query[:, : query.n_vars // 2].copy()
    half.obs["day"] = pd.Categorical(np.arange(half.n_obs) % 2)
    half.obs["donor"] = np.arange(half.n_obs) // 2 % 4
    with pytest.warns(PrismWarning, match="Low gene coverage"):
        result = compare(model, model.view(half, min_coverage=0.3), groupby="day", reference=0, replicate="donor")
    assert result.table["group"].unique().tolist() == ["1"]
    assert any("Low gene coverage" in message for message in result.warnings)
