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
    with pytest.warns(PrismWarning) as said:
        part = model.activity(half, min_coverage=0.3)
    assert "Low gene coverage" in str(said[0].message)
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


@pytest.mark.parametrize(
    "name", ["programs", "replication", "quantiles", "low", "gene_weights", "n_runs_found", "coherence", "overlap"]
)
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
    with pytest.warns(PrismWarning):
        result = compare(model, model.view(half, min_coverage=0.3), groupby="day", reference=0, replicate="donor")
    assert result.table["group"].unique().tolist() == ["1"]
    assert any("Low gene coverage" in message for message in result.warnings)


def test_a_query_that_lacks_most_of_a_unit_is_warned_of_by_name(model, query):
    units = model.named_units.units
    weight = units.programs * units.gene_weights
    # the genes that count most for the first unit are missing
    order = np.argsort(-weight[0])
    least = np.searchsorted(np.cumsum(weight[0][order]) / weight[0].sum(), 0.6) + 1
    names = [model.genes[gene] for gene in order[:least]]
    part = query[:, ~query.var_names.isin(names)].copy()
    share = weight[0][order[least:]].sum() / weight[0].sum()
    for ask in (model.activity, lambda cells, **given: model.explain(cells, **given)):
        with pytest.warns(PrismWarning) as said:
            ask(part, min_coverage=0.1)
        told = [str(one.message) for one in said if "lacks most of the genes, by weight" in str(one.message)]
        assert len(told) == 1
        assert f"U01 ({share:.0%} there)" in told[0]
    with pytest.warns(PrismWarning):
        explanation = model.explain(part, min_coverage=0.1)
    assert any("lacks most of the genes, by weight, of U01" in text for text in explanation.warnings)


def test_genes_that_made_a_cells_activity_sum_to_it(model, query):
    view = model.view(query)
    activity = view.activity()
    for cell in (str(query.obs_names[5]), 5):
        parts = view.why(cell)
        assert parts.columns.tolist() == list(model.genes)
        np.testing.assert_allclose(parts.sum(axis=1), activity.iloc[5], atol=1e-5)
    whole = np.mean([view.why(number).to_numpy() for number in range(query.n_obs)], axis=0)
    np.testing.assert_allclose(whole, view.explain().signed[0], atol=1e-5)
    with pytest.raises(InputError, match="`cell` must be the name of one cell, got 'nobody'"):
        view.why("nobody")
    with pytest.raises(InputError, match=f"a number from 0 to {query.n_obs - 1}, got {query.n_obs}"):
        view.why(query.n_obs)


def test_the_record_of_a_unit_has_its_evidence(model, query):
    view, table = model.view(query), model.units
    record = view.unit("U02", labels="cell_type")
    assert (record.name, record.proposed_name) == ("U02", table.loc["U02", "proposed_name"])
    assert (record.replication, record.n_runs_found, record.n_runs) == (
        table.loc["U02", "replication"],
        table.loc["U02", "n_runs_found"],
        6,
    )
    assert record.genes["gene"].tolist()[:8] == table.loc["U02", "top_genes"].split(";")
    weights = model.programs.loc["U02", record.genes["gene"]]
    np.testing.assert_allclose(record.genes["weight"], weights, rtol=1e-6)
    assert (record.genes["low"] <= record.genes["weight"]).all()
    assert (record.genes["weight"] <= record.genes["high"]).all()
    activity = view.activity()["U02"]
    assert record.cells["cell"].tolist() == activity.sort_values(ascending=False).index[:10].tolist()
    aurocs = {
        label: roc_auc_score(query.obs["cell_type"] == label, activity) for label in query.obs["cell_type"].unique()
    }
    assert record.labels.set_index("label")["auroc"].to_dict() == pytest.approx(aurocs)
    assert record.labels["auroc"].is_monotonic_decreasing
    assert model.unit("U02").cells.empty
    with pytest.raises(InputError, match="There is no unit 'U99'"):
        model.unit("U99")
    with pytest.raises(InputError, match="`labels` must be a column of `.obs`, got 'type'"):
        view.unit("U02", labels="type")


def test_the_table_of_records_has_what_they_have(model, query):
    from scprism.units.unit import active_labels, unit_table

    records = model.view(query).units(labels="cell_type")
    table = unit_table(records).set_index("unit")
    assert table.index.tolist() == model.units.index.tolist()
    for record in records:
        row = table.loc[record.name]
        assert row["genes"].split(";") == record.genes["gene"].tolist()
        np.testing.assert_allclose([float(low) for low in row["lows"].split(";")], record.genes["low"], rtol=1e-3)
        assert row["labels"] == ";".join(active_labels(record)["label"])
        assert row["cells"].split(";") == record.cells["cell"].tolist()


def test_raw_units_have_no_record(model, query):
    raw = dataclasses.replace(model, named_units=None)
    for ask in (lambda: raw.unit("U01"), lambda: raw.view(query).why(0), lambda: raw.view(query).unit("U01")):
        with pytest.raises(PrismError, match="raw units"):
            ask()


def test_units_of_an_earlier_version_are_refused_with_the_reason(model, tmp_path):
    model.save(tmp_path / "m")
    record = tmp_path / "m" / "units.json"
    record.write_text(record.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    with pytest.raises(BundleError, match="an earlier scprism found them"):
        load(tmp_path / "m")
