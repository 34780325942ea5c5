"""Which cells are odd, and why: cells whose label, depth or place is out of the ordinary."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scprism.errors import PrismWarning
from scprism.label.transfer import told_by_latent
from scprism.report.subject import Subject
from scprism.report.tables import LOW_CONFIDENCE
from scprism.types import FloatArray

__all__ = ["CELLS_SHOWN", "OddCells", "find_odd_cells", "odd_section"]

CELLS_SHOWN = 200
CELLS_WITH_GENES = 20
"""So many of the oddest cells are shown with the genes that speak against their label."""
GENES_SHOWN = 4
MOST_CELLS_WITH_GENES = 50_000
"""The genes need another pass over all cells; in larger queries they are left to `View.reasons`."""
DEVIATIONS = 3
"""Median absolute deviations from the median from which a cell counts as an outlier (McCarthy et al. 2017)."""
KINDS = ("novel", "low confidence", "few molecules", "far")


@dataclass(frozen=True)
class OddCells:
    """Odd cells, those that are odd in the most ways first.

    Attributes
    ----------
    table
        A row an odd cell, index: row number in the query. ``cell label confidence runner_up novelty_p depth distance``
        (NaN or None where not known) and a column of booleans for each of `kinds`.
    kinds
        Ways in which cells were looked at.
    n_cells
        Cells of the query.
    """

    table: pd.DataFrame
    kinds: tuple[str, ...]
    n_cells: int


def find_odd_cells(labels: pd.DataFrame, depth: FloatArray | None) -> OddCells:
    """Return the odd cells of a labelled query.

    A cell is odd if it is novel; if its confidence is below one half; if it has few molecules, more than 3 median
    absolute deviations below the median of log1p molecules; or if it lies far from the labelled cells, as many above
    the median of log distances among cells of its label.

    Parameters
    ----------
    labels
        The table of `Model.label`, a row a cell.
    depth
        Molecules of each cell, (cells,); None: not known.

    References
    ----------
    McCarthy et al., Bioinformatics 33 (2017), 1179–1186: cells as outliers by median absolute deviations.
    """
    table = pd.DataFrame({"cell": labels.index.astype(str), "label": labels["label"].astype(str).to_numpy()})
    for name in ("confidence", "novelty_p", "distance"):
        table[name] = labels[name].to_numpy(dtype=float) if name in labels else np.nan
    table["runner_up"] = labels["runner_up"].astype(object).to_numpy() if "runner_up" in labels else None
    table["depth"] = np.nan if depth is None else depth
    found = {
        "novel": labels["novel"].to_numpy(dtype=bool),
        "low confidence": (table["confidence"] < LOW_CONFIDENCE).to_numpy(),
    }
    if depth is not None:
        found["few molecules"] = -_deviations(np.log1p(depth)) > DEVIATIONS
    if table["distance"].notna().any():
        logs = np.log(np.maximum(table["distance"].to_numpy(), 1e-12))
        apart = pd.Series(logs).groupby(table["label"]).transform(lambda values: _deviations(values.to_numpy()))
        found["far"] = apart.to_numpy() > DEVIATIONS
    kinds = tuple(kind for kind in KINDS if kind in found)
    for kind in kinds:
        table[kind] = found[kind]
    table["n_ways"] = table[list(kinds)].sum(axis=1)
    odd = table[table["n_ways"] > 0].sort_values(
        ["n_ways", "novelty_p", "confidence"], ascending=[False, True, True], kind="stable"
    )
    return OddCells(odd.drop(columns="n_ways"), kinds, len(labels))


def odd_section(subject: Subject, odd: OddCells | None) -> dict[str, Any] | None:
    """Return the odd cells in words, None without labels."""
    if odd is None:
        return None
    shown = odd.table.head(CELLS_SHOWN)
    genes = _genes_against(subject, shown.head(CELLS_WITH_GENES))
    rows = [
        {
            "cell": row["cell"],
            "label": row["label"],
            "confidence": f"{row['confidence']:.2f}",
            "runner_up": _text(row["runner_up"]),
            "p": "–" if pd.isna(row["novelty_p"]) else f"{row['novelty_p']:.3f}",
            "depth": "–" if pd.isna(row["depth"]) else f"{row['depth']:,.0f}",
            "why": "; ".join(_why(row, odd.kinds)),
            "genes": genes.get(row["cell"], []),
        }
        for row in shown.to_dict("records")
    ]
    return {
        "rows": rows,
        "has_genes": bool(genes),
        "n_with_genes": len(genes),
        "n_odd": len(odd.table),
        "n_cells": odd.n_cells,
        "counts": [{"kind": kind, "n": int(odd.table[kind].sum())} for kind in odd.kinds],
        "limit": LOW_CONFIDENCE,
        "by_label": _by_label(subject, odd),
    }


def _why(row: dict[Any, Any], kinds: Sequence[str]) -> list[str]:
    """Return why a cell is odd, a phrase for each way."""
    p, other = row["novelty_p"], _text(row["runner_up"])
    phrases = {
        "novel": "novel" if pd.isna(p) else f"novel: stranger than {1 - p:.1%} of the reference",
        "low confidence": "low confidence" + (f": {row['label']} or {other}" if other != "–" else ""),
        "few molecules": f"few molecules ({row['depth']:,.0f})",
        "far": f"far (distance {row['distance']:.2g})",
    }
    return [phrases[kind] for kind in kinds if row[kind]]


def _by_label(subject: Subject, odd: OddCells) -> list[dict[str, Any]]:
    """Return the labels with the largest share of odd cells, of those with 20 cells or more."""
    if subject.labels is None:
        return []
    sizes = subject.labels["label"].astype(str).value_counts()
    shares = (odd.table["label"].value_counts() / sizes).dropna()
    shares = shares[sizes[shares.index] >= 20].sort_values(ascending=False, kind="stable")
    return [{"label": str(label), "share": float(share)} for label, share in shares.head(3).items()]


def _genes_against(subject: Subject, cells: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return the genes that speak most against the label of each cell; none where nobody can say them cheaply.

    Cheap is what the model's index knows, or what was learned when the labels were found with the same views.

    Parameters
    ----------
    subject
        What the page is about.
    cells
        ``cell label runner_up`` of some odd cells.
    """
    names, view, config = subject.cells.obs_names, subject.view, subject.model.config
    wanted = [cell for cell in cells["cell"] if (names == cell).sum() == 1]
    column = subject.label_settings.get("labels") or subject.reference_labels
    if view is None or not wanted or len(names) > MOST_CELLS_WITH_GENES or told_by_latent(config):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)  # said when the labels were found
        if column in subject.model.labels_known:
            table = view.reasons(labels=column, cells=wanted)
        elif subject.reference_view is not None and subject.reference_labels is not None:
            table = view.reasons(reference=subject.reference_view, labels=subject.reference_labels, cells=wanted)
        else:
            return {}
    pairs = set(zip(cells["cell"], cells["label"], cells["runner_up"], strict=True))
    table = table.assign(part=table["regressions"] + table["centroids"])
    found = {}
    for (cell, label, against), rows in table[table["cell"] != ""].groupby(["cell", "label", "against"]):
        # cells labelled in groups, and by genes that another reference lacks, can have another label in the table
        if (cell, label, against) not in pairs:
            continue
        least = rows[rows["part"] < 0].nsmallest(GENES_SHOWN, "part")
        found[str(cell)] = [
            {"name": str(gene), "part": f"{part:+.2f}".replace("-", "−")}
            for gene, part in zip(least["gene"], least["part"], strict=True)
        ]
    return found


def _deviations(values: FloatArray) -> FloatArray:
    """Return how many median absolute deviations, as large as a normal's standard deviation, each value lies above."""
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    if spread == 0:
        return np.zeros(len(values))
    apart: FloatArray = (values - middle) / spread
    return apart


def _text(value: object) -> str:
    return str(value) if isinstance(value, str) and value else "–"
