"""Whether a query lies where the reference lies, and what differs if not."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from scprism.prepare.stream import PreparedChunk
from scprism.types import FloatArray

__all__ = ["CellQuality", "UsualRange", "describe_difference", "joined_quality", "quality_of", "usual_range"]

FAR_SHARE = 0.2
"""Share of novel cells from which a query is said to lie apart; of the reference's own kind it is 0.05 at most."""

LEAST_CELLS = 20
"""Cells of a label from which on its share of novel ones is told."""


@dataclass(frozen=True)
class CellQuality:
    """What each cell is like apart from its latent; arrays over cells.

    Attributes
    ----------
    depth
        Counts in the genes that labels are told by.
    zeros
        Share of these genes, of those that the file has, without a count.
    """

    depth: FloatArray
    zeros: FloatArray


@dataclass(frozen=True)
class UsualRange:
    """The 1st, 50th and 99th percentile over a reference's cells of what a `CellQuality` has."""

    depth: tuple[float, float, float]
    zeros: tuple[float, float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return what `to_json` gave."""
        (a, b, c), (d, e, f) = (map(float, values[name]) for name in ("depth", "zeros"))
        return cls(depth=(a, b, c), zeros=(d, e, f))


def quality_of(chunk: PreparedChunk, *, n_genes: int) -> CellQuality:
    """Return the quality of a few cells; `n_genes` is how many of the recipe's genes the file has."""
    depth = np.asarray(chunk.counts.sum(axis=1), dtype=np.float64).ravel()
    zeros = 1 - np.asarray((chunk.counts != 0).sum(axis=1), dtype=np.float64).ravel() / max(n_genes, 1)
    return CellQuality(depth, zeros)


def joined_quality(seen: list[CellQuality]) -> CellQuality:
    """Return the quality of all chunks' cells as one."""
    empty = [np.zeros(0)]
    return CellQuality(
        np.concatenate([p.depth for p in seen] or empty), np.concatenate([p.zeros for p in seen] or empty)
    )


def usual_range(quality: CellQuality) -> UsualRange:
    """Return the percentiles of a reference's quality."""
    low, middle, high = (np.quantile(quality.depth, q) for q in (0.01, 0.5, 0.99))
    few, some, many = (np.quantile(quality.zeros, q) for q in (0.01, 0.5, 0.99))
    return UsualRange((float(low), float(middle), float(high)), (float(few), float(some), float(many)))


def describe_difference(
    quality: CellQuality, usual: UsualRange, *, calls: pd.DataFrame, is_outside: bool = False
) -> str:
    """Return what sets a query apart from the reference as a sentence, empty if nothing does.

    Parameters
    ----------
    quality, usual
        Of the query's and of the reference's cells. The query differs where its median lies outside the reference's
        1st to 99th percentile.
    calls
        ``label`` and ``novel`` of the query's cells.
    is_outside
        Whether the query lies beyond what the reference can judge (`scprism.label.novelty.Novelty.lies_outside`).
    """
    if len(quality.depth) == 0:
        return ""
    found = []
    if is_outside:
        found.append(
            "nine tenths of its cells or more are stranger than the reference's own would be on the most different "
            "platform that was simulated, as cells of another species or of types that the reference lacks are; which "
            "of them are new cannot be told, and confidence holds only for those that are not"
        )
    share = float(calls["novel"].mean())
    if share > FAR_SHARE:
        found.append(
            f"{share:.0%} of its cells are novel, where 5% or fewer are expected of the reference's own kind "
            "(types or states that the reference lacks, or another tissue or platform)"
        )
    else:
        by_label = calls.groupby("label")["novel"].agg(["size", "mean"])
        odd = by_label[(by_label["size"] >= LEAST_CELLS) & (by_label["mean"] > FAR_SHARE)]
        if len(odd):
            each = ", ".join(f"{label!r} ({row['mean']:.0%} of {int(row['size']):,})" for label, row in odd.iterrows())
            found.append(f"of the cells with some labels many are novel: {each}; they may be another type")
    depth, zeros = float(np.median(quality.depth)), float(np.median(quality.zeros))
    if not usual.depth[0] <= depth <= usual.depth[2]:
        found.append(
            f"counts per cell in the genes that labels are told by: median {depth:,.0f}, in the reference "
            f"{usual.depth[1]:,.0f} ({usual.depth[0]:,.0f} to {usual.depth[2]:,.0f})"
        )
    if not usual.zeros[0] <= zeros <= usual.zeros[2]:
        found.append(
            f"genes without a count: median {zeros:.0%}, in the reference {usual.zeros[1]:.0%} "
            f"({usual.zeros[0]:.0%} to {usual.zeros[2]:.0%})"
        )
    if not found:
        return ""
    return f"The query is unlike the reference: {'; '.join(found)}. Read confidence and novel beside each label."
