"""What `annotate` writes, and the annotated file: for scanpy, for other tools, and back."""

from dataclasses import dataclass, field

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scprism
from scprism.annotation import annotate, read_annotated, write_annotated
from scprism.errors import BundleError, InputError, PrismWarning
from scprism.label.result import Labels
from scprism.read.synthetic import make_cells

pytestmark = pytest.mark.filterwarnings("ignore:The query is unlike")  # cells of another seed are another tissue


@pytest.fixture
def labels(small_cells):
    n = small_cells.n_obs
    table = {"label": ["B", "T"] * (n // 2), "confidence": np.linspace(0, 1, n), "distance": np.ones(n)}
    novel = np.arange(n) == 3
    return pd.DataFrame({**table, "novel": novel}, index=pd.Index(small_cells.obs_names, name="cell"))


@pytest.fixture(scope="module")
def model():
    return scprism.Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(make_cells(rng=0))


@pytest.fixture(scope="module")
def calls(model):
    return model.label(make_cells(rng=1), reference=make_cells(rng=0), labels="cell_type")


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of matplotlib, for scanpy
def test_scanpy_finds_what_it_expects(small_cells, labels, rng):
    import scanpy

    annotate(small_cells, embedding=rng.normal(size=(small_cells.n_obs, 4)), labels=labels)
    scanpy.pp.neighbors(small_cells, use_rep="X_prism", n_neighbors=5)
    axes = scanpy.pl.embedding(
        small_cells, basis="X_prism", color=["prism_label", "prism_confidence", "prism_novel"], show=False
    )
    assert [axis.get_title() for axis in axes] == ["prism_label", "prism_confidence", "prism_novel"]
    assert small_cells.obs["prism_label"].tolist() == labels["label"].tolist()
    assert small_cells.obs["prism_label"].dtype == "category"
    assert small_cells.obs["prism_novel"].dtype == bool
    assert small_cells.obs["prism_novel"].tolist() == labels["novel"].tolist()


def test_every_column_of_the_labels_and_their_probabilities_go_along(small_cells, labels, tmp_path):
    n = small_cells.n_obs
    more = labels.assign(margin=np.linspace(0, 0.5, n), runner_up=[None, "NK/T cell"] * (n // 2))
    shares = pd.DataFrame({"B": np.linspace(0, 1, n), "NK/T cell": 0.0, "T": np.linspace(1, 0, n)}, labels.index)

    @dataclass(frozen=True, eq=False, repr=False)
    class WithProbabilities(Labels):
        probabilities: pd.DataFrame = field(default_factory=pd.DataFrame)

    annotate(small_cells, labels=WithProbabilities(more, {"labels": "type"}, (), shares))
    small_cells.write_h5ad(tmp_path / "cells.h5ad")
    again = anndata.read_h5ad(tmp_path / "cells.h5ad")
    np.testing.assert_allclose(again.obs["prism_margin"], more["margin"])
    assert again.obs["prism_runner_up"].isna().tolist() == [True, False] * (n // 2)
    np.testing.assert_allclose(again.obsm["prism_label_probabilities"], shares.to_numpy(), rtol=1e-6)
    assert list(again.uns["scprism"]["probabilities_of"]) == list(shares.columns)
    assert again.uns["scprism"]["labels"]["labels"] == "type"
    annotate(again, labels=labels.set_axis(again.obs_names))  # labels without probabilities leave none behind
    assert "prism_label_probabilities" not in again.obsm
    assert not {"probabilities_of", "labels"} & set(again.uns["scprism"])


def test_a_part_of_the_cells_is_annotated_without_a_warning(small_cells, labels):
    part = small_cells[:100]
    annotate(part, labels=labels.iloc[:100])
    annotate(part, activity=pd.DataFrame({"U01": 1.0}, index=part.obs_names))
    assert part.obs["prism_label"].tolist() == labels["label"].tolist()[:100]
    assert part.obs["U01"].tolist() == [1.0] * 100
    assert not {"U01", "prism_label"} & set(small_cells.obs)


def test_labels_have_the_colours_of_the_report_as_long_as_they_differ(small_cells, labels):
    from scprism.report.palette import MUTED

    labels["label"] = ["B"] * 100 + ["T"] * 200
    annotate(small_cells, labels=labels)
    assert list(small_cells.uns["prism_label_colors"]) == [MUTED[1], MUTED[0]]  # T is more frequent
    annotate(small_cells, labels=labels.assign(label=[f"type {i % 10}" for i in range(300)]))
    assert "prism_label_colors" not in small_cells.uns


def test_results_of_other_cells_are_refused_and_nothing_is_written(small_cells, labels, rng):
    before = list(small_cells.obs)
    for name in ("embedding", "umap"):
        with pytest.raises(InputError, match=f"`{name}` must have one row a cell: 300 cells, got 7 rows"):
            annotate(small_cells, **{name: rng.normal(size=(7, 4))}, labels=labels)
    with pytest.raises(InputError, match="its index differs from their `.obs_names`"):
        annotate(small_cells, embedding=rng.normal(size=(300, 4)), labels=labels.iloc[::-1])
    assert (list(small_cells.obs), list(small_cells.obsm)) == (before, ["program_activity"])


def test_the_warnings_of_labels_go_along(small_cells, labels, tmp_path):
    annotate(small_cells, labels=Labels(labels, {}, ("The query is unlike the reference",)))
    small_cells.write_h5ad(tmp_path / "cells.h5ad")
    assert list(anndata.read_h5ad(tmp_path / "cells.h5ad").uns["prism_warnings"]) == [
        "The query is unlike the reference"
    ]


def test_a_users_column_with_the_name_of_a_unit_is_not_lost(small_cells):
    activity = pd.DataFrame({"U01": np.arange(small_cells.n_obs)}, index=small_cells.obs_names, dtype=float)
    small_cells.obs["U01"] = "mine"
    with pytest.raises(InputError, match="would write over the columns 'U01' of `cells.obs`"):
        annotate(small_cells, activity=activity)
    assert set(small_cells.obs["U01"]) == {"mine"}
    del small_cells.obs["U01"]
    for factor in (1, 2):  # what annotate wrote, it may write again
        annotate(small_cells, activity=activity * factor)
    assert small_cells.obs["U01"].tolist() == (activity["U01"] * 2).tolist()
    annotate(small_cells, activity=activity.rename(columns={"U01": "U02"}))
    assert "U01" not in small_cells.obs  # of another model, and no longer true


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of matplotlib, for scanpy
@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_the_annotated_file_holds_the_cells_and_all_that_is_said_of_them(model, calls, tmp_path, ending):
    import scanpy

    cells = make_cells(rng=1)
    cells.layers["twice"] = cells.X * 2
    cells.raw = cells[:, :50].copy()
    view, path = model.view(cells), tmp_path / f"cells{ending}"
    write_annotated(path, view, labels=calls, made_by={"command": "scprism label"})
    again = read_annotated(path)
    assert sparse.issparse(again.X)
    assert sparse.issparse(again.layers["twice"])
    assert (again.X != cells.X).nnz == 0
    assert (again.raw.X != cells.raw.X).nnz == 0
    np.testing.assert_array_equal(again.obsm["X_prism"], view.embed())
    pd.testing.assert_frame_equal(
        again.obs[list(model.units.index)], view.activity(), check_names=False, check_index_type=False
    )
    np.testing.assert_array_equal(again.obsm["X_prism_units"], view.activity().to_numpy())
    assert list(again.uns["scprism"]["units"]) == list(model.units.index)
    assert again.uns["prism_units"]["unit"].tolist() == list(model.units.index)
    assert again.obs["prism_label"].tolist() == calls["label"].tolist()
    assert again.uns["scprism"]["fingerprint"] == model.fingerprint
    assert again.uns["scprism"]["command"] == "scprism label"
    assert list(cells.obs) == list(make_cells(rng=1).obs)  # the cells themselves stay as they came
    unit = model.units.index[0]
    axis = scanpy.pl.umap(again, color=unit, show=False)
    drawn = axis.collections[0]
    np.testing.assert_allclose(np.sort(drawn.get_array()), np.sort(view.activity()[unit]), rtol=1e-6)
    # what lies together in the latent space lies together in the plane
    from sklearn.manifold import trustworthiness

    assert trustworthiness(again.obsm["X_prism"], again.obsm["X_umap"], n_neighbors=10) > 0.7


@pytest.mark.filterwarnings("ignore:.*backed mode:UserWarning")
def test_cells_on_disk_are_annotated_without_becoming_dense(model, calls, tmp_path, monkeypatch):
    make_cells(rng=1).write_h5ad(tmp_path / "query.h5ad")
    cells = anndata.read_h5ad(tmp_path / "query.h5ad", backed="r")
    for kind in (sparse.csr_matrix, sparse.csr_array):
        monkeypatch.setattr(kind, "toarray", lambda *_, **__: pytest.fail("a whole matrix was made dense"))
    view = model.view(cells)
    calls_seen = calls.table
    write_annotated(tmp_path / "cells.h5ad", view, labels=calls_seen, umap=False)
    cells.file.close()
    monkeypatch.undo()
    again = read_annotated(tmp_path / "cells.h5ad")
    assert (again.X != make_cells(rng=1).X).nnz == 0
    assert again.obs["prism_label"].tolist() == calls["label"].tolist()


@pytest.mark.filterwarnings("ignore:Columns of obs that a file:scprism.errors.PrismWarning")
@pytest.mark.filterwarnings("ignore:Parts of uns:scprism.errors.PrismWarning")
def test_no_table_of_the_user_stops_the_file(model, calls, tmp_path):
    cells, unit = make_cells(rng=1), model.units.index[0]
    cells.obs[unit] = "mine"
    cells.obs["a/b"] = [[1]] * cells.n_obs
    cells.uns["mine"] = {"object": object()}
    with pytest.warns(PrismWarning, match=f"names of units were renamed: '{unit}' to '{unit}_1'"):
        write_annotated(tmp_path / "cells.h5ad", model.view(cells), labels=calls, umap=False)
    again = read_annotated(tmp_path / "cells.h5ad")
    assert set(again.obs[f"{unit}_1"]) == {"mine"}
    np.testing.assert_allclose(again.obs[unit], model.activity(make_cells(rng=1))[unit])
    assert any("renamed" in message for message in again.uns["prism_warnings"])
    assert "mine" not in again.uns
    # and the file is a query again, of whose columns ours are replaced
    write_annotated(tmp_path / "again.h5ad", model.view(again), umap=False)
    assert set(read_annotated(tmp_path / "again.h5ad").obs) == set(again.obs)


def test_a_file_without_annotation_is_refused(tmp_path):
    make_cells(rng=1).write_h5ad(tmp_path / "cells.h5ad")
    (tmp_path / "text.h5ad").write_text("no cells")
    with pytest.raises(BundleError, match="that scprism has not annotated"):
        read_annotated(tmp_path / "cells.h5ad")
    with pytest.raises(BundleError, match="cannot be read as annotated cells"):
        read_annotated(tmp_path / "text.h5ad")
