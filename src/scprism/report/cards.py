"""What the page states of each program: a card with its verdict, genes, sets, labels and cells."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scprism.explain.explanation import ALL
from scprism.genes.sets import set_name
from scprism.report.subject import Subject, query_view, shows_programs
from scprism.report.tables import SIGNIFICANT, dead_units, significant_groups
from scprism.trust.assess import assess_units
from scprism.trust.inputs import TrustSettings
from scprism.trust.programs import judged
from scprism.trust.result import Trust
from scprism.types import FloatArray
from scprism.units.inference import LEAST_SHARE
from scprism.units.unit import Unit, active_labels, describe_units

__all__ = ["card_section", "judged_units", "program_trust", "shown_genes", "unit_titles"]

GENES_SHOWN, LABELS_SHOWN, CELLS_SHOWN, PARTS_SHOWN, SETS_SHOWN = 10, 5, 5, 8, 6


def program_trust(subject: Subject) -> Trust | None:
    """Return the verdicts on the page's programs: those that were given, or the ones that need no fit; None for raw."""
    if not shows_programs(subject):
        return None
    if subject.trust is not None:
        return subject.trust
    return assess_units(subject.model, query_view(subject), settings=TrustSettings(units="programs"), rng=0)


def judged_units(
    subject: Subject, trust: Trust | None, values: FloatArray, labels: "pd.Series[str] | None"
) -> list[Unit]:
    """Return the record of each unit in the query, its name and verdict those that it has there; none for raw units.

    `values` are the activities in the query, (cells, units).
    """
    if trust is None:
        return []
    records = describe_units(
        subject.model.program_units(), activities=values, cells=subject.cells.obs_names, labels=labels
    )
    return judged(records, trust)


def unit_titles(units: Sequence[Unit]) -> list[str]:
    """Return each unit's name with its proposed name, where it has one."""
    return [f"{unit.name} {unit.proposed_name}".strip() for unit in units]


def shown_genes(units: Sequence[Unit]) -> list[str]:
    """Return the genes that the cards show, the leading gene of each unit first."""
    ranked = [list(unit.genes.head(GENES_SHOWN)["gene"]) for unit in units]
    return [str(genes[place]) for place in range(GENES_SHOWN) for genes in ranked if place < len(genes)]


def card_section(
    subject: Subject, units: Sequence[Unit], trust: Trust | None, values: FloatArray
) -> dict[str, Any] | None:
    """Return the cards, None for raw units."""
    if trust is None:
        return None
    counts = significant_groups(subject.enrichment)
    dead = dead_units(values) if len(values) > 1 else np.zeros(len(units), dtype=bool)
    rows = trust.table.set_index("unit")
    cards = [
        {
            **_verdict(unit, rows.loc[unit.name].to_dict()),
            "number": number,
            "dead": bool(dead[number]),
            "genes": _genes(unit),
            "made_by": _made_by(subject, unit.name),
            "sets": _sets(unit),
            "query_sets": _query_sets(counts, unit.name),
            "has_labels": bool(len(unit.labels)),
            "labels": [
                {"name": str(row["label"]), "auroc": f"{row['auroc']:.2f}", "mean": f"{row['mean']:.2f}"}
                for row in active_labels(unit).head(LABELS_SHOWN).to_dict("records")
            ],
            "cells": [
                {"name": str(row["cell"]), "activity": f"{row['activity']:.2f}"}
                for row in unit.cells.head(CELLS_SHOWN).to_dict("records")
            ],
            "parts": _parts(subject, unit.name, values[:, number]),
        }
        for number, unit in enumerate(units)
    ]
    return {
        "cards": cards,
        "n_may": sum(card["may"] for card in cards),
        "n_dropped": subject.model.program_units().units.n_dropped,
        "rules": trust.settings["rules"],
        "n_refits": trust.settings["n_refits"],
        "n_cells": trust.settings["n_cells"],
    }


def _verdict(unit: Unit, row: Mapping[Any, Any]) -> dict[str, Any]:
    coverage, moves, fits = (float(row[name]) for name in ("coverage", "query_coherence", "matched_correlation"))
    return {
        "name": unit.name,
        "proposed": unit.proposed_name,
        "may": unit.trusted,
        "reason": unit.reason,
        "replication": f"{unit.replication:.2f}",
        "n_found": unit.n_runs_found,
        "n_runs": unit.n_runs,
        "coherence": f"{unit.coherence:.2f}",
        "query_coherence": None if np.isnan(moves) else f"{moves:.2f}".replace("-", "−"),
        "further_fits": None if np.isnan(fits) else f"{fits:.2f}",
        "coverage": coverage,
        "lacks_most": coverage < LEAST_SHARE,
    }


def _genes(unit: Unit) -> list[dict[str, Any]]:
    """Return the leading genes with where their weight and its range lie on a scale from 0 to 100."""
    table = unit.genes.head(GENES_SHOWN)
    longest = float(table["high"].max()) if len(table) else 1.0
    return [
        {
            "name": str(row["gene"]),
            "weight": f"{row['weight']:.2f}",
            "range": f"{row['low']:.2f} to {row['high']:.2f}",
            "start": round(100 * row["low"] / longest, 1),
            "length": round(100 * (row["high"] - row["low"]) / longest, 1),
            "at": round(100 * row["weight"] / longest, 1),
        }
        for row in table.to_dict("records")
    ]


def _sets(unit: Unit) -> list[dict[str, Any]]:
    return [
        {
            "name": set_name(str(row["gene_set"])),
            "up": row["direction"] == "up",
            "q": f"{row['q_value']:.1g}",
            "share": "all runs" if row["share_of_runs"] == 1 else f"{row['share_of_runs']:.0%} of runs",
            "edge": str(row["leading_edge"]).split(";"),
        }
        for row in unit.sets.sort_values("direction", ascending=False, kind="stable").to_dict("records")
    ]


def _query_sets(counts: pd.DataFrame, unit: str) -> dict[str, Any]:
    """Return the sets that the unit's parts form in most groups of the query."""
    column = counts[unit] if unit in counts.columns else pd.Series(dtype=int)
    column = column[column > 0].sort_values(ascending=False, kind="stable")
    shown = [{"name": set_name(str(name)), "n": int(n)} for name, n in column.head(SETS_SHOWN).items()]
    return {"shown": shown, "n_more": len(column) - len(shown), "limit": SIGNIFICANT}


def _made_by(subject: Subject, unit: str) -> list[str]:
    """Return the genes that add most to the activity over the query's cells."""
    return [gene for gene, _ in _leading(subject.explanation.frame(ALL), unit)]


def _parts(subject: Subject, unit: str, activity: FloatArray) -> list[dict[str, str]]:
    """Return which genes made the activity of the cell with most of a unit."""
    if not len(activity) or activity.max() <= 0:
        return []
    parts = query_view(subject).why(int(np.argmax(activity)))
    return [{"name": gene, "part": f"{part:.2f}"} for gene, part in _leading(parts, unit)]


def _leading(parts: pd.DataFrame, unit: str) -> list[tuple[str, float]]:
    """Return the genes that add most to a unit, with what they add; `parts` is units × genes."""
    row = parts.to_numpy(np.float64)[list(parts.index).index(unit)]
    order = np.argsort(-row, kind="stable")[:PARTS_SHOWN]
    return [(str(parts.columns[gene]), float(row[gene])) for gene in order if row[gene] > 0]
