import numpy as np
import pytest
import scanpy

from scprism.errors import InputError
from scprism.integration.combat import combat


def share_of_own_batch(values, batches, k=15):
    from sklearn.neighbors import NearestNeighbors

    neighbours = NearestNeighbors(n_neighbors=k).fit(values).kneighbors(return_distance=False)
    return (np.asarray(batches)[neighbours] == np.asarray(batches)[:, None]).mean()


def test_batches_mix_and_types_stay(two_batches):
    normal = scanpy.pp.log1p(scanpy.pp.normalize_total(two_batches, target_sum=1e4, copy=True), copy=True)
    corrected = combat([two_batches], batch="batch")
    before = share_of_own_batch(normal.X.toarray(), two_batches.obs["batch"])
    after = share_of_own_batch(corrected.X, corrected.obs["batch"])
    assert before > 0.9
    assert after == pytest.approx(0.5, abs=0.1)
    assert share_of_own_batch(corrected.X, corrected.obs["cell_type"]) > 0.8


def test_several_files_are_joined_in_their_common_genes(two_batches):
    first, second = (two_batches[two_batches.obs["batch"] == b].copy() for b in ("batch_0", "batch_1"))
    second = second[:, ::-1][:, :100].copy()
    corrected = combat([first, second], batch="platform_name")
    assert set(corrected.var_names) <= set(second.var_names)
    assert corrected.obs["platform_name"].value_counts().to_dict() == {"0": first.n_obs, "1": second.n_obs}


def test_a_gene_seen_in_one_batch_only_stays_finite_and_silent(two_batches):
    cells = two_batches.copy()
    counts = cells.X.toarray()
    counts[(cells.obs["batch"] == "batch_0").to_numpy(), 0] = 0
    cells.X = counts
    assert np.isfinite(combat([cells], batch="batch").X).all()


def test_one_batch_is_refused(two_batches):
    with pytest.raises(InputError, match="needs at least two batches, 'one' has '0'"):
        combat([two_batches], batch="one")


def test_no_common_gene_is_refused(two_batches):
    other = two_batches.copy()
    other.var_names = [f"other_{i}" for i in range(other.n_vars)]
    with pytest.raises(InputError, match="The data sets have no gene in common"):
        combat([two_batches, other], batch="batch")


def test_a_batch_of_one_cell_is_refused_by_name(two_batches):
    cells = two_batches.copy()
    cells.obs["lab"] = ["alone", *["other"] * (cells.n_obs - 1)]
    with pytest.raises(InputError, match="at least 2 cells in each batch of 'lab', .*; 'alone' has one"):
        combat([cells], batch="lab")


def test_nothing_is_printed(two_batches, capsys):
    cells = two_batches.copy()
    cells.X = cells.X.toarray()
    cells.X[:, 0] = 1
    combat([cells], batch="batch")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("method", ["combat", "scanorama", "seurat"])
def test_every_method_checks_what_it_returns(method):
    import ast
    import importlib
    import inspect

    tree = ast.parse(inspect.getsource(importlib.import_module(f"scprism.integration.{method}")))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == method)
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    assert [value.func.id for value in returned] == ["corrected_cells"]
    assert [word.value.value for word in returned[0].keywords if word.arg == "method"] == [method]
