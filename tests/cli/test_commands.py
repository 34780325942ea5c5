import re

import anndata
import numpy as np
import pandas as pd
import pytest

from cli.test_paths import COMMANDS
from scprism.annotation import read_annotated
from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import gene_sets
from scprism.enrichment.network_null import enrich_against
from scprism.enrichment.result import read_enrichment
from scprism.enrichment.settings import GseaSettings
from scprism.estimator.load import load
from scprism.explain.explanation import read_explanation, write_explanation
from scprism.prepare.selection import hallmark_genes
from scprism.read.synthetic import Simulation, simulate_cells
from scprism.trust.null_networks import Nulls, null_explanations

SETTINGS = "hidden_size = 16\nbottleneck_size = 5\nmax_epochs = 3\nsearch_epochs = 1\nfinal_epochs = 1\n"


def test_single_steps_give_what_the_whole_path_gives(scprism, folder):
    ref, query, one = folder / "ref.h5ad", folder / "query.h5ad", folder / "steps"
    options = ("--config", folder / "settings.toml", "--rng", 3)
    status, _, messages = scprism("run", ref, query, "--labels", "cell_type", "--out", folder / "whole", *options)
    assert status == 0, messages
    steps = [
        ("fit", ref, "--out", one / "model", *options),
        ("label", one / "model", query, "--reference", ref, "--labels", "cell_type", "--out", one / "annotated.h5ad"),
        ("label", one / "model", query, "--reference", ref, "--labels", "cell_type", "--out", one / "labels.csv"),
        ("explain", one / "model", query, "--groupby", one / "labels.csv", "--out", one / "explanation.h5ad"),
        ("enrich", one / "explanation.h5ad", "--rng", 3, "--out", one / "enrichment.tsv"),
    ]
    files = ("--explanation", one / "explanation.h5ad", "--enrichment", one / "enrichment.tsv")
    more = ("--labels-file", one / "labels.csv", "--reference", ref, "--labels", "cell_type")
    # the page says how long training took, so it is drawn of the same training
    steps.append(
        ("report", "--model", folder / "whole" / "model", "--query", query, *files, *more, "--out", one / "report.html")
    )
    for step in steps:
        status, _, messages = scprism(*step)
        assert status == 0, messages
    whole = folder / "whole"
    for name in ("labels.csv", "enrichment.tsv", "model/weights.safetensors"):
        assert (one / name).read_bytes() == (whole / name).read_bytes(), name
    pages = [(place / "report.html").read_text() for place in (one, whole)]
    of_the_command = re.compile(r"<dt>(Command|Written)</dt><dd>.*?</dd>")
    assert of_the_command.sub("", pages[0]) == of_the_command.sub("", pages[1])
    assert "scprism run" in of_the_command.search(pages[1]).group()
    for name in ("annotated.h5ad", "explanation.h5ad"):
        first, second = anndata.read_h5ad(one / name), anndata.read_h5ad(whole / name)
        assert (first.X != second.X).sum() == 0
        pd.testing.assert_frame_equal(first.obs, second.obs)
        for key in first.obsm:
            np.testing.assert_array_equal(first.obsm[key], second.obsm[key])
    assert {"X_prism", "X_umap"} <= set(read_annotated(whole / "annotated.h5ad").obsm)
    assert sorted(p.name for p in whole.iterdir()) == [
        "annotated.h5ad",
        "embedding.h5ad",
        "enrichment.tsv",
        "enrichment.tsv.json",
        "explanation.h5ad",
        "labels.csv",
        "labels.csv.json",
        "model",
        "reference.h5ad",
        "report.html",
        "units.tsv",
    ]


def test_info_says_what_the_model_is_in_a_few_lines(scprism, folder):
    status, output, _ = scprism("info", folder / "model")
    assert status == 0
    assert "trained on:    100 cells" in output
    assert "labels:        cell_type (100 cells)" in output
    assert "bottleneck_size = 5" in output
    assert "units:         raw" in output
    assert len(output.splitlines()) < 15
    assert "learning_rate = " in scprism("info", folder / "model", "--settings")[1]


def test_embed_adjusts_denoised_expression_as_asked_and_the_file_says_so(scprism, folder):
    prism, cells = load(folder / "model"), anndata.read_h5ad(folder / "query.h5ad")
    for given, adjusted in (((), True), (("--no-adjust",), False)):
        call = ("embed", folder / "model", folder / "query.h5ad", "--denoise", *given)
        assert scprism(*call, "--out", folder / "asked.h5ad")[0] == 0
        result = anndata.read_h5ad(folder / "asked.h5ad")
        np.testing.assert_allclose(result.X, prism.denoise(cells, adjust=adjusted), rtol=1e-5)
        assert result.uns["scprism"]["adjusted"] == adjusted
    assert result.obsm["X_prism"].shape == (60, 5)
    assert list(result.var_names) == list(prism.recipe.genes)
    assert result.obs["cell_type"].tolist() == cells.obs["cell_type"].tolist()
    status, _, messages = scprism(*call[:3], "--adjust", "--out", folder / "asked.h5ad")
    assert (status, "denoised expression, which was not asked for. Add --denoise." in messages) == (2, True)


def test_tune_trains_with_the_best_trial_and_resumes(scprism, folder):
    call = ("tune", folder / "ref.h5ad", "--out", folder / "tuned", "--config", folder / "settings.toml")
    status, _, messages = scprism(*call, "--trials", 2)
    assert (status, "best of 2 trials" in messages) == (0, True)
    status, _, messages = scprism(*call, "--trials", 2)
    assert (status, "--out" in messages, "replace it with --force" in messages) == (2, True, True)
    status, _, messages = scprism(*call, "--trials", 2, "--force")
    assert (status, "already holds the study 'effective'" in messages) == (2, True)
    status, _, messages = scprism(*call, "--trials", 3, "--resume")
    assert (status, "best of 3 trials" in messages) == (0, True)
    trials = pd.read_csv(folder / "tuned.trials.tsv", sep="\t")
    assert trials["trial"].tolist() == [0, 1, 2]
    assert trials.columns[:6].tolist() == ["trial", "state", "validation_loss", "epochs", "seconds", "learning_rate"]
    assert "too few trials to tell how much the settings matter: 3" in messages
    paper = ("--space", "simple", "--stopping", "none", "--trials", 12, "--resume", "--jobs", 1)
    status, _, messages = scprism(*call, *paper)
    assert (status, "settings that mattered: " in messages) == (0, True)
    importance = pd.read_csv(folder / "tuned.importance.tsv", sep="\t").set_index("setting")
    # over the paper's range the penalty does nothing, and the table says so
    assert importance.loc["penalty_weight", "flat"]


def test_integrate_writes_corrected_expression_that_a_model_trains_on(scprism, folder):
    cells = simulate_cells(Simulation(n_cells=80, genes=hallmark_genes("mouse")[:400], n_batches=2), rng=1)
    cells.write_h5ad(folder / "batches.h5ad")
    status, _, messages = scprism(
        "integrate", folder / "batches.h5ad", "--batch", "batch", "--out", folder / "corrected.h5ad"
    )
    assert status == 0, messages
    (folder / "corrected.toml").write_text(
        SETTINGS + 'normalise = "none"\nlikelihood = "poisson"\nnegative_values = "clip"\nmin_max_count = 0.5\n'
    )
    status, _, messages = scprism(
        "fit", folder / "corrected.h5ad", "--config", folder / "corrected.toml", "--out", folder / "on_corrected"
    )
    assert status == 0, messages


def test_integrate_says_what_is_missing_and_writes_nothing(scprism, folder, monkeypatch):
    cells = simulate_cells(Simulation(n_cells=40, genes=hallmark_genes("mouse")[:400], n_batches=2), rng=1)
    cells.write_h5ad(folder / "few.h5ad")
    call = ("integrate", folder / "few.h5ad", "--batch", "batch", "--out", folder / "not_there.h5ad")
    status, _, messages = scprism(*call, "--timeout", 5)
    assert (status, "--timeout is for --method seurat only" in messages) == (2, True)
    monkeypatch.setenv("PATH", "")
    status, _, messages = scprism(*call, "--method", "seurat")
    assert (status, "there is no Rscript on the PATH" in messages, "Traceback" in messages) == (2, True, False)
    assert not (folder / "not_there.h5ad").exists()


def test_datasets_lists_what_is_bundled(scprism):
    status, output, _ = scprism("datasets", "list")
    assert status == 0
    assert "tm_droplet_immune" in output
    assert "mouse_lung_immune" in output


@pytest.mark.parametrize(
    "command",
    COMMANDS,
    ids=" ".join,
)
def test_every_command_has_help_with_an_example_that_is_a_whole_call(scprism, command):
    status, output, _ = scprism(*command, "--help")
    text = " ".join(output.split())
    example = text.partition("Example: scprism ")[2].split()
    assert (status, tuple(example[: len(command)])) == (0, command)
    entry, given = COMMANDS[command], example[len(command) :]
    options = {p.opts[-1] for p in entry.params if p.param_type_name == "option"}
    required = {p.opts[-1] for p in entry.params if p.param_type_name == "option" and p.required}
    named = {word for word in given if word.startswith("--")}
    assert required <= named <= options
    n_arguments = sum(p.param_type_name == "argument" for p in entry.params)
    n_free = sum(not w.startswith("--") and (n == 0 or not given[n - 1].startswith("--")) for n, w in enumerate(given))
    assert n_free >= n_arguments
    assert "--quiet" in options
    assert "--verbose" in options


BAD_CALLS = {
    "no such file": (("fit", "{}/nothing.h5ad", "--out", "{}/bad"), "nothing.h5ad"),
    "unknown preset": (
        ("fit", "{}/ref.h5ad", "--preset", "papper", "--out", "{}/bad"),
        "Invalid value for '--preset'",
    ),
    "unknown label column": (
        ("run", "{}/ref.h5ad", "{}/query.h5ad", "--labels", "celltype", "--out", "{}/bad"),
        "--labels must be a column of the reference's `.obs`, got 'celltype'. Closest: 'cell_type'",
    ),
    "not a model": (("embed", "{}/settings.toml", "{}/query.h5ad", "--out", "{}/bad.h5ad"), "is not a model folder"),
    "unknown setting": (
        ("fit", "{}/ref.h5ad", "--config", "{}/wrong.toml", "--out", "{}/bad"),
        "'hiden_size' is not a setting",
    ),
    "broken settings": (("fit", "{}/ref.h5ad", "--config", "{}/ref.h5ad", "--out", "{}/bad"), "cannot be read"),
    "unknown organism": (
        ("fit", "{}/ref.h5ad", "--organism", "rat", "--out", "{}/bad"),
        "Invalid value for '--organism'",
    ),
    "normalised": (("fit", "{}/normalised.h5ad", "--out", "{}/bad"), "Raw counts are whole numbers"),
    "genes that match nothing": (
        ("fit", "{}/ref.h5ad", "--genes", "{}/other_genes.txt", "--out", "{}/bad"),
        "None of the 2 genes",
    ),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input_gets_one_message_status_2_and_leaves_nothing(scprism, folder, case):
    cells = anndata.read_h5ad(folder / "ref.h5ad")
    cells.X = cells.X.astype(np.float32).log1p()
    cells.write_h5ad(folder / "normalised.h5ad")
    (folder / "wrong.toml").write_text("hiden_size = 3\n")
    (folder / "other_genes.txt").write_text("foo\nbar\n")
    arguments, message = BAD_CALLS[case]
    before = sorted(folder.rglob("*"))
    status, _, messages = scprism(*(a.format(folder) for a in arguments))
    assert status == 2
    assert message in messages
    assert "Traceback" not in messages
    assert sorted(folder.rglob("*")) == before


def test_low_coverage_is_refused_and_goes_on_when_told(scprism, folder):
    query = anndata.read_h5ad(folder / "query.h5ad")
    query[:, :90].copy().write_h5ad(folder / "few.h5ad")
    call = ("embed", folder / "model", folder / "few.h5ad", "--out", folder / "few_embedding.h5ad")
    status, _, messages = scprism(*call)
    assert (status, "at least 50% are required" in messages, "lower --min-coverage" in messages) == (2, True, True)
    assert "min_coverage" not in messages
    status, _, messages = scprism(*call, "--min-coverage", 0.1)
    assert (status, messages.count("warning: Low gene coverage")) == (0, 1)


def test_an_index_labels_as_the_reference_file_does(scprism, folder):
    ref, query, bare = folder / "ref.h5ad", folder / "query.h5ad", folder / "bare"
    out = {name: folder / f"{name}.csv" for name in ("file", "index")}
    for name in ("weights.safetensors", "model.json", "log.csv"):
        bare.mkdir(exist_ok=True)
        (bare / name).write_bytes((folder / "model" / name).read_bytes())
    status, _, messages = scprism("label", bare, query, "--out", out["index"])
    assert (status, "this model has no reference index" in messages) == (2, True)
    assert "reference=" not in messages
    assert "model.index(" not in messages
    for step in (
        ("label", bare, query, "--reference", ref, "--labels", "cell_type", "--out", out["file"]),
        ("index", bare, ref, "--labels", "cell_type"),
        ("label", bare, query, "--out", out["index"]),
    ):
        status, _, messages = scprism(*step)
        assert status == 0, messages
    assert out["file"].read_bytes() == out["index"].read_bytes() == (folder / "labels.csv").read_bytes()
    table = pd.read_csv(out["file"])
    assert list(table.columns) == [
        "cell",
        "label",
        "confidence",
        "runner_up",
        "margin",
        "distance",
        "novelty_p",
        "novel",
    ]
    assert table["cell"].tolist() == list(anndata.read_h5ad(folder / "query.h5ad").obs_names)


def test_an_index_that_drops_columns_says_so(scprism, folder):
    cells = anndata.read_h5ad(folder / "ref.h5ad")
    cells.obs["tissue"] = ["lung", "spleen"] * 50
    cells.write_h5ad(folder / "two.h5ad")
    status, _, messages = scprism("index", folder / "model", folder / "two.h5ad", "--labels", "tissue")
    assert (status, "no longer in the index: cell_type" in messages) == (0, True)
    both = ("--labels", "tissue", "--labels", "cell_type")
    status, _, messages = scprism("index", folder / "model", folder / "two.h5ad", *both)
    assert (status, "no longer" in messages) == (0, False)


def test_version_is_said(scprism):
    assert scprism("--version")[1].startswith("scprism 0.")


@pytest.fixture
def explained(folder):
    """A model, the cells that it explains, and their explanation by group."""
    cells = anndata.read_h5ad(folder / "ref.h5ad")
    model = load(folder / "model")
    write_explanation(model.explain(cells, groupby="cell_type"), folder / "by_type.h5ad")
    return model, cells, folder / "by_type.h5ad"


@pytest.mark.filterwarnings("ignore:Only .* symbols of the gene sets")
def test_enrichment_against_networks_is_that_of_python(scprism, folder, explained):
    model, cells, path = explained
    out = folder / "against.tsv"
    options = ("--model", folder / "model", "--query", folder / "ref.h5ad", "--groupby", "cell_type")
    status, _, messages = scprism(
        "enrich", path, "--null", "networks", "--null-networks", 2, "--rng", 7, *options, "--out", out
    )
    assert status == 0, messages
    nulls = null_explanations(model, cells, nulls=Nulls(n=2), groupby="cell_type", rng=7)
    expected = enrich_against(read_explanation(path), gene_sets("hallmark", organism="mouse"), nulls, rng=7)
    found = read_enrichment(out)
    pd.testing.assert_series_equal(found.table["p_value"], expected.table["p_value"])
    assert "null networks" in found.settings["null"]


@pytest.mark.filterwarnings("ignore:Only .* symbols of the gene sets")
def test_enrichment_against_genes_of_like_expression_is_that_of_python(scprism, folder, explained):
    model, _, path = explained
    out = folder / "matched.tsv"
    status, _, messages = scprism(
        "enrich", path, "--null", "matched", "--model", folder / "model", "--scores", "absolute", "--out", out
    )
    assert status == 0, messages
    settings = GseaSettings(null="matched", expression=pd.Series(model.recipe.mean, index=list(model.recipe.genes)))
    sets = gene_sets("hallmark", organism="mouse")
    expected = enrich(read_explanation(path), sets, scores="absolute", settings=settings, rng=0)
    pd.testing.assert_series_equal(read_enrichment(out).table["p_value"], expected.table["p_value"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--null", "networks"), "--null networks needs --model and --query"),
        (("--null", "matched"), "--null matched needs --model"),
        (("--model", "model"), "--null genes takes no --model"),
        (("--null", "matched", "--model", "model", "--layer", "raw"), "--null matched takes no --layer"),
        (("--null", "cells"), "Invalid value for '--null'"),
    ],
)
def test_a_null_without_what_it_is_made_of_is_refused(scprism, folder, explained, options, words):
    options = [folder / "model" if option == "model" else option for option in options]
    status, _, messages = scprism("enrich", explained[2], "--out", folder / "no.tsv", *options)
    assert status == 2
    assert words in messages
    assert not (folder / "no.tsv").exists()


def test_compare_calls_its_options_by_their_names(scprism, folder):
    given = ("compare", folder / "model", folder / "query.h5ad", "--groupby", "cell_type", "--against", "nobody")
    status, _, messages = scprism(*given, "--out", folder / "units.tsv")
    assert status == 2
    assert "--against must be one of the groups, got 'nobody'" in messages


def test_info_names_the_units():
    from scprism.model.describe import _units

    assert _units(("complement", "", "Cd3g, Cd3d")) == "3, 2 of them named: complement; Cd3g, Cd3d"
