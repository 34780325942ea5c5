"""What the names of genes give away: Ensembl ids, which column holds symbols, whether genes lie in rows."""

import re
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pandas as pd

from scprism._check import some
from scprism.genes.tables import read_gene_ids, read_orthologs
from scprism.types import Organism

__all__ = [
    "ENSEMBL_ID",
    "has_genes_in_rows",
    "is_ensembl_ids",
    "known_symbols",
    "organism_of_ids",
    "symbol_column",
    "symbol_hint",
    "symbols_of_ids",
]

ENSEMBL_ID = re.compile(r"ENS[A-Z]{0,6}G\d{6,}(\.\d+)?", re.IGNORECASE)
PREFIXES: dict[Organism, str] = {"human": "ENSG0", "mouse": "ENSMUSG0"}
SYMBOL_COLUMN = re.compile(r"gene|((gene|feature|hgnc|mgi)_)?symbols?|(gene|feature|gene_short)_names?", re.IGNORECASE)
"""Usual names of columns of symbols."""
SAMPLE = 2000
"""Names looked at; more would not change the verdict."""
MIN_KNOWN_SHARE = 0.3
MIN_KNOWN = 10
"""Barcodes and sample names hardly meet a gene symbol ("C3" is one), whereas most of any gene list is known."""


def is_ensembl_ids(names: Sequence[str] | pd.Index) -> bool:
    """Return whether most of the names are Ensembl gene ids, of any species."""
    sample = _sample(names)
    return sum(ENSEMBL_ID.fullmatch(name) is not None for name in sample) > len(sample) / 2


def symbols_of_ids(names: Sequence[str]) -> dict[str, str]:
    """Return the symbol of each name that is a known Ensembl gene id of human or mouse, its version left aside.

    An id whose symbol is itself among the names is left out, so that no gene is there twice.

    Examples
    --------
    >>> symbols_of_ids(["ENSG00000198851.10", "ENSMUSG00000032093", "MYC"])
    {'ENSG00000198851.10': 'CD3E', 'ENSMUSG00000032093': 'Cd3e'}
    """
    ids = [name for name in names if name.upper().startswith("ENS")]
    if not ids:
        return {}
    table = read_gene_ids()
    there = {name.upper() for name in names}
    found = {name: table[bare] for name in ids if (bare := name.partition(".")[0].upper()) in table}
    return {name: symbol for name, symbol in found.items() if symbol.upper() not in there}


def organism_of_ids(names: Sequence[str]) -> Organism | None:
    """Return whose genes the names are if most of them are Ensembl ids of human or of mouse, else None."""
    if not names or not is_ensembl_ids(names):
        return None
    for organism, prefix in PREFIXES.items():
        if sum(name.upper().startswith(prefix) for name in names) > len(names) / 2:
            return organism
    return None


def has_genes_in_rows(*, cells: Sequence[str] | pd.Index, genes: Sequence[str] | pd.Index) -> bool:
    """Return whether the names of the rows look like genes, and those of the columns do not.

    A name looks like a gene if it is an Ensembl gene id or a symbol of a human or mouse gene.
    """
    in_rows, in_columns = _gene_share(_sample(cells)), _gene_share(_sample(genes))
    is_known = in_rows >= MIN_KNOWN_SHARE and in_rows * min(len(cells), SAMPLE) >= MIN_KNOWN
    return is_known and in_rows > 2 * in_columns


def symbol_column(var: pd.DataFrame) -> str | None:
    """Return the column of `var` that holds gene symbols, or None if no column does.

    It is the column with most values that are symbols of human or mouse genes, at least three in ten. Where no column
    has so many, as for other organisms, it is one of a usual name that holds text of more than one value and no ids.

    Examples
    --------
    >>> symbol_column(pd.DataFrame({"gene": ["ENSG00000198851"], "is_used": [True], "label": ["CD3E"]}))
    'label'
    """
    texts = {str(name): found for name in var.columns if (found := _text(var[name]))}
    shares = {name: _symbol_share(values) for name, values in texts.items()}
    best = max(shares, key=lambda name: (shares[name], _has_usual_name(name)), default=None)
    if best is not None and shares[best] >= MIN_KNOWN_SHARE:
        return best
    usual = (name for name, values in texts.items() if _has_usual_name(name) and len(set(values)) > 1)
    return next((name for name in usual if not is_ensembl_ids(texts[name])), None)


def symbol_hint(names: Sequence[str] | pd.Index, var: pd.DataFrame) -> str:
    """Return a sentence on how to get symbols where the genes are named by Ensembl ids, else an empty text.

    Examples
    --------
    >>> symbol_hint(["ENSG00000198851"], pd.DataFrame({"feature_name": ["CD3E"]}))
    "The genes are named by Ensembl ids such as 'ENSG00000198851', but gene sets and models use symbols. The \
column 'feature_name' of .var holds symbols: read the file with gene_symbols='feature_name'."
    """
    if not is_ensembl_ids(names):
        return ""
    ids = f"The genes are named by Ensembl ids such as {names[0]!r}, but gene sets and models use symbols."
    column = symbol_column(var)
    if column is None:
        return (
            f"{ids} No column of .var holds symbols (there are {some(var.columns)}). Add one to .var, and name it: "
            "gene_symbols='that column'."
        )
    return f"{ids} The column {column!r} of .var holds symbols: read the file with gene_symbols={column!r}."


@cache
def known_symbols() -> frozenset[str]:
    """Return the symbols of human and mouse genes, in capitals."""
    pairs = read_orthologs()
    tables: Iterable[Iterable[str]] = (pairs["human"], pairs["mouse"], read_gene_ids().values())
    return frozenset(symbol.upper() for table in tables for symbol in table)


def _has_usual_name(column: str) -> bool:
    return SYMBOL_COLUMN.fullmatch(column) is not None


def _text(column: "pd.Series[str]") -> list[str]:
    """Return a sample of a column's values if it holds text, else nothing."""
    values = column.dropna()
    categories = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else values
    if pd.api.types.is_bool_dtype(categories.dtype) or pd.api.types.is_numeric_dtype(categories.dtype):
        return []
    sample = values.iloc[_places(len(values))].tolist()
    return [value for value in sample if isinstance(value, str)]


def _symbol_share(values: Sequence[str]) -> float:
    return sum(value.upper() in known_symbols() for value in values) / max(1, len(values))


def _gene_share(values: Sequence[str]) -> float:
    known = sum(value.upper() in known_symbols() or ENSEMBL_ID.fullmatch(value) is not None for value in values)
    return known / max(1, len(values))


def _sample(names: Sequence[str] | pd.Index) -> list[str]:
    return [str(names[place]) for place in _places(len(names))]


def _places(n_names: int) -> np.ndarray:
    return np.linspace(0, n_names - 1, num=min(n_names, SAMPLE)).astype(int)
