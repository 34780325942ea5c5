import pandas as pd
import pytest

from scprism.genes.identifiers import has_genes_in_rows, is_ensembl_ids, symbol_column, symbol_hint


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["ENSG00000198851", "ENSG00000198851.4", "x"], True),
        (["ENSMUSG00000032093"], True),
        (["ENSG00000198851", "CD3E"], False),
        (["ENSA", "Ensa", "ENSAP2"], False),  # genes of that name
        ([], False),
    ],
)
def test_ensembl_ids_are_told_from_symbols(names, expected):
    assert is_ensembl_ids(names) is expected


SYMBOLS = ["CD3E", "CD19", "ACTB", "new_gene"]
IDS = [f"ENSG{i:011}" for i in range(4)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param({"gene": IDS, "gene_name": SYMBOLS}, "gene_name", id="ids in a column of a usual name"),
        pytest.param({"gene": [True] * 4, "Symbol": SYMBOLS}, "Symbol", id="booleans"),
        pytest.param({"gene": range(4), "name": SYMBOLS}, "name", id="an unusual name"),
        pytest.param({"name": pd.Categorical(SYMBOLS)}, "name", id="categories"),
        pytest.param({"name": pd.array(SYMBOLS, dtype="string")}, "name", id="strings that may be missing"),
        pytest.param({"name": SYMBOLS, "symbol": SYMBOLS}, "symbol", id="the usual name of two alike"),
        pytest.param({"symbol": ["a1cf-x", "b-y", "c-z", None]}, "symbol", id="another organism"),
        pytest.param({"feature_name": ["Gene Expression"] * 4}, None, id="one word"),
        pytest.param({"biotype": ["protein_coding", "lncRNA"] * 2}, None, id="kinds"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_column_whose_values_are_symbols_is_found(columns, expected):
    assert symbol_column(pd.DataFrame(columns, index=IDS)) == expected


def test_the_hint_without_a_column_of_symbols_asks_for_one():
    hint = symbol_hint(IDS, pd.DataFrame({"n_cells": range(4)}, index=IDS))
    assert hint.endswith("(there are 'n_cells'). Add one to .var, and name it: gene_symbols='that column'.")


def test_there_is_no_hint_where_genes_have_symbols():
    assert symbol_hint(["CD3E"], pd.DataFrame({"symbol": ["CD3E"]}, index=["CD3E"])) == ""


def test_ensembl_ids_in_rows_are_genes_in_rows():
    ids = [f"ENSG{i:011}" for i in range(10)]
    assert has_genes_in_rows(cells=ids, genes=["s1", "s2"])
    assert not has_genes_in_rows(cells=["s1", "s2"], genes=ids)


def test_a_cell_called_like_a_gene_does_not_make_rows_genes():
    cells = ["Cat", *(f"sample{i}" for i in range(9))]
    assert not has_genes_in_rows(cells=cells, genes=["probe1", "probe2"])
