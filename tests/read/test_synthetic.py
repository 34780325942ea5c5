import anndata
import numpy as np
import pytest

from scprism.errors import InputError
from scprism.read import synthetic
from scprism.read.counts import checked_counts
from scprism.read.synthetic import Simulation, gene_names, make_cells, simulate_cells


def programs_of(cells):
    columns = [column for column in cells.var if column.startswith("program_")]
    return cells.var[columns].to_numpy()


def log_shares(cells):
    totals = np.asarray(cells.X.sum(axis=0), dtype=float).ravel()
    return np.log(totals / totals.sum())


def test_counts_are_sparse_integers_that_pass_the_checks():
    cells = make_cells(n_cells=50, n_genes=100, rng=0)
    assert (cells.X.format, cells.X.dtype, cells.shape) == ("csr", np.int32, (50, 100))
    checked_counts(cells)


def test_the_same_seed_gives_the_same_cells_and_another_seed_others():
    first, again, other = make_cells(rng=3), make_cells(rng=3), make_cells(rng=4)
    assert (first.X != again.X).nnz == 0
    np.testing.assert_array_equal(first.obsm["program_activity"], again.obsm["program_activity"])
    assert (first.X != other.X).nnz > 1000


def test_global_random_state_is_neither_used_nor_changed():
    np.random.random()  # noqa: NPY002 - away from the start of any seed
    before = np.random.get_state()  # noqa: NPY002
    make_cells(rng=0)
    np.testing.assert_equal(np.random.get_state(), before)  # noqa: NPY002


def test_programs_are_of_the_size_asked_and_disjoint():
    members = programs_of(make_cells(n_genes=100, n_programs=5, rng=0))
    assert members.sum(axis=0).tolist() == [20] * 5
    assert members.sum(axis=1).max() == 1


def test_overlapping_programs_share_genes_with_the_next_one_only():
    members = programs_of(simulate_cells(Simulation(n_programs=3, overlap=0.25))).astype(int)
    np.testing.assert_array_equal(members.T @ members, [[20, 5, 0], [5, 20, 5], [0, 5, 20]])


def test_loadings_are_in_the_programs_and_around_the_effect():
    cells = simulate_cells(Simulation(effect=2.0))
    loadings, members = cells.varm["program_loadings"], programs_of(cells)
    assert (loadings[~members] == 0).all()
    assert loadings[members].min() >= 1.0
    assert loadings[members].max() <= 3.0


@pytest.mark.parametrize(("n_types", "n_programs"), [(3, 4), (3, 6), (5, 3), (1, 2), (2, 2)])
def test_every_type_has_a_main_program_and_every_program_a_type(n_types, n_programs):
    main = make_cells(n_types=n_types, n_programs=n_programs).uns["truth"]["type_activity"] == 1
    assert main.any(axis=0).all()
    assert main.any(axis=1).all()
    assert len(np.unique(main, axis=0)) == n_types


def test_activity_of_a_type_has_the_planted_mean_and_spread():
    cells = simulate_cells(Simulation(n_cells=9000, activity_spread=0.4))
    activity, mean = cells.obsm["program_activity"], cells.uns["truth"]["type_activity"]
    for code, name in enumerate(cells.obs["cell_type"].cat.categories):
        group = activity[cells.obs["cell_type"] == name]
        standard_error = 0.4 * mean[code] / np.sqrt(3000)
        assert (np.abs(group.mean(axis=0) - mean[code]) < 5 * standard_error).all()
        np.testing.assert_allclose(group.std(axis=0) / mean[code], 0.4, rtol=0.1)


def test_expression_of_a_cell_type_follows_the_model():
    """Without noise between cells, mean shares are the softmax of base + activity · loadings."""
    simulation = Simulation(n_cells=6000, n_types=2, activity_spread=0.0, dispersion=0.0)
    cells = simulate_cells(simulation)
    one, two = (cells[cells.obs["cell_type"] == name] for name in ("type_0", "type_1"))
    found = log_shares(two) - log_shares(one)
    activity = cells.uns["truth"]["type_activity"]
    expected = cells.varm["program_loadings"] @ (activity[1] - activity[0])
    common = np.asarray(cells.X.sum(axis=0)).ravel() > 20_000
    difference = (found - expected)[common]
    np.testing.assert_allclose(difference, difference.mean(), atol=0.1)  # shares are known up to one constant


def test_counts_are_overdispersed_as_told():
    """Variance of a negative binomial: mean + dispersion · mean²."""
    simulation = Simulation(n_cells=20_000, genes=gene_names(40), n_programs=1, n_types=1, dispersion=0.5)
    steady = {"activity_spread": 0.0, "library_spread": 0.0, "gene_spread": 0.3}
    counts = simulate_cells(Simulation(**{**vars(simulation), **steady})).X.toarray().astype(float)
    mean, variance = counts.mean(axis=0), counts.var(axis=0)
    np.testing.assert_allclose((variance - mean) / mean**2, 0.5, rtol=0.15)


def test_without_dispersion_counts_are_poisson():
    steady = Simulation(n_cells=20_000, n_types=1, activity_spread=0.0, library_spread=0.0, dispersion=0.0)
    counts = simulate_cells(steady).X.toarray().astype(float)
    np.testing.assert_allclose(counts.var(axis=0) / counts.mean(axis=0), 1.0, atol=0.06)


def test_platforms_differ_by_capture_and_depth():
    cells = simulate_cells(Simulation(n_cells=8000, n_platforms=2, n_types=1, activity_spread=0.0, dispersion=0.0))
    first, second = (cells[cells.obs["platform"] == name] for name in ("platform_0", "platform_1"))
    np.testing.assert_allclose(second.X.sum() / first.X.sum(), 0.4, rtol=0.05)
    capture = cells.uns["truth"]["log_capture"]
    assert (capture[0] == 0).all()
    found = log_shares(second) - log_shares(first) - capture[1]
    common = np.asarray(second.X.sum(axis=0)).ravel() > 4000
    np.testing.assert_allclose(found[common], found[common].mean(), atol=0.1)


def test_batches_differ_by_their_shift_of_each_gene():
    cells = simulate_cells(Simulation(n_cells=8000, n_batches=2, n_types=1, activity_spread=0.0, dispersion=0.0))
    first, second = (cells[cells.obs["batch"] == name] for name in ("batch_0", "batch_1"))
    shift = cells.uns["truth"]["batch_shift"]
    assert (shift[0] == 0).all()
    found = log_shares(second) - log_shares(first) - shift[1]
    common = np.asarray(second.X.sum(axis=0)).ravel() > 10_000
    np.testing.assert_allclose(found[common], found[common].mean(), atol=0.07)


def test_groups_are_of_equal_size():
    cells = make_cells(n_cells=301, n_types=3, n_batches=2, n_platforms=4)
    for column, sizes in (("cell_type", [100, 100, 101]), ("batch", [150, 151]), ("platform", [75, 75, 75, 76])):
        assert sorted(cells.obs[column].value_counts()) == sizes


def test_genes_may_have_names_of_their_own():
    symbols = tuple(f"Sym{i}" for i in range(100))
    assert tuple(simulate_cells(Simulation(genes=symbols)).var_names) == symbols


def test_cells_are_drawn_in_blocks(monkeypatch):
    monkeypatch.setattr(synthetic, "BLOCK", 7)
    cells = make_cells(n_cells=30)
    assert cells.shape == (30, 200)
    assert (cells.X.sum(axis=1) > 500).all()


def test_simulated_cells_survive_a_file(tmp_path):
    cells = make_cells(n_batches=2, rng=0)
    cells.write_h5ad(tmp_path / "a.h5ad")
    found = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert (found.X != cells.X).nnz == 0
    np.testing.assert_array_equal(found.uns["truth"]["batch_shift"], cells.uns["truth"]["batch_shift"])
    assert found.uns["truth"]["settings"]["effect"] == 1.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_programs": 20}, "20 programs of 20 genes need 400 genes, and there are 200"),
        ({"n_types": 0}, "`n_types` must be at least 1, got 0"),
        ({"overlap": 0.7}, "`overlap` must be between 0 and 0.5, got 0.7"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        simulate_cells(Simulation(**settings))
