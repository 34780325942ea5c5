import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from scprism.errors import InputError, PrismWarning
from scprism.genes.tables import read_orthologs
from scprism.read.counts import check_counts, checked_counts, find_counts

REAL_DATA = (
    *("baron_human1", "mouse_lung_immune", "pbmc3k", "pbmc_kang"),
    *("sc_mixology", "tm_droplet_immune", "tm_facs_kidney", "tms_facs_liver"),
)


def with_values(values):
    return AnnData(
        np.array(values, dtype=np.float64), obs=names("cell", len(values)), var=names("gene", len(values[0]))
    )


def names(prefix, number):
    return pd.DataFrame(index=[f"{prefix}{i}" for i in range(number)])


def with_counts_in(*, layer=None, raw=False, x=None):
    counts = np.array([[1, 0], [2, 3]])
    cells = with_values(counts)
    if raw:
        cells.raw = cells.copy()
    if layer:
        cells.layers[layer] = counts.copy()
    cells.X = x if x is not None else np.log1p(counts)
    return cells


def test_counts_are_taken_from_x_a_layer_or_raw():
    cells = AnnData(np.full((1, 3), 3), var=names("gene", 3), layers={"counts": np.full((1, 3), 5)})
    cells.raw = cells
    cells = cells[:, :2].copy()
    for layer, value, n_genes in ((None, 3, 2), ("counts", 5, 2), ("raw", 3, 3)):
        matrix, genes = find_counts(cells, layer=layer)
        assert matrix.tolist() == [[value] * n_genes]
        assert list(genes) == [f"gene{i}" for i in range(n_genes)]


def test_a_layer_called_raw_comes_before_raw():
    cells = AnnData(np.full((1, 1), 3), layers={"raw": np.full((1, 1), 5)})
    cells.raw = cells
    assert find_counts(cells, layer="raw")[0].tolist() == [[5]]


def test_an_unknown_layer_is_refused_with_the_layers_there():
    with pytest.raises(InputError, match=r"no layer 'count'.*'spliced' \(the layers\), 'raw' for .raw, 'X' for .X"):
        find_counts(with_counts_in(layer="spliced", raw=True), layer="count")


def test_an_empty_x_is_refused():
    cells = AnnData(obs=names("cell", 2), var=names("gene", 2), layers={"counts": np.ones((2, 2))})
    with pytest.raises(InputError, match=r"\.X, which is empty.*'counts'"):
        find_counts(cells)


def test_raw_counts_pass_in_every_storage(storage, small_cells):
    cells = storage(small_cells)
    matrix, genes = checked_counts(cells)
    assert matrix.shape == (300, 200)
    assert list(genes) == list(small_cells.var_names)


def test_what_is_wrong_is_found_in_every_storage(storage, small_cells):
    small_cells.X = small_cells.X.astype(np.float64)
    small_cells.X[299, 199] = 0.5
    with pytest.raises(InputError, match="whole numbers, but 1 values are not"):
        checked_counts(storage(small_cells))


def test_the_check_changes_nothing():
    cells = with_counts_in(layer="counts", raw=True)
    before = cells.copy()
    checked_counts(cells, layer="counts")
    with pytest.raises(InputError):
        checked_counts(cells)
    np.testing.assert_array_equal(cells.X, before.X)
    np.testing.assert_array_equal(cells.layers["counts"], before.layers["counts"])
    np.testing.assert_array_equal(cells.raw.X, before.raw.X)
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    pd.testing.assert_frame_equal(cells.var, before.var)


def test_logarithms_are_refused_and_named():
    with pytest.raises(
        InputError, match=r"3 values are not. They look like logarithms \(log1p\): the largest is 1.39\."
    ):
        checked_counts(with_values(np.log1p([[1, 0], [2, 3]])))


def test_normalised_counts_are_refused_and_named():
    shares = np.array([[1, 2, 0], [1, 0, 6]], dtype=np.float64)
    cells = with_values(shares / shares.sum(axis=1, keepdims=True) * 1e4)
    with pytest.raises(InputError, match=r"They look normalised: every cell sums to 10,000, as do counts per 10,000\."):
        checked_counts(cells)


def test_estimated_counts_are_refused_with_what_to_do():
    with pytest.raises(InputError, match=r"The largest is 80\.25\. If they are estimated counts .* round them first"):
        checked_counts(with_values([[80.25, 1], [2, 0]]))


@pytest.mark.parametrize(
    ("cells", "layer", "hint"),
    [
        pytest.param(with_counts_in(layer="counts"), None, "use layer='counts'", id="in a layer"),
        pytest.param(with_counts_in(raw=True), None, "use layer='raw'", id="in raw"),
        pytest.param(AnnData(np.eye(2), layers={"log": np.eye(2) / 2}), "log", "But .X holds counts", id="in X"),
        pytest.param(with_counts_in(), None, "Give the raw counts: another file", id="nowhere"),
    ],
)
def test_the_message_says_where_the_counts_are(cells, layer, hint):
    with pytest.raises(InputError, match=hint):
        checked_counts(cells, layer=layer)


def test_negative_values_are_refused():
    with pytest.raises(InputError, match=r"never negative, but 2 values are.*scaled or batch-corrected"):
        checked_counts(with_values([[-1, 2], [3, -0.5]]))


def test_missing_values_are_refused():
    with pytest.raises(InputError, match=r"1 values are missing \(NaN\)"):
        checked_counts(with_values([[np.nan, 2], [3, 1]]))


def test_infinite_values_are_refused():
    with pytest.raises(InputError, match="2 values are infinite"):
        checked_counts(with_values([[np.inf, 2], [-np.inf, 1]]))


def test_duplicate_genes_are_refused_by_name():
    with pytest.raises(
        InputError, match=r"Gene names must be unique, but these are used more than once: 'Actb'\. If they"
    ):
        check_counts(np.ones((1, 3)), genes=["Actb", "Actb", "Actb"], cells=["a"])


def test_duplicate_cells_are_refused_by_name():
    with pytest.raises(InputError, match=r"Cell names must be unique, but these are used more than once: 'AAC-1'"):
        check_counts(np.ones((3, 1)), genes=["a"], cells=["AAC-1", "AAC-1", "TTG-1"])


@pytest.mark.parametrize(("shape", "text"), [((0, 3), "0 cells and 3 genes"), ((3, 0), "3 cells and 0 genes")])
def test_empty_data_are_refused(shape, text):
    with pytest.raises(InputError, match=text):
        check_counts(np.ones(shape), genes=range(shape[1]), cells=range(shape[0]))


def test_cells_without_counts_are_warned_of():
    with pytest.warns(PrismWarning, match="2 of 4 cells have no counts"):
        checked_counts(with_values([[0, 0], [1, 0], [0, 0], [3, 2]]))


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_genes_in_rows_are_refused(organism):
    symbols = read_orthologs()[organism].unique()[:300]
    barcodes = [f"AAACCTGA{i:04}-1" for i in range(50)]
    matrix = sparse.random(300, 50, density=0.5, format="csr", random_state=0)
    with pytest.raises(InputError, match=r"rows are named like genes .* Set `transpose` when reading"):
        check_counts(matrix, genes=barcodes, cells=symbols)


def test_genes_in_columns_are_right_even_if_a_few_cells_are_named_like_genes():
    symbols = list(read_orthologs()["mouse"].unique()[:300])
    matrix = sparse.csr_matrix(np.ones((4, 300)))
    check_counts(matrix, genes=symbols, cells=["Actb", "x1", "x2", "x3"])


def test_corrected_expression_may_be_fractional_and_negative_but_not_missing():
    check_counts(np.array([[-1.5, 2]]), genes=["a", "b"], cells=["c"], integers=False)
    with pytest.raises(InputError, match="missing"):
        check_counts(np.array([[np.nan, 2]]), genes=["a", "b"], cells=["c"], integers=False)


@pytest.mark.parametrize("name", REAL_DATA)
@pytest.mark.shared_data
def test_real_data_pass(shared_data, name):
    cells = anndata.read_h5ad(shared_data / f"{name}.h5ad", backed="r")
    matrix, _ = checked_counts(cells)
    assert matrix.shape == cells.shape
    logged = AnnData(np.log1p(matrix[:200]), obs=cells.obs[:200], var=cells.var)
    cells.file.close()
    with pytest.raises(InputError, match="look like logarithms"):
        checked_counts(logged)
