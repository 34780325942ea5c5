"""Tables 3 and 4 of the paper from annotations."""

import pandas as pd
import pytest

from scprism.errors import InputError
from scprism.paper.experiments.published import SHARED_TYPES, TISSUES
from scprism.paper.experiments.shared_types import PAPER_WORDS, paper_labels, shared_types, shared_types_summary

OTHERS = [(tissue, "Smart-seq2", "keratinocyte") for tissue in TISSUES]


def annotations(*cells):
    return pd.DataFrame([*OTHERS, *cells], columns=["tissue", "platform", "cell_ontology_class"])


def row(table, number, tissue, labels):
    (found,) = table[(table["table"] == number) & (table["tissue"] == tissue) & (table["labels"] == labels)].to_dict(
        "records"
    )
    return found


@pytest.fixture
def marrow_and_lung():
    """Marrow and Lung share B cells by name, NK and T cells by meaning; Lung's 10x cells are in Table 4 alone."""
    marrow = ["B cell", "mature natural killer cell", "regulatory T cell", "keratinocyte stem cell", None]
    lung = ["B cell", "natural killer cell", "T cell", "keratinocyte stem cell", None]
    return annotations(
        *[("Marrow", "Smart-seq2", label) for label in marrow],
        *[("Lung", "Smart-seq2", label) for label in lung],
        ("Lung", "10x v2", "classical monocyte"),
        ("Marrow", "10x v2", "monocyte"),
    )


def test_raw_labels_are_compared_as_they_are_but_for_spelling(marrow_and_lung):
    lung = row(shared_types(marrow_and_lung), "Table 3", "Lung", "raw")
    assert lung["printed"] == "B cell, T cell, monocyte, natural killer cell"
    assert lung["found"] == "B cell, keratinocyte, keratinocyte stem cell"
    assert lung["both"] == "B cell"
    assert lung["only_printed"] == "T cell, monocyte, natural killer cell"
    assert lung["only_found"] == "keratinocyte, keratinocyte stem cell"
    assert lung["same"] is False


def test_harmonised_labels_share_meanings(marrow_and_lung):
    table = shared_types(marrow_and_lung)
    assert row(table, "Table 3", "Lung", "harmonised")["found"] == "B cell, NK cell, T cell, keratinocyte"


def test_table_4_has_both_platforms(marrow_and_lung):
    table = shared_types(marrow_and_lung)
    assert row(table, "Table 3", "Lung", "harmonised")["only_printed"] == "monocyte"
    assert "monocyte" in row(table, "Table 4", "Marrow", "harmonised")["both"]


def test_tables_agree_where_the_sets_are_equal():
    cells = [("Marrow", "Smart-seq2", "naive B cell"), ("Thymus", "Smart-seq2", "B cell")]
    cells += [("Marrow", "Smart-seq2", "regulatory T cell"), ("Thymus", "Smart-seq2", "immature T cell")]
    made = annotations(*cells)
    made = made[(made["tissue"] != "Thymus") | (made["cell_ontology_class"] != "keratinocyte")]
    table = shared_types(made)
    assert row(table, "Table 3", "Thymus", "harmonised")["same"] is True
    assert row(table, "Table 3", "Thymus", "raw")["same"] is False
    summary = shared_types_summary(table).set_index(["table", "labels"])
    assert summary.loc[("Table 3", "harmonised")].tolist() == [11, 1, 5, 1]  # others share keratinocytes, none printed
    assert summary.loc[("Table 3", "raw")].tolist() == [11, 0, 5, 0]


def test_a_file_of_its_own_goes_before_the_annotated_tissue():
    """Aorta is annotated as Heart; the paper's Heart is the file."""
    cells = annotations(("Heart", "Smart-seq2", "fibroblast"), ("Lung", "Smart-seq2", "fibroblast"))
    assert "stromal cell" in row(shared_types(cells), "Table 4", "Heart", "harmonised")["found"]
    cells["file_tissue"] = cells["tissue"]
    cells.loc[len(OTHERS), "file_tissue"] = "Aorta"
    assert "stromal cell" not in row(shared_types(cells), "Table 4", "Heart", "harmonised")["found"]


def test_names_of_the_first_release_will_do(marrow_and_lung):
    first = {"Limb_Muscle": "Muscle", "Mammary_Gland": "Mammary"}
    renamed = marrow_and_lung.assign(tissue=marrow_and_lung["tissue"].replace(first))
    pd.testing.assert_frame_equal(shared_types(renamed), shared_types(marrow_and_lung))


def test_a_missing_column_or_tissue_is_named(marrow_and_lung):
    with pytest.raises(InputError, match="`annotations` needs the column 'platform'"):
        shared_types(marrow_and_lung.drop(columns="platform"))
    with pytest.raises(InputError, match="has no cell of Heart, which Tables 3 and 4 need"):
        shared_types(marrow_and_lung[marrow_and_lung["tissue"] != "Heart"])


def test_the_papers_words_are_the_harmonised_ones_but_for_the_exceptions():
    labels = pd.Series(["Kupffer cell", "macrophage", "blood cell", "lung endothelial cell", None])
    words = paper_labels(labels).fillna("-").tolist()
    assert words == ["Kupffer cell", "macrophage", "leukocyte", "endothelial cell", "-"]


@pytest.fixture(scope="module")
def real(shared_data):
    """The table of all annotated cells of Tabula Muris, each label of a tissue and platform once."""
    annotations = pd.read_csv(shared_data / "tabula_muris_annotations.csv.gz")
    return annotations.drop_duplicates(["file_tissue", "platform", "cell_ontology_class"])


@pytest.mark.shared_data
def test_raw_labels_give_the_overlaps_that_method_md_lists(real):
    table = shared_types(real)
    found = {
        tissue: row(table, "Table 3", tissue, "raw")["found"]
        for tissue in ("Lung", "Liver", "Limb_Muscle", "Thymus", "Spleen", "Kidney")
    }
    assert found == {
        "Lung": "B cell, monocyte",
        "Liver": "B cell",
        "Limb_Muscle": "B cell, macrophage",
        "Thymus": "immature T cell",
        "Spleen": "B cell, macrophage",
        "Kidney": "macrophage",
    }


@pytest.mark.shared_data
def test_agreement_with_the_paper(real):
    """Rows of the paper's tables that are the same, of 5 and 10 (docs/data.md)."""
    summary = shared_types_summary(shared_types(real)).set_index(["table", "labels"])["listed_same"]
    assert summary["Table 3"].to_dict() == {"raw": 0, "harmonised": 1, "paper": 2}
    assert summary["Table 4"].to_dict() == {"raw": 1, "harmonised": 4, "paper": 8}


@pytest.mark.shared_data
def test_each_exception_is_needed(real, monkeypatch):
    """Without any one of them a row that agrees with the paper no longer does."""
    full = shared_types(real)["same"].sum()
    for label in list(PAPER_WORDS):
        if label == "myofibroblast cell":  # goes with fibroblast
            continue
        with monkeypatch.context() as patch:
            patch.delitem(PAPER_WORDS, label)
            assert shared_types(real)["same"].sum() < full, label


@pytest.mark.shared_data
def test_no_renaming_gives_these_rows(real):
    """What stays different has the same raw label in both tissues, or no cell that could be meant."""
    table = shared_types(real)
    assert "macrophage" in row(table, "Table 3", "Limb_Muscle", "raw")["only_found"]
    assert "macrophage" in row(table, "Table 3", "Spleen", "raw")["only_found"]
    assert "stromal cell" in row(table, "Table 4", "Mammary_Gland", "raw")["only_found"]


def test_the_printed_tables_are_the_papers():
    assert {number: len(rows) for number, rows in SHARED_TYPES.items()} == {"Table 3": 5, "Table 4": 10}
    assert len(TISSUES) == 12
