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
from scprism.types import FloatArray, Matrix, Organism

__all__ = ["HALLMARK_FILES", "hallmark_genes", "requested_genes"]

HALLMARK_FILES: dict[Organism, str] = {
    "human": "h.all.v2024.1.Hs.symbols.gmt",
    "mouse": "mh.all.v2023.1.Mm.symbols.gmt",
}
N_BINS = 20
"""Of the logarithm of genes' means, among which their dispersions are compared; as in scanpy."""


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
    """Return the genes of highest normalised dispersion of counts per 10,000 (scanpy's "seurat" flavour)."""
    if not 1 <= n_genes <= len(names):
        msg = f"genes='variable:N' needs N between 1 and the {len(names):,} genes of the data, got {n_genes:,}."
        raise InputError(msg)
    genes = list(dict.fromkeys(str(name) for name in np.asarray(names)[~is_spike_in(names)]))
    known = map_by_name([str(name) for name in names], genes)
    sums, squares, n_cells = np.zeros(len(genes)), np.zeros(len(genes)), 0
    for _, chunk in row_chunks(matrix, dtype=np.float64):
        counts = known.pick(chunk)
        library = np.asarray(counts.sum(axis=1)).ravel()
        scales = np.divide(1e4, library, out=np.zeros_like(library), where=library > 0)
        counts.data *= np.repeat(scales, np.diff(counts.indptr))
        sums += np.asarray(counts.sum(axis=0)).ravel()
        squares += np.asarray(counts.multiply(counts).sum(axis=0)).ravel()
        n_cells += counts.shape[0]
    means = sums / n_cells
    dispersion = _normalised_dispersion(means, (squares - n_cells * means**2) / max(n_cells - 1, 1))
    least = np.sort(dispersion)[::-1][min(n_genes, len(genes)) - 1]
    return tuple(genes[place] for place in np.flatnonzero((dispersion >= least) & (dispersion > -np.inf)))


def _normalised_dispersion(means: FloatArray, variances: FloatArray) -> FloatArray:
    """Return how much each gene's log(variance / mean) stands out among genes of about the same mean, (genes,).

    −infinity for a gene that does not vary. A gene that is alone in its bin of means counts 1.

    References
    ----------
    Satija et al., Nature Biotechnology 33 (2015), 495–502.
    """
    means = np.where(means > 0, means, 1e-12)
    ratio = variances / means
    log_ratio = np.log(ratio, out=np.full_like(ratio, np.nan), where=ratio > 0)
    table = pd.DataFrame({"dispersion": log_ratio, "bin": pd.cut(np.log1p(means), bins=N_BINS)})
    groups = table.groupby("bin", observed=True)["dispersion"]
    centre, spread = groups.transform("mean"), groups.transform("std")
    is_alone = spread.isna()
    normalised = (table["dispersion"] - centre.mask(is_alone, 0.0)) / spread.mask(is_alone, centre)
    return normalised.fillna(-np.inf).to_numpy(dtype=np.float64)
