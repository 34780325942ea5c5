"""A small grid of the experiments, from data to page."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

import scprism
from scprism.model.forward import decode, encode
from scprism.paper import networks
from scprism.paper.data_sets import combined_sources
from scprism.paper.experiments import label_transfer, unseen
from scprism.paper.experiments.label_transfer import run_pair
from scprism.paper.experiments.loss_matrix import run_losses
from scprism.paper.grid import frame_of
from scprism.paper.networks import NetworkStore
from scprism.paper.plan import Cell, Plan
from scprism.paper.registry import EXPERIMENTS, planned
from scprism.paper.reproduce import reproduce_paper
from scprism.paper.results import ResultStore
from scprism.paper.scale import SCALES

ONLY = ("knn-single", "loss-matrix", "integrate", "umap")


@pytest.fixture(scope="module")
def plan(sources):
    return Plan([*sources, *combined_sources(sources, method="combat")], ("paper", "default"), SCALES["tiny"])


@pytest.fixture(scope="module")
def folder(plan, tmp_path_factory):
    """The page and all that lies beside it, with three numbers of neighbours, and PCA in place of UMAP for speed."""
    out = tmp_path_factory.mktemp("audit")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(label_transfer, "NEIGHBOURS", (2, 5, 25))
        patched.setattr(unseen, "project", lambda values, **_: SimpleNamespace(coordinates=values[:, :2]))
        reproduce_paper(plan, out=out, only=ONLY, jobs=1)
    return out


def test_the_page_has_a_section_and_a_table_for_each_experiment(folder):
    text = (folder / "audit.md").read_text(encoding="utf-8")
    for name in ONLY:
        assert f"`--only {name}`" in text
        assert len(pd.read_csv(folder / "audit" / f"{name}-1.tsv", sep="\t")) > 1
    assert "scale `tiny`" in text
    assert "| Neighbours in a foreign model's bottleneck tell types" in text
    for figure in ("knn-single", "loss-paper", "umap-default"):
        assert (folder / "audit" / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
        assert f"](audit/{figure}.png)" in text


def test_the_page_says_what_its_verdicts_rest_on(folder):
    text = (folder / "audit.md").read_text(encoding="utf-8")
    assert text.index("The paper trains an autoencoder") < text.index("| claim |") < text.index("## Data")
    # pairs of parts and of wholes, both ways: 4; two kinds of baselines, untrained, paper, default, two by Adam
    assert "`--only knn-single`; rests on 28 of 28 results; networks: `paper` 4, `default` 4, `paper, Adam` 4" in text
    assert "## How long the networks were trained" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith(("| paper | ", "| default | "))]
    epochs = {row[0].strip("| "): row[3:5] for row in rows if len(row) == 8}
    assert epochs["paper"] == epochs["default"] == ["2", "2 (2–2)"]
    assert (folder / "audit" / "training.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_of_what_is_there_computes_nothing_and_has_no_numbers_for_the_rest(plan, tmp_path, monkeypatch):
    for name in ("prepare_training", "fit_network", "read_source"):
        monkeypatch.setattr(networks, name, refuse)
    page = reproduce_paper(plan, out=tmp_path, only=ONLY, minutes=0)
    text = page.read_text(encoding="utf-8")
    told = next(line for line in text.splitlines() if line.startswith("**What is not computed yet:** "))
    assert "Label transfer between data sets (Figure 3, P3, P4)" in told
    assert "`--only knn-single`; rests on 0 of 28 results." in text
    assert text.count("Nothing of this is computed yet.") == len(ONLY)
    assert "macro-F1" not in text


def test_a_run_that_is_cut_short_keeps_what_it_did_and_goes_on(plan, tmp_path):
    steps = []
    reproduce_paper(plan, out=tmp_path, only=("loss-matrix",), jobs=1, minutes=1e-6, on_progress=steps.append)
    assert [step.n_done for step in steps] == [1]
    rest = []
    reproduce_paper(plan, out=tmp_path, only=("loss-matrix",), jobs=1, on_progress=rest.append)
    assert rest[-1].n_done == rest[-1].n_steps == steps[0].n_steps - 1


@pytest.mark.slow
def test_a_finished_command_takes_seconds_the_second_time(data_folder, tmp_path):
    asked = ["--only", "table1", "--only", "knn-single", "--preset", "default", "--scale", "tiny", "--jobs", "1"]
    command = [sys.executable, "-m", "scprism.cli", "reproduce", "--data", str(data_folder), *asked]
    environment = {**os.environ, "PYTHONPATH": str(Path(scprism.__file__).parents[1])}
    said, pages, seconds = [], [], []
    for _ in range(2):
        start = processor_seconds_of_children()
        done = subprocess.run(
            [*command, "--out", tmp_path], env=environment, capture_output=True, text=True, check=True
        )
        seconds.append(processor_seconds_of_children() - start)
        said.append(done.stderr)
        pages.append({path.relative_to(tmp_path): path.read_bytes() for path in written(tmp_path)})
    assert " steps, " in said[0]
    assert " steps, " not in said[1]
    assert pages[0] == pages[1]
    assert seconds[1] < 30


def processor_seconds_of_children():
    times = os.times()
    return times.children_user + times.children_system


def test_a_second_run_computes_nothing_and_writes_the_same_bytes(folder, plan, monkeypatch):
    before = {path.relative_to(folder): path.read_bytes() for path in written(folder)}
    for name in ("prepare_training", "fit_network", "read_source"):
        monkeypatch.setattr(networks, name, refuse)
    steps = []
    reproduce_paper(plan, out=folder, only=ONLY, jobs=1, on_progress=steps.append)
    assert steps == []
    assert {path.relative_to(folder): path.read_bytes() for path in written(folder)} == before


def written(folder):
    return [*folder.glob("audit.md"), *folder.glob("audit/*"), *folder.glob("results/*")]


def refuse(*_, **__):
    raise AssertionError("it is computed again")


def test_every_cell_has_a_result(folder, plan):
    results = ResultStore(folder / "results.sqlite")
    for name, cells in planned(plan, only=ONLY).items():
        frame = frame_of(cells, EXPERIMENTS[name], results, max_cells=plan.scale.max_cells)
        assert (frame["message"] == "").all(), frame["message"].unique()


def test_all_genes_are_scored_as_scikit_learn_does_on_log_counts_per_million(data_folder, plan, tmp_path):
    first, second = plan.wholes
    cell = Cell("knn-single", {"features": "baselines", "normalise": "per_cell"}, (first, second))
    rows = pd.DataFrame(run_pair(cell, NetworkStore(tmp_path, max_cells=1000)))
    names = {"T cells": "T", "t cell": "T", "B cell": "B", "B cells": "B", "NK cells": "NK", "monocytes": "monocyte"}
    sides = []
    for name, column in (("first", "cell_type"), ("second", "Major_cell_type")):
        cells = anndata.read_h5ad(data_folder / f"{name}.h5ad")
        counts = np.asarray(cells.to_df())
        sides.append((np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e6), cells.obs[column].map(names)))
    kept = np.asarray((anndata.read_h5ad(data_folder / "first.h5ad").to_df() > 2).any())  # row 3.4 of the method
    (x, types), (x_query, truth) = sides
    shared = truth.isin(types.unique()).to_numpy()
    model = KNeighborsClassifier(1).fit(x[:, kept], types)
    expected = f1_score(truth[shared], model.predict(x_query[shared][:, kept]), labels=["B", "T"], average="macro")
    # of two neighbours that disagree, the nearer one decides
    found = rows.query("features == 'all genes' and metric == 'euclidean' and neighbours == 2")["macro_f1"].item()
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_constant_s_loss_is_that_of_the_mean_cell(plan, tmp_path):
    first, store = plan.wholes[0], NetworkStore(tmp_path, max_cells=1000)
    cell = Cell("loss-matrix", {}, (first,), (plan.network(first, "paper"),))
    found = pd.DataFrame(run_losses(cell, store)).iloc[0]
    network = store.network(cell.networks[0])
    x = np.vstack([chunk.inputs.toarray() for chunk in network.opened(store.cells(first)).chunks()])
    mean = x.mean(axis=0, dtype=np.float64)
    assert found["constant"] == pytest.approx(float((mean - x * np.log(mean + 1e-8)).mean()), rel=1e-5)
    assert bool(found["own"])


def test_the_loss_of_as_released_is_over_all_cells_as_the_page_says(plan, tmp_path):
    first, store = plan.wholes[0], NetworkStore(tmp_path, max_cells=1000)
    cell = Cell("loss-matrix", {}, (first,), (plan.network(first, "as_released"),))
    found = pd.DataFrame(run_losses(cell, store)).iloc[0]
    network = store.network(cell.networks[0])
    assert network.config.foreign_loss == "one_cell"
    x = np.vstack([chunk.inputs.toarray() for chunk in network.opened(store.cells(first)).chunks()])
    y = decode(network.weights, encode(network.weights, csr_matrix(x)))
    assert found["loss"] == pytest.approx(float((np.exp(y) - x * y).mean()), rel=1e-4)
