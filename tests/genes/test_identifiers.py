import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from scprism.genes.identifiers import has_genes_in_rows, is_ensembl_ids, symbol_columns, symbol_hint


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


def test_columns_of_symbols_are_found_by_their_usual_names():
    columns = ["highly_variable", "feature_name", "gene_ids", "Symbol", "gene_short_name", "n_genes", "hgnc_symbol"]
    assert symbol_columns(pd.DataFrame(columns=columns)) == ["feature_name", "Symbol", "gene_short_name", "hgnc_symbol"]


def test_the_hint_without_a_column_of_symbols_asks_for_one():
    cells = AnnData(np.ones((1, 1)), var=pd.DataFrame(index=["ENSG00000198851"]))
    assert symbol_hint(cells).endswith("Add a column of symbols to .var, and name it: gene_symbols='that column'.")


def test_there_is_no_hint_where_genes_have_symbols():
    cells = AnnData(np.ones((1, 1)), var=pd.DataFrame({"symbol": ["CD3E"]}, index=["CD3E"]))
    assert symbol_hint(cells) == ""


def test_ensembl_ids_in_rows_are_genes_in_rows():
    ids = [f"ENSG{i:011}" for i in range(10)]
    assert has_genes_in_rows(cells=ids, genes=["s1", "s2"])
    assert not has_genes_in_rows(cells=["s1", "s2"], genes=ids)


def test_a_cell_called_like_a_gene_does_not_make_rows_genes():
    cells = ["Cat", *(f"sample{i}" for i in range(9))]
    assert not has_genes_in_rows(cells=cells, genes=["probe1", "probe2"])
