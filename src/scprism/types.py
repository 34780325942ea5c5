"""Types that several steps share."""

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = [
    "AttributionMethod",
    "Baseline",
    "FloatArray",
    "IntArray",
    "Matrix",
    "Organism",
    "PathLike",
    "RNGLike",
    "UnitKind",
]

AttributionMethod: TypeAlias = Literal[
    "plain", "guided", "deeplift", "gradient_x_input", "integrated_gradients", "expected_gradients"
]
Baseline: TypeAlias = Literal["zero", "mean"]
FloatArray: TypeAlias = NDArray[np.floating]
IntArray: TypeAlias = NDArray[np.integer]
Matrix: TypeAlias = FloatArray | IntArray | sparse.csr_matrix | sparse.csr_array | sparse.csc_matrix | sparse.csc_array
Organism: TypeAlias = Literal["human", "mouse"]
PathLike: TypeAlias = str | Path
RNGLike: TypeAlias = int | np.random.Generator | None
UnitKind: TypeAlias = Literal["programs", "raw"]
