"""One unit as a record: its name, its genes and sets, where it is active, and whether it may be named."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from scprism._check import closest
from scprism._html import record_html
from scprism.errors import InputError
from scprism.types import FloatArray
from scprism.units.card import label_aurocs, top_cells, top_genes
from scprism.units.named import FoundSet, NamedUnits

__all__ = ["Unit", "active_labels", "describe_unit", "describe_units", "unit_table"]

N_GENES, N_CELLS = 20, 10
ACTIVE_AUROC = 0.7
"""A unit is called active in a label whose cells have more of it than other cells with at least this probability."""


@dataclass(frozen=True, eq=False, repr=False)
class Unit:
    """What is known of one unit, from `Model.unit`, or from `View.unit` with what it does in the cells of a query.

    Attributes
    ----------
    name
        ``"U01"``, ….
    proposed_name
        After the gene set that it forms best, or its three leading genes; empty where it is not trusted.
    trusted
        Whether it may be named, by the runs that found it.
    reason
        Why not; empty if it may.
    replication
        Correlation of its activity with that of its counterpart, found in other cells from another start.
    coherence
        Correlation between its activities read from two halves of its genes, in cells that a run did not see.
    n_runs_found
        Runs in which it came back.
    n_runs
        Runs on halves of the cells.
    genes
        The 20 leading genes: ``rank gene weight low high``; weights are log1p counts per 10,000 at activity 1, ``low``
        and ``high`` their range over the runs.
    sets
        Gene sets that it forms in at least four fifths of the runs:
        ``gene_set direction nes q_value share_of_runs leading_edge``, genes joined by ``;``.
    labels
        How active it is in each label, most first: ``label n_cells mean auroc``; the AUROC is the probability that a
        cell of the label has more of the unit than a cell of another. Empty without labels.
    cells
        The 10 cells with most of it: ``cell activity``. Empty without cells.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> unit = model.unit("U01")
    >>> unit.name, len(unit.genes)
    ('U01', 20)
    """

    name: str
    proposed_name: str
    trusted: bool
    reason: str
    replication: float
    coherence: float
    n_runs_found: int
    n_runs: int
    genes: pd.DataFrame
    sets: pd.DataFrame
    labels: pd.DataFrame
    cells: pd.DataFrame

    def __repr__(self) -> str:
        """Return name, proposed name and verdict in one line."""
        return f"Unit({self._summary()})"

    def _repr_html_(self) -> str:
        tables = [part for part in (self.genes, self.sets, self.labels, self.cells) if len(part)]
        shown = "".join(part.to_html(index=False, float_format="{:.3g}".format) for part in tables)
        return record_html(f"Unit {self._summary()}", (), shown)

    def _summary(self) -> str:
        named = self.proposed_name if self.trusted else f"not named: {self.reason}"
        return f"{self.name}, {named}; found in {self.n_runs_found} of {self.n_runs} runs"


def describe_unit(
    named: NamedUnits,
    name: str,
    *,
    activities: FloatArray | None = None,
    cells: Sequence[str] | pd.Index = (),
    labels: "pd.Series[str] | None" = None,
) -> Unit:
    """Return the record of one unit.

    Parameters
    ----------
    named
        A model's units.
    name
        Of the unit.
    activities
        Of all units in some cells, (cells, units); None: the record has no cells and no labels.
    cells
        The names of those cells.
    labels
        Their labels; cells without one are left out.

    Raises
    ------
    InputError
        If there is no such unit.
    """
    units = named.units
    if name not in units.names:
        msg = f"There is no unit {name!r}. Closest: {closest(name, units.names)}."
        raise InputError(msg)
    row = units.names.index(name)
    genes = top_genes(units, named.genes, n_genes=N_GENES)
    return Unit(
        name=name,
        proposed_name=named.proposed_names[row],
        trusted=bool(named.trusted[row]),
        reason=named.reasons[row],
        replication=float(units.replication[row]),
        coherence=float(units.coherence[row]),
        n_runs_found=int(units.n_runs_found[row]),
        n_runs=units.settings.runs,
        genes=genes[genes["unit"] == name].drop(columns="unit").reset_index(drop=True),
        sets=_set_table(named.sets[row]),
        labels=_label_table(None if activities is None else activities[:, row], labels),
        cells=_cell_table(None if activities is None else activities[:, row], cells),
    )


def describe_units(
    named: NamedUnits,
    *,
    activities: FloatArray | None = None,
    cells: Sequence[str] | pd.Index = (),
    labels: "pd.Series[str] | None" = None,
) -> list[Unit]:
    """Return the record of each unit; arguments as in `describe_unit`."""
    return [describe_unit(named, name, activities=activities, cells=cells, labels=labels) for name in named.units.names]


def active_labels(unit: Unit) -> pd.DataFrame:
    """Return the rows of ``unit.labels`` in which it is active: AUROC 0.7 or more."""
    return unit.labels[unit.labels["auroc"] >= ACTIVE_AUROC]


def unit_table(units: Sequence[Unit]) -> pd.DataFrame:
    """Return the records as one table, a row a unit; what is a list is joined by ``;`` and, within it, by spaces.

    ``unit proposed_name trusted reason replication coherence n_runs_found genes weights lows highs sets directions
    set_shares leading_edges labels aurocs cells activities``: ``labels`` are those in which the unit is active.
    """
    rows = []
    for unit in units:
        active = active_labels(unit)
        edges = [" ".join(str(genes).split(";")) for genes in unit.sets["leading_edge"]]
        rows.append(
            {
                "unit": unit.name,
                "proposed_name": unit.proposed_name,
                "trusted": unit.trusted,
                "reason": unit.reason,
                "replication": unit.replication,
                "coherence": unit.coherence,
                "n_runs_found": unit.n_runs_found,
                "genes": ";".join(unit.genes["gene"]),
                **{f"{part}s": _numbers(unit.genes[part]) for part in ("weight", "low", "high")},
                "sets": ";".join(unit.sets["gene_set"]),
                "directions": ";".join(unit.sets["direction"]),
                "set_shares": _numbers(unit.sets["share_of_runs"]),
                "leading_edges": ";".join(edges),
                "labels": ";".join(active["label"]),
                "aurocs": _numbers(active["auroc"]),
                "cells": ";".join(unit.cells["cell"]),
                "activities": _numbers(unit.cells["activity"]),
            }
        )
    return pd.DataFrame(rows)


def _set_table(sets: Sequence[FoundSet]) -> pd.DataFrame:
    columns = ["gene_set", "direction", "nes", "q_value", "share_of_runs", "leading_edge"]
    rows = [{**asdict(found), "leading_edge": ";".join(found.leading_edge)} for found in sets]
    return pd.DataFrame(rows, columns=["name", *columns[1:]]).rename(columns={"name": "gene_set"})


def _label_table(activity: FloatArray | None, labels: "pd.Series[str] | None") -> pd.DataFrame:
    columns = ["label", "n_cells", "mean", "auroc"]
    if activity is None or labels is None:
        return pd.DataFrame(columns=columns)
    values = np.asarray(labels, dtype=object)
    aurocs = label_aurocs(activity[:, None], values, ["auroc"]).T.rename_axis("label").reset_index()
    known = pd.notna(values)
    grouped = pd.Series(activity[known].astype(np.float64)).groupby(values[known].astype(str))
    means = grouped.agg(n_cells="size", mean="mean")
    table = aurocs.join(means, on="label")[columns]
    return table.sort_values("auroc", ascending=False, kind="stable").reset_index(drop=True)


def _cell_table(activity: FloatArray | None, cells: Sequence[str] | pd.Index) -> pd.DataFrame:
    if activity is None or not len(cells):
        return pd.DataFrame(columns=["cell", "activity"])
    chosen = top_cells(activity[:, None], n_cells=N_CELLS)[0]
    names = pd.Index(cells)[chosen].astype(str)
    return pd.DataFrame({"cell": list(names), "activity": activity[chosen].astype(np.float64)})


def _numbers(values: "pd.Series[float]") -> str:
    return ";".join(f"{value:.4g}" for value in values)
