"""Units on the command line: the whole path judges and compares them, and single steps give the same."""

import anndata
import numpy as np
import pandas as pd
import pytest

from scprism import assess_units, compare, load, read_comparison, read_labels, read_trust
from scprism.prepare.selection import hallmark_genes
from scprism.read.synthetic import Simulation, simulate_cells

SETTINGS = "hidden_size = 16\nbottleneck_size = 5\nmax_epochs = 2\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    genes = hallmark_genes("mouse")[:400]
    cells = simulate_cells(Simulation(n_cells=500, genes=genes, n_programs=4, program_size=30), rng=0)
    cells.obs["day"] = np.where(cells.obs["cell_type"] == cells.obs["cell_type"].iloc[0], "first", "second")
    cells.obs["donor"] = np.resize(list("abcd"), cells.n_obs)
    cells.obs["kind"] = "all"
    cells[:400].copy().write_h5ad(folder / "ref.h5ad")
    cells[400:].copy().write_h5ad(folder / "query.h5ad")
    (folder / "settings.toml").write_text(SETTINGS)
    return folder


def test_the_whole_path_judges_and_compares_units_and_shows_both(command_line, files):
    ref, query, whole = files / "ref.h5ad", files / "query.h5ad", files / "whole"
    options = ("--config", files / "settings.toml", "--runs", 6, "--rng", 3)
    conditions = ("--groupby", "day", "--against", "first", "--replicate", "donor", "--within", "cell_type")
    beside = ("--truth", "cell_type", "--sample", "donor")
    call = ("run", ref, query, "--labels", "cell_type", "--out", whole, *options, *conditions, *beside, "--quiet")
    status, _, said = command_line(*call)
    assert status == 0, said
    model, cells = load(whole / "model"), anndata.read_h5ad(query)
    view = model.view(cells)
    trust = read_trust(whole / "trust.tsv")
    pd.testing.assert_frame_equal(trust.table, assess_units(model, view, rng=3).table)
    expected = compare(model, view, groupby="day", reference="first", replicate="donor", within="cell_type")
    comparison = read_comparison(whole / "comparison.tsv")
    pd.testing.assert_frame_equal(comparison.table, expected.table)
    assert comparison.settings["fingerprint"] == model.fingerprint
    units = pd.read_csv(whole / "units.tsv", sep="\t", keep_default_na=False).set_index("unit")
    may = (trust.table["verdict"] == "may be named").to_numpy()
    assert may.any()
    assert units["trusted"].tolist() == may.tolist()
    assert [bool(name) for name in units["proposed_name"]] == may.tolist()
    assert units["genes"].str.startswith(tuple(model.units["top_genes"].str.split(";").str[0])).all()
    page = (whole / "report.html").read_text()
    for name in units.index:
        assert f'<article class="card" id="unit-{name}">' in page
    assert '<section id="conditions">' in page
    known = read_labels(whole / "labels.csv")["label"].to_numpy() == cells.obs["cell_type"].to_numpy()
    assert f"<b>{known.mean():.1%}</b> of {cells.n_obs} cells agree" in page
    assert 'data-name="composition-day"' in page
    assert 'data-name="composition-donor"' in page
    assert f"<dt>Query</dt><dd><code>{query}</code>" in page
    assert f"<dt>Reference</dt><dd><code>{ref}</code>" in page
    assert "<dt>Command</dt>" in page

    results = ("--explanation", whole / "explanation.h5ad", "--enrichment", whole / "enrichment.tsv")
    more = ("--labels-file", whole / "labels.csv", "--reference", ref, "--labels", "cell_type")
    judged = ("--trust", whole / "trust.tsv", "--comparison", whole / "comparison.tsv")
    given = ("--model", whole / "model", "--query", query, *results, *more, *judged, *beside)
    status, _, said = command_line("report", *given, "--out", files / "again.html")
    assert status == 0, said
    assert without_call((files / "again.html").read_text()) == without_call(page)


def without_call(page):
    """Return a page without the command that wrote it and when."""
    return [line for line in page.splitlines() if not line.startswith(("<div><dt>Command<", "<div><dt>Written<"))]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(("--groupby", "day"), "--groupby needs --against", id="no group"),
        pytest.param(("--against", "first"), "without --groupby nothing is compared", id="no column"),
        pytest.param(("--groupby", "week", "--against", "first"), "--groupby must be a column", id="column"),
        pytest.param(("--groupby", "day", "--against", "third"), "--against must be one of the groups", id="group"),
        pytest.param(
            ("--groupby", "day", "--against", "first", "--replicate", "dog"), "--replicate must be a", id="replicate"
        ),
        pytest.param(("--truth", "type"), "--truth must be a column of the query's", id="truth"),
        pytest.param(("--truth", "day"), "None of the known labels (first, second", id="other names"),
        pytest.param(("--sample", "type"), "--sample must be a column of the query's", id="sample"),
        pytest.param(
            ("--groupby", "day", "--against", "first", "--within", "kind"), "--within has a label 'all'", id="label"
        ),
    ],
)
def test_conditions_that_cannot_be_compared_are_refused_before_the_training(command_line, files, options, told):
    call = ("run", files / "ref.h5ad", files / "query.h5ad", "--labels", "cell_type", "--out", files / "no", *options)
    status, _, said = command_line(*call)
    assert status == 2
    assert told in said
    assert not (files / "no").exists()
    assert "training" not in said
