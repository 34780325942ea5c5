"""The record of an explanation, and its file."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scprism.types import FloatArray

__all__ = ["Explanation"]


@dataclass(frozen=True)
class Explanation:
    """Mean attributions of every bottleneck unit (or other direction) to every gene, per group of cells.

    Attributes
    ----------
    signed, absolute
        Mean attribution and mean |attribution| over the cells of a group; float32 (groups, units, genes), in units of
        latent activation per log1p expression for gradients, in latent activation for the methods that sum to it.
    groups, units, genes
        Names of the three axes; the group ``"all"`` is the whole data set.
    n_cells
        Cells in each group, (groups,).
    method
        The attribution method.
    completeness_error
        Largest relative gap between the attributions' sum and the activation they should sum to; NaN where a method
        promises no sum.
    baseline
        What the attributions are relative to, in words.
    fingerprint
        Fingerprint of the model's weights.
    """

    signed: FloatArray
    absolute: FloatArray
    groups: tuple[str, ...]
    units: tuple[str, ...]
    genes: tuple[str, ...]
    n_cells: np.ndarray
    method: str
    completeness_error: float
    baseline: str
    fingerprint: str

    def frame(self, group: str, *, absolute: bool = False) -> pd.DataFrame:
        """Return one group's map as a table, units by genes."""
        values = self.absolute if absolute else self.signed
        return pd.DataFrame(values[self.groups.index(group)], index=list(self.units), columns=list(self.genes))
