"""Labels as a record: what it holds, how it looks, and its file."""

import json
import warnings

import pandas as pd
import pytest

from scprism import Labels, Prism, read_labels
from scprism.errors import InputError, PrismWarning
from scprism.read.synthetic import Simulation, gene_names, simulate_cells


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(
        Simulation(n_cells=120, genes=gene_names(100), n_types=3, n_programs=4, program_size=20), rng=0
    )


@pytest.fixture(scope="module")
def model(cells):
    settings = {"hidden_size": 16, "bottleneck_size": 4, "max_epochs": 2, "device": "cpu"}
    return Prism(genes="all", organism="human", units="raw", rng=0, **settings).fit(cells)


@pytest.fixture
def labels():
    """Three cells, by hand: two labels, one cell novel, confidences .5, .75 and 1."""
    table = {"label": ["NA", "B & T", "NA"], "confidence": [0.5, 1.0, 0.75], "runner_up": ["B & T", "NA", "B & T"]}
    table |= {"margin": [0.1, 0.9, 0.5], "distance": [0.1, 0.2, 1 / 3], "novelty_p": [0.01, 0.5, 1.0]}
    index = pd.Index(["c1", "c2", "3"], name="cell")
    table = pd.DataFrame({**table, "novel": [True, False, False]}, index=index)
    return Labels(table, {"labels": "type", "fingerprint": "f00d"}, ("Counts are < 1.",))


def test_labels_tell_where_they_are_from(cells, model):
    reference, query = cells[:100], cells[100:].copy()
    missing = reference.copy()
    missing.obs["cell_type"] = missing.obs["cell_type"].astype(object)
    missing.obs.iloc[:10, missing.obs.columns.get_loc("cell_type")] = None
    given = model.label(query, reference=missing, labels="cell_type")
    told = {"labels": "cell_type", "labelled_cells": "reference", "n_labelled_cells": 90}
    assert given.settings.pop("held_out_accuracy") > 0.9
    assert given.settings == {**told, "fingerprint": model.fingerprint}
    known = model.index(reference, labels="cell_type").label(query)
    assert known.settings.pop("held_out_accuracy") > 0.9
    assert known.settings == {**given.settings, "labelled_cells": "index", "n_labelled_cells": 100}


def test_warnings_of_the_labelling_stay_with_the_labels(cells, model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)
        few = model.label(cells[:, ::2].copy(), reference=cells, labels="cell_type")
    assert any(text.startswith("Low gene coverage") for text in few.warnings)


def test_a_column_of_the_labels_is_one_of_their_table_and_groups_cells(cells, model):
    labels = model.label(cells, reference=cells, labels="cell_type")
    assert len(labels) == 120
    pd.testing.assert_series_equal(labels["label"], labels.table["label"])
    assert set(model.explain(cells, groupby=labels["label"]).groups) == {"all", *labels.table["label"]}


@pytest.mark.parametrize("key", ["labels", 0, pd.Series([True, False, True])], ids=["name", "number", "rows"])
def test_what_is_no_column_is_refused(labels, key):
    with pytest.raises(KeyError, match=r"Labels have the columns 'label', .* Rows are chosen in `labels.table`"):
        labels[key]


def test_labels_are_summed_up_where_they_are_printed(labels):
    assert repr(labels) == "Labels(3 cells, 2 labels of 'type'; median confidence 0.75, 33.3% novel)"
    assert repr(Labels(labels.table.iloc[:0], {})) == "Labels(0 cells, 0 labels)"
    page = labels._repr_html_()
    assert "3 cells, 2 labels" in page
    assert "<li>Counts are &lt; 1.</li>" in page
    assert "<td>B &amp; T</td>" in page


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_labels_survive_their_file(labels, tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"labels{ending}"
    labels.save(path)
    read = read_labels(path)
    pd.testing.assert_frame_equal(read.table, labels.table, check_dtype=ending != ".parquet", check_exact=True)
    assert (read.settings, read.warnings) == (labels.settings, labels.warnings)
    assert json.loads(path.with_name(f"{path.name}.json").read_text())["warnings"] == ["Counts are < 1."]


def test_the_file_is_one_that_pandas_reads(labels, tmp_path):
    labels.save(tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text().splitlines()[:2] == [
        "cell,label,confidence,runner_up,margin,distance,novelty_p,novel",
        "c1,NA,0.5,B & T,0.1,0.1,0.01,True",
    ]


def test_a_table_that_lacks_a_column_is_not_written(labels, tmp_path):
    with pytest.raises(InputError, match="it lacks 'novel'"):
        Labels(labels.table.drop(columns="novel"), {}).save(tmp_path / "labels.csv")
    assert not list(tmp_path.iterdir())
