"""The page: what it states, and that it loads nothing."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from scprism import Prism, load_dataset
from scprism.model.config import Config
from scprism.report.page import write_report

NASTY = "T <CD4> & 'naïve'"


def test_summary_says_what_was_trained_on_what(page):
    text = page.text["summary"]
    assert (
        "An autoencoder with 3 bottleneck units (preset “default”) was trained on 4,000 cells of the reference" in text
    )
    assert "3,600 cells for training, 200 for early stopping and 200 held out" in text
    assert (
        "The best of 3 epochs was number 2, with a loss per cell of 2.5 on the cells of early stopping and 2.625"
        in text
    )
    assert f"B cell: 6 (60.0%); {NASTY}: 3 (30.0%); NK cell: 1 (10.0%)." in text
    assert "2 cells (20.0%) have a confidence below 0.5 and 3 cells (30.0%) are called novel." in text
    assert "2 of 3 units have at least one significant gene set (q < 0.05), 2 of them exactly one" in text


def test_an_adapted_model_is_said_to_be_one(page, results, written):
    assert "adapted" not in page.text["summary"]
    results.model.summary["adapted_from"] = {"n_query": 800, "part": "input"}
    text = written(results).text["summary"]
    assert "It was then adapted to 800 cells without their labels (part: input)" in text


def test_label_table_has_reference_and_query_cells(page):
    assert page.rows["labels"][1:] == [
        ["B cell", "2", "6", "60.0%", "0.80", "1", "1"],
        [NASTY, "1", "3", "30.0%", "0.80", "0", "1"],
        ["NK cell", "0", "1", "10.0%", "0.30", "1", "1"],
    ]


def test_coverage_table_has_genes_and_expression(page):
    assert page.rows["coverage"][1:] == [
        ["Found by name", "3", "50.0%", "82.5%"],
        ["Found through an ortholog", "2", "33.3%", "7.5%"],
        ["Missing", "1", "16.7%", "10.0%"],
    ]
    assert "Actb 10%" in page.text["coverage"]


def test_coverage_table_has_ids_and_aliases_where_there_are_some(results, written):
    results.model.coverage["found"] = ["name", "id", "alias", "alias", "missing", "missing"]
    kinds = [row[:2] for row in written(results).rows["coverage"][1:]]
    assert kinds == [
        ["Found by name", "1"],
        ["Found by Ensembl id", "1"],
        ["Found through an ortholog", "0"],
        ["Found by a previous symbol or alias", "2"],
        ["Missing", "2"],
    ]


def test_unit_table_has_genes_with_their_direction_in_order(page):
    assert page.rows["units"][1][1:] == [
        _highest(page, 0),
        "▲Cd74 ▼Lyz2 ▲Il1b",
        "B cell ▲Cd74 ▼Lyz2 ▲Il1b",
        "E2F targets (2)",
    ]
    assert page.rows["units"][3][2:] == ["▼Actb", f"{NASTY} ▲Cd3e", "none"]


def _highest(page, unit: int) -> str:
    values, labels = page.values(f"unit:unit_{unit}")[4:], page.values("label")[4:]
    means = {label: values[labels == label].mean() for label in set(labels)}
    return max(means, key=means.get)


def test_embedding_data_are_the_cells_the_reference_first(results, page):
    assert page.data["data-embedding"]["cells"] == [*results.reference.obs_names, *results.cells.obs_names]
    assert page.data["data-embedding"]["n_reference"] == 4
    assert page.values("label").tolist() == ["B cell", "B cell", NASTY, "unlabelled", *results.labels["label"]]
    assert page.values("origin").tolist() == ["reference"] * 4 + ["query"] * 10
    confidence = page.values("confidence")
    assert np.isnan(confidence[:4]).all()
    np.testing.assert_allclose(confidence[4:], results.labels["confidence"], atol=1e-5)
    assert np.flatnonzero(page.values("novel") == "novel").tolist() == [9, 12, 13]
    latent = np.concatenate([results.model.reference, results.embedding])
    for unit in range(3):
        values = page.values(f"unit:unit_{unit}")
        np.testing.assert_allclose(values, latent[:, unit], atol=np.ptp(latent[:, unit]) / 65_534)


def test_figures_hold_the_numbers_of_their_tables(page):
    assert page.data["data-training"]["data"][1]["y"] == [3.5, 2.5, 2.75]
    assert page.data["data-pathways"]["data"][0]["z"] == [[2, 0], [0, 1]]
    assert page.data["data-histogram"]["data"][0]["y"] == [1, 2]


def test_names_with_markup_are_shown_and_never_read_as_markup(results, page):
    assert "Watch <out> & 'read'." in page.text["summary"]
    tags = {tag for tag, _, _ in page.attributes}
    assert not tags & {"out", "cd4", "b"}
    assert page.data["data-embedding"]["cells"][4] == "cell </script><b>&'é-0"
    assert len(page.scripts) == 1


def test_the_page_loads_nothing_and_sends_nothing(page):
    links = [value for _, name, value in page.attributes if name in {"src", "href", "action", "data", "srcset"}]
    assert links
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"url\(|@import", page.style)
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and value.startswith("default-src"))
    assert policy.startswith("default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval';")
    assert "connect-src" not in policy
    assert "http" not in page.scripts[0]
    assert "showSendToCloud: false" in page.scripts[0]
    assert "displayModeBar: false" in page.scripts[0]
    assert page.plotly == get_plotlyjs()


def test_the_same_results_give_the_same_bytes(results, tmp_path):
    for name in ("first.html", "second.html"):
        write_report(tmp_path / name, **vars(results))
    assert (tmp_path / "first.html").read_bytes() == (tmp_path / "second.html").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first.html", "second.html"]


def test_provenance_has_seed_fingerprints_versions_and_marks_changed_settings(page):
    text = page.text["provenance"]
    for fact in ("Seed of the model 41", "Fingerprint of the weights f00d", "training data beef", "torch 2.9.1"):
        assert fact in text
    settings = dict(page.rows["provenance"][1:])
    assert settings["hidden_size"] == "77 differs from the preset"
    assert settings["learning_rate"] == "0.001"
    assert set(settings) == set(Config().flat())


def test_how_pathways_were_tested_is_stated(page, results, written):
    assert "Null: random gene sets of the same size, 10,000 permutations." in page.text["pathways"]
    assert "18 tests" in page.text["pathways"]
    assert "4 sets were not tested" in page.text["pathways"]
    results.enrichment.attrs = {}
    assert "does not record its null" in written(results).text["pathways"]


def test_a_page_without_labels_or_reference_has_neither(results, written):
    results.labels = results.reference = results.reference_labels = None
    page = written(results)
    assert not {"labels", "verdict", "odd"} & set(page.text)
    assert list(page.columns) == ["unit:unit_0", "unit:unit_1", "unit:unit_2"]
    assert len(page.data["data-embedding"]["cells"]) == 10


def test_a_reference_that_carries_the_latent_needs_no_counts(results, written):
    latent = np.arange(12, dtype=np.float32).reshape(4, 3)
    results.reference.obsm["X_prism"] = latent
    results.reference.uns["scprism"] = {"fingerprint": "f00d"}
    np.testing.assert_allclose(written(results).values("unit:unit_0")[:4], latent[:, 0], atol=1e-3)
    results.reference.uns["scprism"] = {"fingerprint": "another model"}
    values = written(results).values("unit:unit_0")[:4]
    np.testing.assert_allclose(values, results.model.reference[:, 0], atol=1e-3)


def test_large_data_are_drawn_by_a_sample_and_this_is_said(results, monkeypatch, written):
    monkeypatch.setattr("scprism.report.subject.MAX_CELLS", 12)
    page = written(results)
    told = (
        "12 of 14 cells are drawn: 3 that are novel or of low confidence, all that there are, and a random sample of 9 "
    )
    assert f"{told}of the others." in page.text["embedding"]
    # cells 5, 8 and 9 are novel, of 5 and 9 the confidence is low
    assert {"cell-5", "cell-8", "cell-9"} <= set(page.data["data-embedding"]["cells"])
    assert np.sum(page.data["data-embedding"]["density"]["cells"]) == 10
    data = page.data["data-embedding"]
    everything = {**dict(zip(results.cells.obs_names, results.embedding[:, 0], strict=True))}
    for name, value in zip(data["cells"], page.values("unit:unit_0"), strict=True):
        assert everything.get(name, value) == pytest.approx(value, abs=1e-3)
    assert len(data["cells"]) == 12


@pytest.mark.filterwarnings("ignore:The query is unlike")
def test_a_real_model_writes_its_page(results, written):
    reference, query = load_dataset("tm_droplet_immune")[::10].copy(), load_dataset("mouse_lung_immune")[:12].copy()
    model = Prism(units="raw", bottleneck_size=3, max_epochs=1, rng=0).fit(reference)
    why = model.explain(query)
    real = SimpleNamespace(
        model=model,
        explanation=why,
        enrichment=results.enrichment.assign(unit=results.enrichment["unit"].str.replace("unit_", "latent_")),
        embedding=model.embed(query),
        cells=query,
        labels=model.label(query, reference=reference, labels="cell_type"),
    )
    page = written(real)
    alignment = model.align(query)
    found = (alignment.coverage["found"] == "name").sum()
    assert page.rows["coverage"][1][1] == f"{found:,}"
    assert page.rows["units"][1][0] == "0"
    leading = why.top_genes("all", 1, by="signed")["gene"].tolist()
    assert [row[2].split()[0][1:] for row in page.rows["units"][1:]] == leading
    assert f"Fingerprint of the weights {model.fingerprint}" in page.text["provenance"]
