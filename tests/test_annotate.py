import anndata
import numpy as np
import pandas as pd
import pytest

from scprism.annotation import annotate
from scprism.errors import InputError
from scprism.label.result import Labels


@pytest.fixture
def labels(small_cells):
    n = small_cells.n_obs
    table = {"label": ["B", "T"] * (n // 2), "confidence": np.linspace(0, 1, n), "distance": np.ones(n)}
    novel = np.arange(n) == 3
    return pd.DataFrame({**table, "novel": novel}, index=pd.Index(small_cells.obs_names, name="cell"))


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


def test_results_of_other_cells_are_refused_and_nothing_is_written(small_cells, labels, rng):
    before = list(small_cells.obs)
    with pytest.raises(InputError, match="must have one row a cell: 300 cells, got 7 rows"):
        annotate(small_cells, embedding=rng.normal(size=(7, 4)), labels=labels)
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
