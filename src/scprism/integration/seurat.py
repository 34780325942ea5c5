"""Corrected expression of several batches in one data set, by Seurat: R in a process of its own, files in between."""

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from anndata import AnnData
from scipy.io import mmwrite

from scprism.errors import InputError, PrismError
from scprism.integration.joined import Joined, corrected_cells, join_data_sets
from scprism.types import FloatArray, IntArray

__all__ = ["seurat"]

logger = logging.getLogger("scprism")

SCRIPT = Path(__file__).with_name("seurat.R")
LEAST_CELLS = 10
"""Below this a batch has too few cells to find anchors among."""
NOT_INSTALLED = 3
"""Exit status of the script where R has no Seurat."""
SHOWN_LINES = 8
HOW_TO_INSTALL = (
    "Debian and Ubuntu: apt-get install r-cran-seurat; conda: conda install -c conda-forge r-seurat; in R: "
    "install.packages('Seurat'). Without R, method='combat' corrects batches too."
)


def seurat(
    data_sets: Sequence[AnnData],
    *,
    batch: str,
    layer: str | None = None,
    target_sum: float = 1e4,
    n_genes: int = 2000,
    timeout_seconds: float = 7200,
) -> AnnData:
    """Return all cells in their variable genes, log1p normalised and corrected by Seurat's anchors.

    R runs as a process of its own; what it says is logged at the level of debugging. Its defaults are kept (canonical
    correlation, 30 dimensions), and lowered only where the smallest batch has fewer cells than they ask for.

    Arguments and result are those of `scprism.integration.methods.integrate`. Seurat takes `n_genes` genes as features
    of its anchors; these come back corrected, and the others are left out.

    Raises
    ------
    InputError
        As `integrate`, and if a batch is too small.
    PrismError
        If R or Seurat is not there, fails, or takes too long.

    References
    ----------
    Stuart et al., Cell 177:1888 (2019).
    """
    rscript = shutil.which("Rscript")
    if rscript is None:
        msg = f"method='seurat' runs the R package Seurat, and there is no Rscript on the PATH. {HOW_TO_INSTALL}"
        raise PrismError(msg)
    joined = join_data_sets(data_sets, batch=batch, layer=layer)
    _check_sizes(joined, batch)
    with tempfile.TemporaryDirectory(prefix="scprism-seurat-") as name:
        folder = Path(name)
        _write_inputs(joined, folder)
        _run(
            [rscript, str(SCRIPT), name, f"{target_sum:.17g}", str(min(n_genes, len(joined.genes)))],
            timeout_seconds=timeout_seconds,
        )
        values, places = _read_integrated(folder, n_cells=len(joined.obs))
    order = np.argsort(places)  # alphabetical, as the other methods return them
    return corrected_cells(joined, values[:, order], genes=[joined.genes[i] for i in places[order]], method="seurat")


def _check_sizes(joined: Joined, batch: str) -> None:
    sizes = joined.obs[batch].value_counts()
    if sizes.min() < LEAST_CELLS:
        msg = (
            f"Seurat finds no anchors in a batch of fewer than {LEAST_CELLS} cells, and batch {sizes.idxmin()!r} of "
            f"{batch!r} has {sizes.min()}. Leave it out, or use method='combat'."
        )
        raise InputError(msg)


def _write_inputs(joined: Joined, folder: Path) -> None:
    mmwrite(folder / "counts.mtx", joined.counts.T.tocoo().astype(np.int64), symmetry="general")
    np.savetxt(folder / "library.tsv", joined.library, fmt="%.17g")
    np.savetxt(folder / "batches.tsv", joined.batches, fmt="%d")


def _run(command: list[str], *, timeout_seconds: float) -> None:
    """Run R to its end; what it says is shown where it fails."""
    try:
        done = subprocess.run(  # noqa: S603  the script is ours, its arguments are numbers and a folder that we made
            command, capture_output=True, text=True, errors="replace", timeout=timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        msg = (
            f"Seurat did not end within {timeout_seconds:g} seconds and was stopped. Raise the timeout, or correct "
            "fewer cells or genes."
        )
        raise PrismError(msg) from error
    logger.debug("Seurat: %s", done.stderr)
    if done.returncode == NOT_INSTALLED:
        msg = f"method='seurat' needs the R package Seurat, which {command[0]} does not find. {HOW_TO_INSTALL}"
        raise PrismError(msg)
    if done.returncode != 0:
        said = [line.rstrip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        lines = "\n  ".join(said[-SHOWN_LINES:]) or "nothing"
        msg = f"Seurat failed (exit status {done.returncode}). R said last:\n  {lines}"
        raise PrismError(msg)


def _read_integrated(folder: Path, *, n_cells: int) -> tuple[FloatArray, IntArray]:
    """Return the integrated values (cells, genes) and the genes' places among those that R was given."""
    places = np.loadtxt(folder / "genes.tsv", dtype=np.int64, ndmin=1) - 1
    values = np.fromfile(folder / "integrated.bin", dtype="<f4")
    if values.size != n_cells * len(places):
        msg = (
            f"Seurat wrote {values.size:,} values for {n_cells:,} cells × {len(places):,} genes: its output is cut off."
        )
        raise PrismError(msg)
    return values.reshape(n_cells, len(places)), places
