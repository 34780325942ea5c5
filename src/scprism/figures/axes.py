"""Axes that fit what is drawn on them, and names that fit on them."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from scprism.types import FloatArray

__all__ = ["axes_of", "heatmap", "say_nothing"]

LEAST, MOST = 3.0, 40.0
"""Inches of a figure's sides."""
CELL = 0.22
"""Inches of a row or a column with a name in small print."""


def axes_of(ax: Axes | None, *, columns: int = 0, rows: int = 0) -> Axes:
    """Return the axes given, or new ones on a figure with room for so many named columns and rows."""
    if ax is not None:
        return ax
    width = float(np.clip(2.5 + CELL * columns, 6.4 if not columns else LEAST, MOST))
    height = float(np.clip(1.8 + CELL * rows, 4.8 if not rows else LEAST, MOST))
    made: Axes = plt.subplots(figsize=(width, height), layout="constrained")[1]
    return made


def heatmap(
    values: FloatArray,
    ax: Axes | None,
    *,
    columns: list[str],
    rows: list[str],
    cmap: str,
    norm: Normalize,
    label: str,
) -> Axes:
    """Return a map of numbers, (rows, columns), with the name of each row and column and a scale of colours."""
    ax = axes_of(ax, columns=len(columns), rows=len(rows))
    image = ax.imshow(values, cmap=cmap, norm=norm, aspect="auto", interpolation="nearest")
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize="small")
    ax.set_yticks(range(len(rows)), rows, fontsize="small")
    ax.figure.colorbar(image, ax=ax, label=label)
    return ax


def say_nothing(ax: Axes | None, text: str) -> Axes:
    """Return axes with a sentence in place of a figure that would be empty."""
    ax = axes_of(ax)
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
    ax.set_axis_off()
    return ax
