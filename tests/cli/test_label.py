"""What `scprism label` writes beside the labels, and what it refuses."""

import json

import anndata
import pandas as pd
import pytest

import scprism as library
from scprism.read.synthetic import make_cells

pytestmark = pytest.mark.filterwarnings("ignore:The query is unlike")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A model with an index, and a file of its cells."""
    folder = tmp_path_factory.mktemp("label")
    cells = make_cells(rng=0)
    trainer = library.Prism(units="raw", genes="all", organism="human", max_epochs=2, device="cpu", rng=0)
    trainer.fit(cells).index(cells, labels="cell_type").save(folder / "model")
    cells.write_h5ad(folder / "cells.h5ad")
    return folder / "model", folder / "cells.h5ad"


def test_probabilities_reasons_and_known_labels_are_written(scprism, given, tmp_path):
    model, cells = given
    out, why, table = tmp_path / "labels.csv", tmp_path / "why.tsv", tmp_path / "table.csv"
    first = str(anndata.read_h5ad(cells).obs_names[0])
    asked = ("--probabilities", "--reasons", why, "--cell", first, "--truth", "cell_type", "--confusion", table)
    status, _, messages = scprism("label", model, cells, "--out", out, *asked)
    assert status == 0, messages
    assert "known labels: " in messages
    assert "macro-F1" in messages
    labels = library.read_labels(out)
    assert labels.probabilities.sum(axis=1).to_numpy() == pytest.approx(1, rel=1e-4)
    assert (labels.probabilities.idxmax(axis=1) == labels["label"]).all()
    truth = anndata.read_h5ad(cells).obs["cell_type"]
    found = pd.read_csv(table, index_col=0)
    assert found.to_numpy().sum() == 300
    assert labels.agreement(truth).confusion.to_numpy().tolist() == found.to_numpy().tolist()
    reasons = pd.read_csv(why, sep="\t", keep_default_na=False)
    assert set(reasons["cell"]) == {"", first}
    assert set(reasons["label"]) == set(labels["label"])


def test_a_threshold_and_groups_change_labels(scprism, given, tmp_path):
    model, cells = given
    out = tmp_path / "labels.csv"
    assert scprism("label", model, cells, "--out", out, "--threshold", "1")[0] == 0
    assert set(library.read_labels(out)["label"]) == {"unassigned"}
    assert scprism("label", model, cells, "--out", out, "--over", "batch")[0] == 0
    grouped = library.read_labels(out)
    batch = anndata.read_h5ad(cells).obs["batch"].astype(str).to_numpy()
    assert all(len(set(labels)) == 1 for _, labels in grouped.table.groupby(batch)["label"])
    assert len(set(grouped["cell_label"])) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--confusion", "table.csv"), "name their column of the query's obs by --truth"),
        (("--cell", "cell_1"), "Add --reasons FILE"),
        (("--truth", "cel_type"), "Closest: 'cell_type'"),
        (("--over", "bach"), "Closest: 'batch'"),
        (("--threshold", "2"), "--threshold"),
    ],
)
def test_what_does_not_fit_is_refused_with_nothing_written(scprism, given, tmp_path, options, message):
    model, cells = given
    here = [str(tmp_path / value) if value.endswith(".csv") else value for value in options]
    status, _, messages = scprism("label", model, cells, "--out", tmp_path / "labels.csv", *here)
    assert (status, message in messages) == (2, True), messages
    assert not list(tmp_path.iterdir())


def test_the_best_of_several_references_is_named(scprism, given, tmp_path):
    model, cells = given
    part = anndata.read_h5ad(cells)
    part = part[part.obs["cell_type"] != part.obs["cell_type"].iloc[0]].copy()
    part.write_h5ad(tmp_path / "part.h5ad")
    by = [tmp_path / "whole.csv", tmp_path / "part.csv"]
    assert scprism("label", model, cells, "--out", by[0])[0] == 0
    asked = ("--reference", tmp_path / "part.h5ad", "--labels", "cell_type", "--out", by[1])
    assert scprism("label", model, cells, *asked)[0] == 0
    out = tmp_path / "chosen.csv"
    status, _, messages = scprism("references", *by, "--out", out)
    assert status == 0, messages
    table, (whole, less) = pd.read_csv(out, index_col=0), map(library.read_labels, by)
    best = "whole" if whole["confidence"].mean() > less["confidence"].mean() else "part"
    assert f"best reference: {best}" in messages
    assert (table["label by whole"] == whole["label"]).all()
    assert (table["confidence"] >= whole["confidence"] - 1e-12).all()
    record = json.loads((tmp_path / "chosen.csv.json").read_text())
    assert record["agreement"]["whole"]["whole"] == 1


def test_label_files_of_one_name_are_refused(scprism, given, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        assert scprism("label", *given, "--out", tmp_path / folder / "labels.csv")[0] == 0
    files = (tmp_path / "a" / "labels.csv", tmp_path / "b" / "labels.csv")
    status, _, messages = scprism("references", *files, "--out", tmp_path / "chosen.csv")
    assert status == 2
    assert "told apart by their names without the ending, got labels, labels" in messages
    assert not (tmp_path / "chosen.csv").exists()
