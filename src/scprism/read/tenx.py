"""Output of 10x Genomics' Cell Ranger: the HDF5 file, and the folder with a matrix.mtx."""

from pathlib import Path

import numpy as np
import pandas as pd
import scanpy
from anndata import AnnData
from scipy import io, sparse

from scprism._check import some
from scprism.errors import InputError

__all__ = ["read_10x_folder", "read_10x_h5"]


def read_10x_h5(path: Path) -> AnnData:
    """Return the genes' counts of a 10x HDF5 file of Cell Ranger 2 or later, CSR; other features are left out."""
    cells = scanpy.read_10x_h5(path)
    cells.X = sparse.csr_matrix(cells.X)
    return cells


def read_10x_folder(folder: Path) -> AnnData:
    """Return the genes' counts of a folder as Cell Ranger writes it, CSR float32; other features are left out.

    It holds ``matrix.mtx``, ``barcodes.tsv``, and ``features.tsv`` (version 3 and later) or ``genes.tsv`` (version 2,
    Tabula Muris); each may be gzipped and start with a sample's name and an underscore, as in GEO. The genes' file may
    have one column (symbols), two (ids, symbols) or three (ids, symbols, kind of feature).

    Raises
    ------
    InputError
        If one of the files is missing or there twice, or their lengths do not fit.
    """
    matrix = sparse.csr_matrix(io.mmread(_find(folder, "matrix.mtx")).T, dtype=np.float32)  # (cells, features)
    features = _table(_find(folder, "features.tsv", "genes.tsv"))
    barcodes = _table(_find(folder, "barcodes.tsv"))
    if matrix.shape != (len(barcodes), len(features)):
        msg = (
            f"The files of '{folder}' do not belong together: the matrix has {matrix.shape[1]:,} rows and "
            f"{matrix.shape[0]:,} columns, for {len(features):,} genes and {len(barcodes):,} barcodes."
        )
        raise InputError(msg)
    symbols = features[min(1, features.shape[1] - 1)].to_numpy()
    var = pd.DataFrame({"gene_ids": features[0].to_numpy()}, index=symbols)
    cells = AnnData(matrix, obs=pd.DataFrame(index=barcodes[0].to_numpy()), var=var)
    if features.shape[1] < 3:
        return cells
    return cells[:, (features[2] == "Gene Expression").to_numpy()].copy()


def _find(folder: Path, *names: str) -> Path:
    wanted = {f"{name}{end}" for name in names for end in ("", ".gz")}
    found = sorted(
        file
        for file in folder.iterdir()
        if file.name in wanted or any(file.name.endswith(f"_{name}") for name in wanted)
    )
    if len(found) != 1:
        there = some((file.name for file in found or sorted(folder.iterdir())), limit=10)
        msg = (
            f"The folder '{folder}' must hold exactly one file {' or '.join(names)} (or .gz), as a 10x folder does; it "
            f"has {len(found)}. Found: {there}. For other data, give the file itself."
        )
        raise InputError(msg)
    return found[0]


def _table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=3)
