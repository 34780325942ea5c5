"""Gene lists along a model's units: by hand, against planted programs, and beside scanpy's score."""

import numpy as np
import pandas as pd
import pytest

import scprism
from scprism.errors import BundleError, InputError, PrismError, PrismWarning
from scprism.estimator.score import gene_lists, read_scores, score
from scprism.read.synthetic import make_cells


@pytest.fixture(scope="module")
def cells():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def model(cells):
    return scprism.Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)


def planted(cells, number):
    return list(cells.var_names[cells.var[f"program_{number}"]])


def test_scores_are_the_lists_mean_of_what_the_units_account_for(model, cells):
    genes = planted(cells, 0)
    result = score(model, cells, {"mine": genes})
    accounted = model.activity(cells).to_numpy(dtype=float) @ model.programs.to_numpy(dtype=float)
    columns = [list(model.programs.columns).index(gene) for gene in genes]
    np.testing.assert_allclose(result.table["mine"], accounted[:, columns].mean(axis=1), rtol=1e-6)
    assert list(result.table.index) == list(cells.obs_names)
    parts = result.units.set_index("unit")["mean_score"]
    assert parts.sum() == pytest.approx(result.table["mine"].mean(), rel=1e-6)


def test_shares_are_those_of_the_genes_that_count_for_the_activity(model, cells):
    genes = planted(cells, 1)
    result = score(model, cells, genes).units.set_index("unit")
    units = model.named_units.units
    for number, name in enumerate(units.names):
        counted = pd.Series(units.programs[number] * units.gene_weights, index=list(model.genes), dtype=float)
        assert result.loc[name, "share"] == pytest.approx(counted[genes].sum() / counted.sum(), rel=1e-5)
    assert set(result["expected_share"]) == {len(genes) / len(model.genes)}


def test_a_planted_program_scores_where_it_is_active(model, cells):
    lists = {f"program {number}": planted(cells, number) for number in range(4)}
    result = score(model, cells, lists)
    truth = cells.obsm["program_activity"]
    found = np.corrcoef(result.table.to_numpy().T, truth.T)[:4, 4:]
    assert (found.argmax(axis=1) == np.arange(4)).all()
    assert result.lists["correlation"].min() > 0.8


def test_scores_agree_with_scanpys_more_than_with_those_of_another_list(model, cells):
    import scanpy

    theirs = cells.copy()
    scanpy.pp.normalize_total(theirs, target_sum=1e4)
    scanpy.pp.log1p(theirs)
    for number in range(4):
        scanpy.tl.score_genes(theirs, planted(cells, number), score_name=f"program {number}", random_state=0)
    ours = score(model, cells, {f"program {number}": planted(cells, number) for number in range(4)}).table
    agreement = np.corrcoef(ours.to_numpy().T, theirs.obs[list(ours)].to_numpy().T)[:4, 4:]
    assert (agreement.argmax(axis=1) == np.arange(4)).all()
    assert np.diag(agreement).min() > 0.7


def test_the_correlation_is_with_the_cells_own_expression(model, cells):
    genes = planted(cells, 0)
    result = score(model, cells, {"mine": genes})
    counts = pd.DataFrame(cells.X.toarray(), columns=cells.var_names)
    own = np.log1p(counts.div(counts.sum(axis=1), axis=0) * 1e4)[genes].mean(axis=1)
    expected = np.corrcoef(result.table["mine"], own)[0, 1]
    assert result.lists["correlation"].item() == pytest.approx(expected, abs=1e-4)


def test_a_list_that_no_unit_carries_is_told(model, cells):
    rng = np.random.default_rng(1)
    left_over = cells.var_names[~cells.var[[f"program_{n}" for n in range(4)]].any(axis=1)]
    noise = list(rng.choice(left_over, 5, replace=False))
    shuffled = cells.copy()
    places = [cells.var_names.get_loc(gene) for gene in noise]
    dense = shuffled.X.toarray()
    dense[:, places] = rng.permuted(rng.poisson(3, (cells.n_obs, 5)), axis=0)
    shuffled.X = dense
    with pytest.warns(PrismWarning, match="The units hardly carry 'noise'"):
        result = score(model, shuffled, {"noise": noise})
    assert any("hardly carry" in message for message in result.warnings)


def test_lists_come_from_files(tmp_path):
    (tmp_path / "mine.txt").write_text("CD3D\n\nCD3E\nCD3D\n")
    (tmp_path / "both.gmt").write_text("one\tx\tCD3D\tCD3E\ntwo\tx\tMS4A1\n")
    assert gene_lists(tmp_path / "mine.txt") == {"mine": ("CD3D", "CD3E")}
    assert gene_lists(str(tmp_path / "both.gmt")) == {"one": ("CD3D", "CD3E"), "two": ("MS4A1",)}
    assert gene_lists(["CD3D"]) == {"genes": ("CD3D",)}
    (tmp_path / "table.txt").write_text("one\tx\tCD3D\n")
    with pytest.raises(InputError, match="must be one gene, and there are tabs"):
        gene_lists(tmp_path / "table.txt")
    with pytest.raises(InputError, match="called 'cell'"):
        gene_lists({"cell": ["CD3D"]})


def test_lists_without_a_gene_of_the_model_are_refused(model, cells):
    with pytest.raises(InputError, match="No gene of 'other' is among the 200 genes of the model"):
        score(model, cells, {"mine": planted(cells, 0), "other": ["NOSUCHGENE"]})


def test_raw_units_are_refused(cells):
    raw = scprism.Prism(units="raw", genes="all", organism="human", hidden_size=8, max_epochs=1, rng=0).fit(cells)
    with pytest.raises(PrismError, match="this model has raw units"):
        score(raw, cells, planted(cells, 0))


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_scores_are_read_back(model, cells, tmp_path, ending):
    result = score(model, cells, {"mine": planted(cells, 0), "other": planted(cells, 1)})
    result.save(tmp_path / f"s{ending}")
    again = read_scores(tmp_path / f"s{ending}")
    for name in ("table", "units", "lists"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(result, name), check_exact=True, check_dtype=False)
    assert (again.settings, again.warnings) == (dict(result.settings), result.warnings)
    (tmp_path / f"s{ending}.units.tsv").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        read_scores(tmp_path / f"s{ending}")
