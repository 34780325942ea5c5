"""Gene sets and orthologs from files."""

from functools import cache
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from scprism._bundled import bundled_path
from scprism._check import some
from scprism._text import read_lines
from scprism.errors import InputError
from scprism.types import Organism, PathLike

__all__ = ["read_gene_aliases", "read_gene_ids", "read_gmt", "read_orthologs"]


def read_gmt(path: PathLike) -> dict[str, tuple[str, ...]]:
    """Return the gene sets of a GMT file by name, both sets and genes in the order of the file.

    A line is a set: its name, a description (not kept) and its genes, parted by tabs. A gene named twice in a set
    counts once.

    Raises
    ------
    InputError
        If the file is missing, is no text, holds no set, has a line with fewer than three fields, or names a set twice.
    """
    sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(_lines(Path(path)), start=1):
        if not line.strip():
            continue
        name, *rest = (field.strip() for field in line.split("\t"))
        genes = tuple(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not name or not genes:
            msg = (
                f"Line {number} of the gene-set file '{path}' must hold a name, a description and at least one gene, "
                f"parted by tabs; it starts with {line[:40]!r}."
            )
            raise InputError(msg)
        if name in sets:
            msg = f"The gene-set file '{path}' names the set {name!r} twice, again in line {number}. Rename one."
            raise InputError(msg)
        sets[name] = genes
    if not sets:
        msg = f"The gene-set file '{path}' is empty. Each line of a GMT file is a set: name, description, genes."
        raise InputError(msg)
    return sets


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        beside = sorted(file.name for file in path.parent.glob("*.gmt")) if path.parent.is_dir() else []
        msg = f"The gene-set file '{path}' does not exist. GMT files in that folder: {some(beside)}."
        raise InputError(msg)
    return read_lines(path, what="gene-set file")


def read_orthologs() -> pd.DataFrame:
    """Return the human–mouse ortholog pairs of Ensembl 105 by symbol, columns ``human`` and ``mouse``.

    Orthology is many to many: a symbol stands in as many rows as it has partners.
    """
    return _orthologs().copy()


@cache
def _orthologs() -> pd.DataFrame:
    # Without this a gene called "NA" would become a missing value.
    return pd.read_csv(bundled_path("orthologs_human_mouse.tsv.gz"), sep="\t", dtype=str, keep_default_na=False)


@cache
def read_gene_ids() -> MappingProxyType[str, str]:
    """Return the symbols of human and mouse genes by Ensembl id, without versions (`data/SOURCES.md`)."""
    table = pd.read_csv(bundled_path("ensembl_gene_ids.tsv.gz"), sep="\t", dtype=str, keep_default_na=False)
    return MappingProxyType(dict(zip(table["id"], table["symbol"], strict=True)))


@cache
def read_gene_aliases(organism: Organism) -> MappingProxyType[str, str]:
    """Return the current symbol of each known name of a gene, the name in capitals (`data/SOURCES.md`).

    Names are the current symbol itself, previous ones and aliases. Each stands for one gene of the organism; names that
    could mean several are not in the table, nor are genes that have one name only.
    """
    table = pd.read_csv(bundled_path("gene_aliases.tsv.gz"), sep="\t", dtype=str, keep_default_na=False)
    table = table[table["organism"] == organism]
    symbols: dict[str, str] = {}
    for symbol, previous, aliases in zip(table["symbol"], table["previous"], table["aliases"], strict=True):
        names = (symbol.upper(), *previous.split("|"), *aliases.split("|"))
        symbols.update((name, symbol) for name in names if name)
    return MappingProxyType(symbols)
