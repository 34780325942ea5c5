"""Which genes a model is built on."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scprism._bundled import bundled_path
from scprism._check import some
from scprism._text import read_lines
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.genes.match import match_names
from scprism.genes.organism import told_or_detected
from scprism.genes.tables import read_gmt
from scprism.prepare.learn import map_by_name
from scprism.prepare.normalise import is_spike_in
from scprism.read.chunks import row_chunks
from scprism.types import Matrix, Organism

__all__ = ["HALLMARK_FILES", "hallmark_genes", "requested_genes"]

HALLMARK_FILES: dict[Organism, str] = {
    "human": "h.all.v2024.1.Hs.symbols.gmt",
    "mouse": "mh.all.v2023.1.Mm.symbols.gmt",
}


def hallmark_genes(organism: Organism) -> tuple[str, ...]:
    """Return the union of the 50 Hallmark sets of an organism, sorted."""
    sets = read_gmt(bundled_path(HALLMARK_FILES[organism]))
    return tuple(sorted(set().union(*sets.values())))


def requested_genes(
    genes: str | Sequence[str], *, matrix: Matrix, names: Sequence[str], organism: Organism | None
) -> tuple[tuple[str, ...], Organism | None]:
    """Return the genes of the file that a choice names, sorted, and the organism.

    Parameters
    ----------
    genes
        ``"hallmark"``, ``"variable:N"`` (N most variable genes), ``"all"``, the path of a file with one symbol a line,
        or the symbols themselves.
    matrix, names
        Counts, cells by genes of the file, and these genes' names.
    organism
        Told by the user; None to detect it from the names.

    Raises
    ------
    InputError
        If the choice is not one of these, the organism is needed and unknown, or the file has none of the genes.
    """
    found = told_or_detected(names, told=organism)
    if not isinstance(genes, str):
        return _genes_of_file(genes, names, choice="a list"), found
    if genes == "hallmark":
        if found is None:
            msg = (
                f"Hallmark genes need the organism, and the gene names ({some(names, limit=3)}) are neither human nor "
                "mouse symbols. Give organism='human' or 'mouse', or another choice of genes such as "
                "genes='variable:2000'."
            )
            raise InputError(msg)
        wanted: tuple[str, ...] = hallmark_genes(found)
    elif genes == "all":
        wanted = tuple(dict.fromkeys(np.asarray(names)[~is_spike_in(names)]))
    elif match := re.fullmatch(r"variable:(\d+)", genes):
        wanted = _variable_genes(matrix, names, n_genes=int(match[1]))
    else:
        wanted = _listed_genes(genes)
    return _genes_of_file(wanted, names, choice=genes), found


def _genes_of_file(wanted: Sequence[str], names: Sequence[str], *, choice: str) -> tuple[str, ...]:
    found = match_names(names, wanted)
    if not found:
        msg = (
            f"None of the {len(wanted):,} genes of genes={choice!r} is in the data. "
            f"The data has {some(names, limit=3)}; the choice has {some(wanted, limit=3)}. "
            "Check the organism and that `.var_names` holds gene symbols."
        )
        raise InputError(msg)
    if len(found) < len(wanted) / 2 and choice != "hallmark":
        msg = f"Only {len(found):,} of the {len(wanted):,} genes of genes={choice!r} are in the data."
        warn(msg)
    return tuple(sorted(set(found.values())))


def _listed_genes(path: str) -> tuple[str, ...]:
    if not Path(path).is_file():
        msg = (
            f"`genes` must be 'hallmark', 'variable:N', 'all' or the path of a file with one gene a line, got "
            f"{path!r}, "
            "which is none of these."
        )
        raise InputError(msg)
    genes = [name for line in read_lines(path, what="gene list") for name in line.split()]
    if not genes:
        msg = f"The gene list {path!r} is empty. It needs one gene symbol a line."
        raise InputError(msg)
    return tuple(dict.fromkeys(genes))


def _variable_genes(matrix: Matrix, names: Sequence[str], *, n_genes: int) -> tuple[str, ...]:
    """Return the genes of highest normalised dispersion of log1p counts per 10,000 (scanpy's "seurat" flavour)."""
    import anndata
    import scanpy
    from scipy import sparse

    if not 1 <= n_genes <= len(names):
        msg = f"genes='variable:N' needs N between 1 and the {len(names):,} genes of the data, got {n_genes:,}."
        raise InputError(msg)
    keep = ~is_spike_in(names)
    chunks = [chunk[:, keep] for _, chunk in row_chunks(matrix)]
    counts = sparse.vstack(chunks, format="csr", dtype=np.float32)
    kept = [str(name) for name in np.asarray(names)[keep]]
    genes = list(dict.fromkeys(kept))
    cells = anndata.AnnData(map_by_name(kept, genes).pick(counts), var=pd.DataFrame(index=genes))
    scanpy.pp.normalize_total(cells, target_sum=1e4)
    scanpy.pp.log1p(cells)
    table = scanpy.pp.highly_variable_genes(cells, n_top_genes=n_genes, inplace=False)
    return tuple(cells.var_names[table["highly_variable"].to_numpy()])
