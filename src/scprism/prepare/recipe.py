"""The recipe: how counts become the network's input, learned once and stored with the weights."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import numpy as np

from scprism.types import FloatArray, Organism

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How cells are prepared for one model.

    Attributes
    ----------
    genes
        The network's genes in order.
    organism
        What the genes belong to; None where it could not be told.
    normalise, target_sum, library, negative_values
        As in `scprism.model.config.Config`.
    mean, spread
        Mean and standard deviation of each gene's normalised expression in the reference, float64 (genes,).
    share
        Mean share of a reference cell's counts that each gene holds, float64 (genes,); its sum is the recipe's part of
        a library. Equal shares where values are not counts.
    n_cells
        Reference cells that the recipe was learned from.
    """

    genes: tuple[str, ...]
    organism: Organism | None
    normalise: Literal["per_cell", "per_gene", "none"]
    target_sum: float
    library: Literal["all", "recipe"]
    negative_values: Literal["refuse", "clip", "keep"]
    mean: FloatArray
    spread: FloatArray
    share: FloatArray
    n_cells: int

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a dictionary that JSON can hold, numbers exact."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the recipe in `values`."""
        arrays = {name: np.asarray(values[name], dtype=np.float64) for name in ("mean", "spread", "share")}
        return cls(**{**values, **arrays, "genes": tuple(values["genes"])})

    def with_moments(self, *, mean: FloatArray, spread: FloatArray, share: FloatArray, n_cells: int) -> Self:
        """Return the recipe with what was learned from the reference."""
        return replace(self, mean=mean, spread=spread, share=share, n_cells=n_cells)
