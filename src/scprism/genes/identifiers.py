"""What the names of cells and genes give away: Ensembl ids, genes in rows."""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism.genes.tables import read_orthologs

__all__ = ["has_genes_in_rows", "is_ensembl_ids", "symbol_columns", "symbol_hint"]

ENSEMBL_ID = re.compile(r"ENS[A-Z]{0,6}G\d{6,}(\.\d+)?", re.IGNORECASE)
SYMBOL_COLUMN = re.compile(r"gene|((gene|feature|hgnc|mgi)_)?symbols?|(gene|feature|gene_short)_names?", re.IGNORECASE)
SAMPLE = 2000
"""Names looked at; more would not change the verdict."""
MIN_KNOWN_SHARE = 0.3
MIN_KNOWN = 10
"""Barcodes and sample names hardly meet a gene symbol ("C3" is one), whereas most of any gene list is known."""


def is_ensembl_ids(names: Sequence[str] | pd.Index) -> bool:
    """Return whether most of the names are Ensembl gene ids, of any species."""
    sample = _sample(names)
    return sum(ENSEMBL_ID.fullmatch(name) is not None for name in sample) > len(sample) / 2


def has_genes_in_rows(*, cells: Sequence[str] | pd.Index, genes: Sequence[str] | pd.Index) -> bool:
    """Return whether the names of the rows look like genes, and those of the columns do not.

    A name looks like a gene if it is an Ensembl gene id or a symbol of the human–mouse ortholog table.
    """
    in_rows, in_columns = _known_share(cells), _known_share(genes)
    is_known = in_rows >= MIN_KNOWN_SHARE and in_rows * min(len(cells), SAMPLE) >= MIN_KNOWN
    return is_known and in_rows > 2 * in_columns


def symbol_columns(var: pd.DataFrame) -> list[str]:
    """Return the columns of `var` whose name says that they hold gene symbols."""
    return [str(column) for column in var.columns if SYMBOL_COLUMN.fullmatch(str(column))]


def symbol_hint(cells: AnnData) -> str:
    """Return a sentence on how to get symbols where the genes are named by Ensembl ids, else an empty text.

    Examples
    --------
    >>> from anndata import AnnData
    >>> genes = pd.DataFrame({"feature_name": ["CD3E"]}, index=["ENSG00000198851"])
    >>> symbol_hint(AnnData(np.ones((1, 1)), var=genes))
    "The genes are named by Ensembl ids such as 'ENSG00000198851', but gene sets and models use symbols. The \
column 'feature_name' of .var looks like symbols: read the file with gene_symbols='feature_name'."
    """
    if not is_ensembl_ids(cells.var_names):
        return ""
    found = symbol_columns(cells.var)
    ids = f"The genes are named by Ensembl ids such as {cells.var_names[0]!r}, but gene sets and models use symbols."
    if not found:
        return f"{ids} Add a column of symbols to .var, and name it: gene_symbols='that column'."
    return f"{ids} The column {found[0]!r} of .var looks like symbols: read the file with gene_symbols={found[0]!r}."


def _known_share(names: Sequence[str] | pd.Index) -> float:
    sample = _sample(names)
    known = _known_symbols()
    hits = sum(name.upper() in known or ENSEMBL_ID.fullmatch(name) is not None for name in sample)
    return hits / max(1, len(sample))


def _sample(names: Sequence[str] | pd.Index) -> list[str]:
    places = np.linspace(0, len(names) - 1, num=min(len(names), SAMPLE)).astype(int)
    return [str(names[place]) for place in places]


@cache
def _known_symbols() -> frozenset[str]:
    table = read_orthologs()
    return frozenset(table["human"].str.upper()) | frozenset(table["mouse"].str.upper())
