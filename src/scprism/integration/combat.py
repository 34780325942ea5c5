"""Corrected expression of several batches in one data set, by ComBat."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
import scanpy
from anndata import AnnData

from scprism._check import some
from scprism.errors import InputError
from scprism.integration.joined import Joined, corrected_cells, join_data_sets, log_values

__all__ = ["combat"]

LEAST_CELLS = 2
"""A batch of one cell has no variance."""


def combat(data_sets: Sequence[AnnData], *, batch: str, layer: str | None = None, target_sum: float = 1e4) -> AnnData:
    """Return all cells in the genes that every data set has, log1p normalised and corrected by ComBat.

    Arguments and result are those of `scprism.integration.methods.integrate`.

    Raises
    ------
    InputError
        As `integrate`, and if a batch has one cell only.

    References
    ----------
    Johnson, Li and Rabinovic, Biostatistics 8:118 (2007), as scanpy implements it.
    """
    joined = join_data_sets(data_sets, batch=batch, layer=layer)
    _check_sizes(joined, batch)
    cells = AnnData(
        log_values(joined, target_sum=target_sum), obs=joined.obs[[batch]], var=pd.DataFrame(index=list(joined.genes))
    )
    # Its test of convergence divides by what it starts from, which may be 0, and it prints.
    with np.errstate(divide="ignore"), contextlib.redirect_stdout(io.StringIO()):
        values = scanpy.pp.combat(cells, key=batch, inplace=False)
    return corrected_cells(joined, values, genes=joined.genes, method="combat")


def _check_sizes(joined: Joined, batch: str) -> None:
    sizes = joined.obs[batch].value_counts()
    small = [str(name) for name, size in sizes.items() if size < LEAST_CELLS]
    if small:
        msg = (
            f"ComBat needs at least {LEAST_CELLS} cells in each batch of {batch!r}, to know how they vary; "
            f"{some(small)} {'has' if len(small) == 1 else 'have'} one. Leave such cells out, or join them to another "
            "batch."
        )
        raise InputError(msg)
