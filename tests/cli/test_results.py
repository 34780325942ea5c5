"""What the commands write: formats, links, warnings that stay with a result, and doors that are checked first."""

import contextlib
import json
import os
import shutil

import anndata
import numpy as np
import pandas as pd
import pytest

from scprism.annotation import labels_of, read_annotated
from scprism.enrichment.result import read_enrichment
from scprism.estimator.denoised import read_denoised
from scprism.estimator.load import load
from scprism.estimator.prism import Prism
from scprism.explain.explanation import read_explanation
from scprism.label.result import read_labels
from scprism.train import loop


@pytest.fixture
def untrained(monkeypatch):
    """Fail where a training begins."""

    def refuse(*_, **__):
        pytest.fail("a training began")

    monkeypatch.setattr("scprism.estimator.prism.fit_network", refuse)


@pytest.fixture
def unlike(folder):
    """A query of far more counts than the reference has, of which `label` warns."""
    query = anndata.read_h5ad(folder / "query.h5ad")
    query.X = query.X * 50
    query.write_h5ad(folder / "unlike.h5ad")
    return folder / "unlike.h5ad"


def warnings_in(messages):
    return [line.removeprefix("warning: ") for line in messages.splitlines() if line.startswith("warning: ")]


@pytest.mark.parametrize("ending", [".h5ad", ".zarr", ".csv", ".tsv"])
def test_an_embedding_is_written_in_the_format_of_its_name(scprism, folder, ending):
    out = folder / f"embedding{ending}"
    status, _, messages = scprism("embed", folder / "model", folder / "query.h5ad", "--out", out)
    assert status == 0, messages
    model, cells = load(folder / "model"), anndata.read_h5ad(folder / "query.h5ad")
    expected = model.embed(cells)
    if ending in (".h5ad", ".zarr"):
        found = read_annotated(out)
        assert (found.X != cells.X).sum() == 0
        assert list(found.var_names) == list(cells.var_names)
        assert found.obsm["X_umap"].shape == (cells.n_obs, 2)
        assert found.uns["scprism"]["command"].startswith("scprism embed ")
        np.testing.assert_array_equal(found.obsm["X_prism"], expected)
        assert found.uns["scprism"]["fingerprint"] == model.fingerprint
        return
    table = pd.read_csv(out, sep={".csv": ",", ".tsv": "\t"}[ending], index_col="cell")
    assert list(table.columns) == [f"latent_{i}" for i in range(5)]
    assert list(table.index) == list(cells.obs_names)
    np.testing.assert_allclose(table.to_numpy(), expected, rtol=1e-6)
    assert json.loads((folder / f"embedding{ending}.json").read_text())["fingerprint"] == model.fingerprint


def test_denoised_expression_needs_more_than_a_table(scprism, folder):
    call = ("embed", folder / "model", folder / "query.h5ad", "--denoise", "--out", folder / "e.csv")
    status, _, messages = scprism(*call)
    assert (status, "Choose a name that ends in .h5ad or .zarr" in messages) == (2, True)
    assert "read " not in messages


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_labels_are_the_same_in_every_format(scprism, folder, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    out = folder / f"other{ending}"
    status, _, messages = scprism("label", folder / "model", folder / "query.h5ad", "--out", out)
    assert status == 0, messages
    pd.testing.assert_frame_equal(
        read_labels(out).table, read_labels(folder / "labels.csv").table, check_dtype=ending != ".parquet"
    )
    status, _, messages = scprism(
        "explain", folder / "model", folder / "query.h5ad", "--groupby", out, "--out", folder / "why.zarr"
    )
    assert status == 0, messages
    expected = read_explanation(folder / "explanation.h5ad")
    np.testing.assert_array_equal(read_explanation(folder / "why.zarr").signed, expected.signed)
    assert read_explanation(folder / "why.zarr").groups == expected.groups


def test_enrichment_as_csv_reads_back(scprism, folder):
    status, _, messages = scprism("enrich", folder / "explanation.h5ad", "--out", folder / "e.csv")
    assert status == 0, messages
    assert (folder / "e.csv").read_text().startswith("group,unit,gene_set,")
    found, expected = read_enrichment(folder / "e.csv"), read_enrichment(folder / "enrichment.tsv")
    pd.testing.assert_frame_equal(found.table, expected.table)


def test_parquet_without_its_package_is_refused_before_work(scprism, folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    status, _, messages = scprism("label", folder / "model", folder / "query.h5ad", "--out", folder / "l.parquet")
    assert (status, "pip install 'scprism[parquet]'" in messages, "read " in messages) == (2, True, False)


def test_a_link_stays_and_its_target_gets_the_result(scprism, folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "real.csv").write_text("old")
    (folder / "elsewhere" / "real.csv").chmod(0o640)
    (folder / "link.csv").symlink_to(folder / "elsewhere" / "real.csv")
    status, _, messages = scprism("label", folder / "model", folder / "query.h5ad", "--out", folder / "link.csv")
    assert status == 0, messages
    assert (folder / "link.csv").is_symlink()
    assert (folder / "elsewhere" / "real.csv").read_bytes() == (folder / "labels.csv").read_bytes()
    assert (folder / "elsewhere" / "real.csv").stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in (folder / "elsewhere").iterdir()) == ["real.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused_before_work(scprism, folder):
    (folder / "locked").mkdir(mode=0o500)
    status, _, messages = scprism(
        "label", folder / "model", folder / "query.h5ad", "--out", folder / "locked" / "l.csv"
    )
    assert (status, "cannot be written" in messages, "read " in messages) == (2, True, False)


def test_the_page_shows_what_label_warned_of(scprism, folder, unlike):
    """From saved results alone, and in Python."""
    status, _, messages = scprism("label", folder / "model", unlike, "--out", folder / "l.csv")
    (told,) = warnings_in(messages)
    assert (status, told.startswith("The query is unlike the reference")) == (0, True)
    assert read_labels(folder / "l.csv").warnings == (told,)
    assert scprism("explain", folder / "model", unlike, "--out", folder / "why.h5ad")[0] == 0
    files = ("--explanation", folder / "why.h5ad", "--enrichment", folder / "enrichment.tsv")
    call = ("report", "--model", folder / "model", "--query", unlike, *files, "--labels-file", folder / "l.csv")
    status, _, messages = scprism(*call, "--out", folder / "page.html")
    assert status == 0, messages
    page = (folder / "page.html").read_text()
    assert "The query is unlike the reference" in page
    assert "No warnings came up" not in page


def test_labels_without_their_record_are_no_all_clear(folder):
    (folder / "labels.csv.json").unlink()
    (told,) = read_labels(folder / "labels.csv").warnings
    assert "lies without its record labels.csv.json" in told


def test_warnings_stay_with_every_result(scprism, folder):
    query = anndata.read_h5ad(folder / "query.h5ad")
    query[:, :300].copy().write_h5ad(folder / "few.h5ad")
    out = {"embed": "e.h5ad", "label": "l.csv", "explain": "x.h5ad"}
    for name, file in out.items():
        status, _, messages = scprism(name, folder / "model", folder / "few.h5ad", "--out", folder / file)
        assert status == 0, messages
        told = warnings_in(messages)
        assert any(text.startswith("Low gene coverage") for text in told)
        kept = {
            "embed": lambda path: list(read_annotated(path).uns["prism_warnings"]),
            "label": lambda path: list(read_labels(path).warnings),
            "explain": lambda path: list(read_explanation(path).warnings),
        }[name](folder / file)
        assert kept[0] == told[0]
        assert len(kept) == len(told)
    with pytest.warns(match="Low gene coverage"), pytest.warns(match="seems to have been filtered"):
        explanation = load(folder / "model").explain(query[:, :300])
    assert explanation.warnings[0] in repr(explanation)
    assert explanation.warnings == read_explanation(folder / "x.h5ad").warnings


def test_a_training_keeps_its_warnings(folder):
    cells = anndata.read_h5ad(folder / "ref.h5ad")[:, :20].copy()
    with pytest.warns(match="genes go into the model"):
        model = Prism(units="raw", genes="all", hidden_size=4, bottleneck_size=2, max_epochs=1, rng=0).fit(cells)
    model.save(folder / "small")
    (told,) = load(folder / "small").warnings
    assert "genes go into the model" in told


LATE = {
    "a query of too few genes": (["--min-coverage", "1.0"], "at least 100% are required"),
    "unknown labels": (["--labels", "celltype"], "Closest: 'cell_type'"),
    "gene sets of other genes": (["--gene-sets", "{}/other.gmt"], "None of the 2 symbols of the gene sets"),
    "no gene list": (["--genes", "{}/nothing.txt"], "There is no file or folder"),
    "a device that is not there": (["--device", "mps"], "has no 'mps'"),
    "another organism": (["--organism", "human"], "The organism was told to be human"),
}


@pytest.mark.parametrize("case", LATE)
def test_run_refuses_before_it_trains(scprism, folder, untrained, case):
    options, message = LATE[case]
    query = anndata.read_h5ad(folder / "query.h5ad")
    query[:, :300].copy().write_h5ad(folder / "few.h5ad")
    (folder / "other.gmt").write_text("a set\t\tfoo\tbar\n")
    call = ["run", folder / "ref.h5ad", folder / "few.h5ad", "--config", folder / "settings.toml"]
    call += ["--out", folder / "out", *([] if "--labels" in options else ["--labels", "cell_type"])]
    status, _, messages = scprism(*call, *(option.format(folder) for option in options))
    assert (status, message in messages) == (2, True), messages
    assert not (folder / "out").exists()


def test_a_file_without_cells_is_refused(scprism, folder, untrained):
    anndata.read_h5ad(folder / "query.h5ad")[:0].copy().write_h5ad(folder / "none.h5ad")
    call = ("run", folder / "ref.h5ad", folder / "none.h5ad", "--labels", "cell_type", "--out", folder / "out")
    status, _, messages = scprism(*call)
    assert (status, "holds no cell" in messages) == (2, True)


def test_folders_of_results_are_replaced_only_when_told_and_only_if_theirs(scprism, folder, untrained):
    fit = ("fit", folder / "ref.h5ad", "--out", folder / "model")
    before = {path.name: path.read_bytes() for path in (folder / "model").iterdir()}
    for more in ((), ("--resume",)):
        status, _, messages = scprism(*fit, *more)
        assert (status, "is a model folder already. Choose another name, or replace it with --force" in messages) == (
            2,
            True,
        )
    (folder / "model" / "mine.txt").write_text("x")
    status, _, messages = scprism(*fit, "--force")
    assert (status, "'mine.txt'" in messages, "left alone" in messages) == (2, True, True)
    (folder / "res" / "model").mkdir(parents=True)
    (folder / "res" / "labels.csv").write_text("x")
    run = ("run", folder / "ref.h5ad", folder / "query.h5ad", "--labels", "cell_type", "--out", folder / "res")
    status, _, messages = scprism(*run)
    assert (status, "is a folder of results already" in messages) == (2, True)
    (folder / "res" / "model" / "mine.txt").write_text("x")
    status, _, messages = scprism(*run, "--force")
    assert (status, "'model/mine.txt'" in messages) == (2, True)
    assert {path.name: path.read_bytes() for path in (folder / "model").iterdir() if path.name != "mine.txt"} == before


def test_saving_over_a_model_folder_with_other_files_is_refused(folder):
    model = load(folder / "model")
    (folder / "model" / "mine.txt").write_text("x")
    with pytest.raises(Exception, match="also holds 'mine.txt', so it is not replaced"):
        model.save(folder / "model")
    assert (folder / "model" / "mine.txt").read_text() == "x"


def test_fit_replaces_a_model_when_told(scprism, folder):
    call = ("fit", folder / "ref.h5ad", "--out", folder / "model", "--config", folder / "settings.toml", "--rng", 5)
    status, _, messages = scprism(*call, "--force")
    assert status == 0, messages
    assert load(folder / "model").summary["seed"] == 5


def test_run_goes_on_where_it_was_interrupted(scprism, folder, monkeypatch):
    (folder / "longer.toml").write_text("hidden_size = 16\nbottleneck_size = 5\nmax_epochs = 4\n")
    data = (folder / "ref.h5ad", folder / "query.h5ad", "--labels", "cell_type", "--config", folder / "longer.toml")
    train, seen = loop.train_model, []

    def interrupted(*arguments, **options):
        def on_epoch(record):
            seen.append(record.epoch)
            if record.epoch == 2:
                raise KeyboardInterrupt

        checkpoint = options["checkpoint"]
        options["checkpoint"] = type(checkpoint)(**{**vars(checkpoint), "every_seconds": 0.0})
        return train(*arguments, **{**options, "on_epoch": on_epoch})

    monkeypatch.setattr("scprism.train.fit.train_model", interrupted)
    with contextlib.suppress(KeyboardInterrupt):
        assert scprism("run", *data, "--out", folder / "out")[0] != 0
    assert (folder / "out.checkpoint").exists()
    assert not (folder / "out").exists()
    status, _, messages = scprism("run", *data, "--out", folder / "out")
    assert (status, "Go on with it (--resume)" in messages) == (2, True)
    epochs = []

    def watched(*arguments, **options):
        told = options["on_epoch"]
        return train(*arguments, **{**options, "on_epoch": lambda r: (epochs.append(r.epoch), told(r))})

    monkeypatch.setattr("scprism.train.fit.train_model", watched)
    status, _, messages = scprism("run", *data, "--out", folder / "out", "--resume")
    assert status == 0, messages
    assert epochs[0] > 1
    assert epochs[-1] == 4
    assert not (folder / "out.checkpoint").exists()
    assert (folder / "out" / "report.html").exists()


def test_quiet_says_warnings_only_and_verbose_says_more(scprism, folder, unlike):
    call = ("label", folder / "model", unlike, "--out", folder / "l.csv")
    _, _, usual = scprism(*call)
    _, _, quiet = scprism(*call, "--quiet")
    _, _, verbose = scprism(*call, "--verbose")
    assert [line for line in usual.splitlines() if line.startswith("warning: ")] == quiet.splitlines()
    assert len(quiet.splitlines()) == 1
    assert set(usual.splitlines()) < set(verbose.splitlines())
    assert "genes found by name" in verbose
    assert "genes found by name" not in usual


def test_layer_is_that_of_the_query_and_reference_layer_that_of_the_reference(scprism, folder):
    for name in ("ref", "query"):
        cells = anndata.read_h5ad(folder / f"{name}.h5ad")
        cells.layers[f"{name}_counts"] = cells.X.copy()
        cells.X = cells.X * 0.5
        cells.write_h5ad(folder / f"{name}_layers.h5ad")
    data = (folder / "query_layers.h5ad", "--reference", folder / "ref_layers.h5ad", "--labels", "cell_type")
    layers = ("--layer", "query_counts", "--reference-layer", "ref_counts")
    status, _, messages = scprism("label", folder / "model", *data, *layers, "--out", folder / "l.csv")
    assert status == 0, messages
    assert (folder / "l.csv").read_bytes() == (folder / "labels.csv").read_bytes()
    status, _, messages = scprism("label", folder / "model", *data, "--layer", "ref_counts", "--out", folder / "l.csv")
    assert (status, "`layer`" in messages, "--layer" in messages) == (2, False, True)
    files = ("--explanation", folder / "explanation.h5ad", "--enrichment", folder / "enrichment.tsv")
    call = ("report", "--model", folder / "model", "--query", *data[:3], *files, *layers, "--out", folder / "p.html")
    status, _, messages = scprism(*call)
    assert status == 0, messages


@pytest.mark.filterwarnings("ignore:Forward slashes:FutureWarning")  # of anndata, when the query is made
def test_what_a_user_has_in_obs_never_stops_a_result(scprism, folder):
    query = anndata.read_h5ad(folder / "query.h5ad")
    query.obs["batch/lane"] = "a"
    query.obs.index = query.obs.index.astype("string")
    query.obs["note"] = query.obs["cell_type"].astype("string")
    with anndata.settings.override(allow_write_nullable_strings=True, disallow_forward_slash_in_h5ad=False):
        query.write_h5ad(folder / "strings.h5ad")
    for command, name in (("embed", "e.h5ad"), ("embed", "e.zarr")):
        status, _, messages = scprism(command, folder / "model", folder / "strings.h5ad", "--out", folder / name)
        assert (status, "batch/lane to batch_lane" in messages) == (0, True), messages
        found = read_annotated(folder / name)
        assert found.obs["batch_lane"].tolist() == ["a"] * 60
        assert found.obs["note"].tolist() == query.obs["note"].tolist()
        assert list(found.obs_names) == list(query.obs_names)


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_labels_come_in_one_file_with_the_cells(scprism, folder, ending):
    out = folder / f"labelled{ending}"
    status, _, messages = scprism("label", folder / "model", folder / "query.h5ad", "--no-umap", "--out", out)
    assert status == 0, messages
    cells, expected = read_annotated(out), read_labels(folder / "labels.csv").table
    assert cells.obs["prism_label"].tolist() == expected["label"].tolist()
    assert cells.obs["prism_novel"].tolist() == expected["novel"].tolist()
    np.testing.assert_allclose(cells.obs["prism_confidence"], expected["confidence"], rtol=1e-6)
    assert "X_umap" not in cells.obsm
    assert cells.shape == anndata.read_h5ad(folder / "query.h5ad").shape
    assert not (folder / f"labelled{ending}.json").exists()


@pytest.mark.parametrize("name", ["embed", "label"])
def test_coordinates_need_a_file_of_cells(scprism, folder, name):
    status, _, messages = scprism(name, folder / "model", folder / "query.h5ad", "--no-umap", "--out", folder / "t.csv")
    assert (status, "--umap and --no-umap are about files of cells" in messages) == (2, True)
    assert not (folder / "t.csv").exists()


def test_many_cells_are_drawn_when_asked_alone(capsys):
    from scprism.cli.annotated import wants_umap

    assert [wants_umap(n, umap=told) for n, told in ((100_000, None), (100_001, True), (5, False))] == [
        True,
        True,
        False,
    ]
    assert not wants_umap(100_001, umap=None)
    assert "--umap adds it" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_denoise_writes_what_embed_does_with_denoise(scprism, folder, ending):
    call = (folder / "model", folder / "query.h5ad", "--no-adjust", "--out")
    for name, out in (("denoise", f"d{ending}"), ("embed", f"e{ending}")):
        more = ("--denoise",) if name == "embed" else ()
        status, _, messages = scprism(name, *call, folder / out, *more)
        assert status == 0, messages
    one, other = (read_denoised(folder / f"{name}{ending}") for name in "de")
    np.testing.assert_array_equal(one.X, other.X)
    cells = anndata.read_h5ad(folder / "query.h5ad")
    np.testing.assert_allclose(one.X, load(folder / "model").denoise(cells, adjust=False), rtol=1e-5)


def test_a_command_takes_a_model_in_a_zip_file_or_by_its_name(scprism, folder, monkeypatch):
    archive = shutil.make_archive(str(folder / "packed"), "zip", folder, "model")
    (folder / "models").mkdir()
    shutil.copy(archive, folder / "models" / "tiny.zip")
    monkeypatch.setattr("scprism._bundled._data", lambda: folder)
    for model in (archive, "tiny"):
        status, _, messages = scprism("label", model, folder / "query.h5ad", "--out", folder / "again.csv")
        assert status == 0, messages
        assert (folder / "again.csv").read_bytes() == (folder / "labels.csv").read_bytes()
        assert "labels:        cell_type (100 cells)" in scprism("info", model)[1]
    status, _, messages = scprism("info", "https://127.0.0.1:1/model.zip")
    assert (status, "SHA-256" in messages, "There is no file" in messages) == (2, True, False), messages
    status, _, messages = scprism("label", archive, folder / "query.h5ad", "--out", archive)
    assert (status, "is one of the inputs" in messages) == (2, True)


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_labels_in_annotated_cells_are_groups_and_labels_like_those_in_a_table(scprism, folder, ending):
    labelled = folder / f"labelled{ending}"
    status, _, messages = scprism("label", folder / "model", folder / "query.h5ad", "--no-umap", "--out", labelled)
    assert status == 0, messages
    found, expected = labels_of(read_annotated(labelled)), read_labels(folder / "labels.csv")
    pd.testing.assert_frame_equal(
        found.table, expected.table, check_dtype=False, check_column_type=False, check_index_type=False
    )
    assert (dict(found.settings), found.warnings) == (dict(expected.settings), expected.warnings)
    call = ("explain", folder / "model", folder / "query.h5ad", "--groupby", labelled, "--out", folder / "why.h5ad")
    assert scprism(*call)[0] == 0
    np.testing.assert_array_equal(
        read_explanation(folder / "why.h5ad").signed, read_explanation(folder / "explanation.h5ad").signed
    )
    call = ("explain", folder / "model", folder / "query.h5ad", "--groupby", folder / "query.h5ad")
    status, _, messages = scprism(*call, "--out", folder / "why.h5ad")
    assert (status, "that scprism has not annotated" in messages) == (2, True), messages
    status, _, messages = scprism("embed", folder / "model", folder / "query.h5ad", "--no-umap", "--out", labelled)
    assert status == 0, messages
    status, _, messages = scprism(*call[:-1], labelled, "--out", folder / "why.h5ad")
    assert (status, "These cells carry no labels of scprism" in messages) == (2, True), messages
