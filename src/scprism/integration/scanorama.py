"""Corrected expression of several batches in one data set, by Scanorama: mutual neighbours, without R."""

import contextlib
import io
import random
from collections.abc import Iterator, Sequence

import numpy as np
from anndata import AnnData
from scipy.sparse.linalg import norm

from scprism._check import require
from scprism.integration.joined import corrected_cells, join_data_sets, log_values

__all__ = ["scanorama"]


def scanorama(
    data_sets: Sequence[AnnData], *, batch: str, layer: str | None = None, target_sum: float = 1e4, seed: int = 0
) -> AnnData:
    """Return all cells in the genes that every data set has, log1p normalised and corrected by Scanorama.

    Scanorama corrects cells of unit length. They come back times one number for all cells, the median length before, so
    that values are of the size of log1p counts per `target_sum`; differences in length between cells are gone.

    Arguments and result are those of `scprism.integration.methods.integrate`; `seed` is that of its approximate
    neighbours.

    Raises
    ------
    InputError
        As `integrate`.
    PrismError
        If the package scanorama is not installed.

    References
    ----------
    Hie, Bryson and Berger, Nature Biotechnology 37:685 (2019).
    """
    with _unseeded():  # importing it sets numpy's global seed
        package = require("scanorama", extra="integrate")
    joined = join_data_sets(data_sets, batch=batch, layer=layer)
    values = log_values(joined, target_sum=target_sum)
    length = float(np.median(norm(values, axis=1)))
    rows = [np.flatnonzero(joined.batches == code) for code in range(joined.batches.max() + 1)]
    with _unseeded():
        parts, genes = package.correct(
            [values[r] for r in rows], [list(joined.genes)] * len(rows), verbose=0, seed=seed, return_dense=True
        )
    corrected = np.empty(values.shape, dtype=np.float32)
    corrected[np.concatenate(rows)] = np.concatenate(parts) * length
    return corrected_cells(joined, corrected, genes=[str(g) for g in genes], method="scanorama")


@contextlib.contextmanager
def _unseeded() -> Iterator[None]:
    """Leave the global generators, which the package seeds, as they were, and keep what it prints to itself."""
    of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002  the global one is what it seeds
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        np.random.set_state(of_numpy)  # noqa: NPY002
        random.setstate(of_python)
