"""Output of 10x Genomics' Cell Ranger: the HDF5 file, and the folder with a matrix.mtx."""

import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import io, sparse

from scprism._check import closest, some
from scprism._text import encoding_of
from scprism.errors import InputError
from scprism.read.problems import check_declared

__all__ = ["read_10x_folder", "read_10x_h5"]

EXPRESSION = "Gene Expression"
LEAST_LINE = 6
"""Bytes of a value in a matrix.mtx: row, column and value, each with what parts it from the next."""


def read_10x_h5(path: Path, *, genome: str | None = None, feature_type: str | None = None) -> AnnData:
    """Return the genes' counts of a 10x HDF5 file of Cell Ranger 2 or later, csr.

    Parameters
    ----------
    path
        The file.
    genome
        Which genome's genes are kept, where there are several.
    feature_type
        Which kind of feature is kept; genes if None.

    Raises
    ------
    InputError
        If there is no such genome or kind, or there are several genomes in groups of their own and none was chosen.
    """
    import scanpy  # slow to import

    with h5py.File(path) as file:
        groups = [] if "matrix" in file else list(file)
    if groups and genome is None and len(groups) > 1:
        msg = (
            f"'{path}' holds {len(groups)} genomes: {some(groups)}. A model is of one organism: choose one by "
            f"genome={groups[0]!r} when reading."
        )
        raise InputError(msg)
    if groups and genome is not None and genome not in groups:
        raise _no_genome(path, genome, groups)
    cells = scanpy.read_10x_h5(path, genome=genome if groups else None, gex_only=False)
    cells.X = sparse.csr_matrix(cells.X)
    if not groups and genome is not None and "genome" in cells.var:
        genomes = cells.var["genome"].astype(str)
        if genome not in set(genomes):
            raise _no_genome(path, genome, list(genomes.unique()))
        cells = cells[:, (genomes == genome).to_numpy()].copy()
    kinds = cells.var["feature_types"].astype(str).to_numpy() if "feature_types" in cells.var else None
    return _of_kind(cells, kinds, feature_type=feature_type, path=path)


def read_10x_folder(folder: Path, *, feature_type: str | None = None) -> AnnData:
    """Return the genes' counts of a folder as Cell Ranger writes it, csr float32.

    It holds ``matrix.mtx``, ``barcodes.tsv``, and ``features.tsv`` (version 3 and later) or ``genes.tsv`` (version 2,
    Tabula Muris); each may be gzipped and start with a sample's name and ``_``, ``.`` or ``-``, as in GEO. Hidden files
    are passed over. The genes' file may have one column (symbols), two (ids, symbols) or three and more (ids, symbols,
    kind of feature).

    Parameters
    ----------
    folder
        The folder.
    feature_type
        Which kind of feature is kept; if None "Gene Expression", or all where the third column says something else.

    Raises
    ------
    InputError
        If one of the files is missing or there twice, their lengths do not fit, or it is not clear which features are
        genes.
    """
    place = _find(folder, "matrix.mtx")
    features = _table(_find(folder, "features.tsv", "genes.tsv"))
    barcodes = _table(_find(folder, "barcodes.tsv"))
    n_rows, n_columns, n_values, *_ = io.mminfo(place)
    if (n_rows, n_columns) != (len(features), len(barcodes)):
        msg = (
            f"The files of '{folder}' do not belong together: the matrix has {n_rows:,} rows and "
            f"{n_columns:,} columns, for {len(features):,} genes and {len(barcodes):,} barcodes."
        )
        raise InputError(msg)
    check_declared(place, LEAST_LINE * n_values, place.stat().st_size)
    matrix = sparse.csr_matrix(io.mmread(place).T, dtype=np.float32)  # (cells, features)
    symbols = features[min(1, features.shape[1] - 1)].to_numpy()
    var = pd.DataFrame({"gene_ids": features[0].to_numpy()}, index=symbols)
    cells = AnnData(matrix, obs=pd.DataFrame(index=barcodes[0].to_numpy()), var=var)
    kinds = features[2].to_numpy() if features.shape[1] > 2 else None
    return _of_kind(cells, kinds, feature_type=feature_type, path=folder)


def _of_kind(cells: AnnData, kinds: np.ndarray | None, *, feature_type: str | None, path: Path) -> AnnData:
    """Return the features of one kind."""
    known = [] if kinds is None else [str(kind) for kind in pd.unique(kinds)]
    if feature_type is None and EXPRESSION not in known:
        if any(_is_other_assay(kind) for kind in known):
            msg = (
                f"No feature of '{path}' is of the kind {EXPRESSION!r}; there are {some(known)}. Choose the kind that "
                f"holds genes by feature_type={known[0]!r} when reading."
            )
            raise InputError(msg)
        return cells  # the column is of something else, such as biotypes, and all features are genes
    wanted = EXPRESSION if feature_type is None else feature_type
    if kinds is None or wanted not in known:
        msg = (
            f"'{path}' has no feature of the kind {wanted!r}. Kinds that there are: {some(known)}. Closest: "
            f"{closest(wanted, known)}."
        )
        raise InputError(msg)
    keep = kinds == wanted
    return cells if keep.all() else cells[:, keep].copy()


def _is_other_assay(kind: str) -> bool:
    """Return whether a kind of feature is one that Cell Ranger knows beside genes' expression."""
    return bool(re.search(r"antibody|crispr|multiplex|custom|peaks|vdj|antigen|hto|adt", kind, re.IGNORECASE))


def _no_genome(path: Path, genome: str, there: list[str]) -> InputError:
    return InputError(f"`genome` must be one of those of '{path}', {some(there)}; got {genome!r}.")


def _find(folder: Path, *names: str) -> Path:
    endings = "|".join(re.escape(name) for name in names)
    wanted = re.compile(rf"(.*[_.-])?({endings})(\.gz)?")
    there = [file for file in sorted(folder.iterdir()) if not file.name.startswith(".")]
    found = [file for file in there if wanted.fullmatch(file.name)]
    if len(found) != 1:
        names_there = some((file.name for file in found or there), limit=10)
        msg = (
            f"The folder '{folder}' must hold exactly one file {' or '.join(names)} (or .gz), as a 10x folder does; it "
            f"has {len(found)}. Found: {names_there}. Give a folder with the files of one sample, or the file itself "
            "for other data."
        )
        raise InputError(msg)
    return found[0]


def _table(path: Path) -> pd.DataFrame:
    return pd.read_csv(
        path, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=3, encoding=encoding_of(path)
    )
