"""A gene list of one's own along a model's units: how much of it each unit holds, and how active it is in each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism._check import some
from scprism._files import read_record, read_table, write_table
from scprism._html import record_html
from scprism._text import read_lines
from scprism._warnings import keeps_warnings, note, warn
from scprism.enrichment.gene_sets import GeneSets, MatchedSets, gene_sets, match_sets
from scprism.errors import BundleError, InputError, PrismError
from scprism.estimator.model import Model
from scprism.estimator.view import View
from scprism.query.view import Query
from scprism.types import FloatArray, Organism, PathLike
from scprism.units.inference import per_ten_thousand

__all__ = ["Scores", "gene_lists", "list_weights", "read_scores", "score"]

UNIT_COLUMNS = ("list", "unit", "weight", "share", "expected_share", "mean_score")
LIST_COLUMNS = ("list", "n_given", "n_found", "n_measured", "correlation")
POORLY_CARRIED = 0.3
"""Below this correlation of a list's score with its own expression, a warning says that the units do not carry it."""


@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """How active gene lists are in cells, along a model's units, from `scprism.score`.

    Attributes
    ----------
    table
        A row a cell (index: cell), a column a list: the mean over the list's genes of the expression that the units
        account for in the cell, in log1p counts per 10,000. It is the sum over the units of the cell's activity times
        the unit's ``weight``.
    units
        A row a list and unit. ``weight``: what the unit adds to the list's genes on average where its activity is 1.
        ``share``: the part of the unit that the list's genes are, genes counting as they do when activities are found;
        ``expected_share``: that of as many genes of the model drawn at random. ``mean_score``: the unit's part of the
        score, on average over the cells.
    lists
        A row a list: genes given, found in the model, and measured in the cells; ``correlation`` over the cells of the
        score with the mean expression of the list's measured genes in the cell itself: how well the units carry the
        list. NaN where one of the two does not vary.
    settings
        ``fingerprint`` of the model's weights, number of cells.
    warnings
        What was warned of.

    Examples
    --------
    >>> from scprism import Prism, make_cells, score
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> scores = score(model, cells, {"mine": list(model.genes[:20])})
    >>> scores.table.shape, list(scores.lists["n_given"])
    ((300, 1), [20])
    """

    table: pd.DataFrame
    units: pd.DataFrame
    lists: pd.DataFrame
    settings: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the numbers of cells and lists in one line."""
        return f"Scores({self._summary()})"

    def _repr_html_(self) -> str:
        shown = self.lists.to_html(index=False, float_format="{:.3g}".format, max_rows=20)
        return record_html(f"Scores: {self._summary()}", self.warnings, shown)

    def _summary(self) -> str:
        return f"{len(self.table):,} cells × {len(self.lists)} gene lists, along {self.units['unit'].nunique()} units"

    def save(self, path: PathLike) -> None:
        """Write the cells' scores; the units' part goes to ``PATH.units.tsv``, all else to ``PATH.json``.

        Parameters
        ----------
        path
            A name that ends in ``.csv``, ``.tsv`` or ``.parquet``.

        Raises
        ------
        InputError
            If the name ends otherwise or is that of a folder, a pipe or a device.
        """
        lists = self.lists.astype(object).where(self.lists.notna(), None).to_dict("records")
        record = {"settings": dict(self.settings), "lists": lists, "warnings": list(self.warnings)}
        write_table(self.units, _units_path(path))
        write_table(self.table.reset_index(names="cell"), path, record=record)


def read_scores(path: PathLike) -> Scores:
    """Return the scores that `Scores.save` or ``scprism score`` wrote.

    Raises
    ------
    BundleError
        If the table or what lies beside it is missing, or is something else.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import Prism, make_cells, score
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     score(model, cells, {"mine": list(model.genes[:20])}).save(f"{folder}/scores.tsv")
    ...     read_scores(f"{folder}/scores.tsv").table.shape
    (300, 1)
    """
    try:
        table = read_table(path, dtypes={"cell": str}).set_index("cell")
        units = read_table(_units_path(path), dtypes={"list": str, "unit": str})
        record = read_record(path) or {}
        lists = pd.DataFrame(record["lists"], columns=list(LIST_COLUMNS)).astype({"correlation": float})
    except (OSError, ValueError, KeyError) as error:
        msg = f"The scores in {str(path)!r} cannot be read: {error}. `scprism score` writes them, with a table of the "
        raise BundleError(f"{msg}units and a record beside: copy all three.") from error
    if tuple(units.columns) != UNIT_COLUMNS or list(table.columns) != lists["list"].tolist():
        msg = f"{str(path)!r} and the files beside it are no scores, or not of one call. Run `scprism score` again."
        raise BundleError(msg)
    return Scores(table, units, lists, record.get("settings", {}), tuple(record.get("warnings", ())))


@keeps_warnings
def score(
    model: Model,
    cells: AnnData | View,
    genes: GeneSets | Sequence[str] | PathLike,
    *,
    layer: str | None = None,
    organism: Organism | None = None,
    min_coverage: float | None = None,
) -> Scores:
    """Return how active gene lists of one's own are in cells, along the model's units.

    A list is read as a program is: with P the units' programs (units × genes, log1p counts per 10,000 where the
    activity is 1) and a the cells' activities (`Model.activity`), the score of a cell is the mean over the list's genes
    of a P, the expression that the units account for. What the units do not carry is not in it; ``lists`` says for each
    list how closely the scores follow its own expression. For a test whether a unit's genes form the list, give the
    list to `scprism.enrich`.

    Parameters
    ----------
    model
        A model with programs.
    cells
        Raw counts, or a view of them.
    genes
        Symbols; several lists by name; a GMT file; or a file with one gene a line, whose name the list gets. They are
        found among the model's genes whatever their capitals.
    layer, organism, min_coverage
        As in `Model.view`.

    Raises
    ------
    PrismError
        If the model has raw units.
    InputError
        If a list has no gene that is one of the model's.

    Examples
    --------
    >>> from scprism import Prism, make_cells, score
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    >>> genes = list(cells.var_names[cells.var["program_0"]])
    >>> result = score(model, cells, {"mine": genes})
    >>> float(np.corrcoef(result.table["mine"], cells.obsm["program_activity"][:, 0])[0, 1]) > 0.7
    True
    """
    if model.named_units is None:
        msg = "Gene lists are scored along programs of genes, and this model has raw units. Train one that has programs"
        raise PrismError(f"{msg}: Prism(units='programs').fit(…), on the command line: scprism fit --units programs.")
    view = model.view(cells, layer=layer, organism=organism, min_coverage=min_coverage)
    note(view.warnings)
    lists = gene_lists(genes)
    matched = _matched(lists, model)
    units, activity = model.named_units.units, view.activity()
    table, weights, shares = [], [], []
    present = view.query.alignment.gene_map.present
    for members in matched.members.values():
        weight, share = list_weights(units.programs, units.gene_weights, members)
        table.append(activity.to_numpy(dtype=np.float64) @ weight)
        weights.append(weight)
        shares.append(share)
    names = list(matched.members)
    scores = pd.DataFrame(np.column_stack(table), index=activity.index.rename("cell"), columns=names)
    own = _own_expression(view.query, [members[present[members]] for members in matched.members.values()])
    facts = pd.DataFrame(
        {
            "list": names,
            "n_given": [len(set(lists[name])) for name in names],
            "n_found": [len(members) for members in matched.members.values()],
            "n_measured": [int(present[members].sum()) for members in matched.members.values()],
            "correlation": [_correlation(scores[name], own[:, i]) for i, name in enumerate(names)],
        }
    )
    _warn_of(facts)
    mean = activity.mean(axis=0).to_numpy(dtype=np.float64)
    parts = [
        pd.DataFrame(
            {
                "list": name,
                "unit": list(units.names),
                "weight": weights[i],
                "share": shares[i],
                "expected_share": len(matched.members[name]) / len(model.genes),
                "mean_score": mean * weights[i],
            }
        )
        for i, name in enumerate(names)
    ]
    settings = {"fingerprint": model.fingerprint, "n_cells": len(scores)}
    return Scores(scores, pd.concat(parts, ignore_index=True), facts, settings)


def gene_lists(genes: GeneSets | Sequence[str] | PathLike) -> dict[str, tuple[str, ...]]:
    """Return gene lists by name: of a mapping, a sequence of symbols, a GMT file, or a file with one gene a line.

    Raises
    ------
    InputError
        If there is no such file, or a list is empty or has the name ``cell``.
    """
    if isinstance(genes, str | Path) and genes != "hallmark" and not str(genes).lower().endswith(".gmt"):
        lines = [line.strip() for line in read_lines(Path(genes), what="gene list") if line.strip()]
        if any("\t" in line for line in lines):
            msg = f"Each line of the gene list {str(genes)!r} must be one gene, and there are tabs. A file of several "
            raise InputError(f"{msg}sets is a GMT file, whose name ends in .gmt.")
        lists = gene_sets({Path(genes).stem: lines})
    elif isinstance(genes, str | Path | Mapping):
        lists = gene_sets(genes)
    else:
        lists = gene_sets({"genes": list(genes)})
    if "cell" in lists:
        msg = "A gene list is called 'cell', as is the column of the cells' names. Give it another name."
        raise InputError(msg)
    return lists


def list_weights(programs: FloatArray, gene_weights: FloatArray, members: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Return what each unit adds to a list's genes on average, and the part of the unit that they are, both (units,).

    Parameters
    ----------
    programs
        Units × genes.
    gene_weights
        How much each gene counts when activities are found, (genes,).
    members
        Numbers of the list's genes.

    Examples
    --------
    >>> list_weights(np.array([[1.0, 3.0, 0.0], [0.0, 0.0, 2.0]]), np.array([1.0, 1.0, 2.0]), np.array([0, 2]))
    (array([0.5, 1. ]), array([0.25, 1.  ]))
    """
    counted = programs.astype(np.float64) * gene_weights
    total = counted.sum(axis=1)
    share = np.divide(counted[:, members].sum(axis=1), total, out=np.zeros(len(total)), where=total > 0)
    return programs[:, members].astype(np.float64).mean(axis=1), share


def _matched(lists: GeneSets, model: Model) -> MatchedSets:
    matched = match_sets(lists, model.genes)
    for message in matched.messages:
        warn(message)
    empty = [name for name, members in matched.members.items() if not len(members)]
    if empty:
        msg = f"No gene of {some(empty)} is among the {len(model.genes):,} genes of the model ({some(model.genes)})."
        raise InputError(f"{msg} Leave the list out, or train a model whose genes hold it: genes='all' (--genes all).")
    return matched


def _own_expression(query: Query, members: Sequence[np.ndarray]) -> FloatArray:
    """Return the mean of log1p counts per 10,000 over each list's measured genes, (cells, lists)."""
    n_genes = len(query.recipe.genes)
    means = np.zeros((n_genes, len(members)))
    for i, numbers in enumerate(members):
        means[numbers, i] = 1.0 / max(len(numbers), 1)
    chosen = sparse.csr_matrix(means)
    parts = [
        np.asarray((per_ten_thousand(chunk.inputs, target_sum=query.recipe.target_sum) @ chosen).todense())
        for chunk in query.chunks()
    ]
    return np.concatenate(parts)


def _correlation(scores: "pd.Series[float]", own: FloatArray) -> float:
    values = scores.to_numpy(dtype=np.float64)
    if len(values) < 2 or values.std() == 0 or own.std() == 0:
        return float("nan")
    return float(np.corrcoef(values, own)[0, 1])


def _warn_of(lists: pd.DataFrame) -> None:
    few = lists.loc[lists["n_found"] < lists["n_given"] / 2]
    for row in few.itertuples():
        warn(
            f"Of the {row.n_given} genes of {str(row.list)!r} {row.n_found} are among the model's: scores are of these."
        )
    weak = lists.loc[lists["correlation"] < POORLY_CARRIED, "list"].tolist()
    if weak:
        msg = f"The units hardly carry {some(weak)}: scores follow the lists' own expression with a correlation below "
        warn(f"{msg}{POORLY_CARRIED:g}. A high score is no evidence that these genes are active.")


def _units_path(path: PathLike) -> Path:
    return Path(path).with_name(f"{Path(path).name}.units.tsv")
