"""The result of an enrichment: its table, how it was made, what was warned of, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scprism._check import some
from scprism._files import read_table, record_path, write_table
from scprism._html import record_html
from scprism._text import parse_json
from scprism.errors import BundleError, InputError
from scprism.types import PathLike

__all__ = [
    "ALL",
    "ENRICHMENT_COLUMNS",
    "Enrichment",
    "count_significant",
    "read_enrichment",
    "table_of",
    "units_by_sets",
]

ALL = "all"
"""The group that is the whole data set."""
ENRICHMENT_COLUMNS = (
    "group",
    "unit",
    "gene_set",
    "size",
    "es",
    "nes",
    "p_value",
    "log_p_error",
    "p_is_bound",
    "q_value",
    "leading_edge",
)
KINDS = {
    "group": str,
    "unit": str,
    "gene_set": str,
    "size": np.int64,
    "es": np.float64,
    "nes": np.float64,
    "p_value": np.float64,
    "log_p_error": np.float64,
    "p_is_bound": bool,
    "q_value": np.float64,
    "leading_edge": str,
}
SCHEMA_VERSION = 1
SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class Enrichment:
    """Which gene sets the genes of each unit form, in each group of cells.

    Attributes
    ----------
    table
        One row a group, unit and gene set. ``size``: the set's genes among those tested. ``es`` and ``nes``:
        enrichment score, and that over the mean of random sets of its size and sign. ``p_value``; ``log_p_error``, the
        standard error of its natural logarithm (0.1: about 10 %); ``p_is_bound``, whether the p-value is only known to
        be no larger than the one given. ``q_value``: false discovery rate over all rows (Benjamini and Hochberg 1995),
        where p-values are bounds a bound too. ``leading_edge``: the set's genes up to the peak, the most extreme first.
    settings
        How the sets were tested: ``null``, ``n_permutations``, ``scores``, limits of size, ``seed``, the model's
        ``fingerprint``, the share of set symbols among the genes, and others.
    warnings
        What was warned of when the sets were tested.

    Examples
    --------
    >>> from scprism import Prism, enrich, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, units="raw", device="cpu", rng=0).fit(cells)
    >>> sets = {name: cells.var_names[cells.var[name]] for name in ("program_0", "program_1")}
    >>> paths = enrich(model.explain(cells), sets, rng=0)
    >>> len(paths.table)  # one group, 50 units, two sets
    100
    >>> paths.settings["n_permutations"]
    1000
    """

    table: pd.DataFrame
    settings: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the number of tests and the null in one line."""
        return f"Enrichment({self._summary()})"

    def _repr_html_(self) -> str:
        """Return the summary, the warnings and the tests with the smallest q-values, for notebooks."""
        first = self.table.sort_values(["q_value", "p_value"], kind="stable").head(10)
        return record_html(f"Enrichment: {self._summary()}", self.warnings, first.to_html(index=False, max_rows=10))

    def _summary(self) -> str:
        n_found = int((self.table["q_value"] < SIGNIFICANT).sum())
        null = self.settings.get("null", "unknown")
        return f"{len(self.table):,} tests, {n_found:,} with q < {SIGNIFICANT}; null: {null}"

    def save(self, path: PathLike) -> None:
        """Write the table to `path` and settings and warnings beside it, to the same name with ``.json`` added.

        Parameters
        ----------
        path
            Ends in .tsv, .csv or .parquet (which needs pyarrow); pandas reads it without options but the separator.

        Raises
        ------
        InputError
            For another suffix, columns that are missing, or a file of another kind where the settings would go.
        """
        missing = [column for column in ENRICHMENT_COLUMNS if column not in self.table.columns]
        if missing:
            msg = f"The table of an enrichment must have the columns of `scprism.enrich`; it lacks {some(missing)}."
            raise InputError(msg)
        beside = record_path(path)
        if beside.exists() and _settings_in(beside) is None:
            msg = f"The settings of {Path(path).name!r} go to {str(beside)!r}, which is another file."
            raise InputError(f"{msg} Choose another name.")
        record = {
            "scprism_enrichment": SCHEMA_VERSION,
            "settings": dict(self.settings),
            "warnings": list(self.warnings),
        }
        table = self.table[list(ENRICHMENT_COLUMNS)].astype(dict.fromkeys(("group", "unit", "gene_set"), str))
        write_table(table, path, record=record)


def read_enrichment(path: PathLike) -> Enrichment:
    """Return the enrichment that `Enrichment.save` or ``scprism enrich`` wrote, numbers exact.

    Without the file of settings beside it, the settings are empty and a warning says so.

    Raises
    ------
    BundleError
        If the file is missing, cut off or no enrichment.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import Prism, enrich, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, units="raw", device="cpu", rng=0).fit(cells)
    >>> sets = {name: cells.var_names[cells.var[name]] for name in ("program_0", "program_1")}
    >>> paths = enrich(model.explain(cells), sets, rng=0)
    >>> path = Path(tempfile.mkdtemp()) / "enrichment.tsv"
    >>> paths.save(path)
    >>> read_enrichment(path).table.equals(paths.table)
    True
    """
    try:
        table = read_table(path, dtypes=KINDS)
    except (OSError, ValueError, ImportError) as error:
        msg = f"The enrichment in {str(path)!r} cannot be read: {error}. `scprism enrich` writes such files."
        raise BundleError(msg) from error
    if tuple(table.columns) != ENRICHMENT_COLUMNS:
        msg = (
            f"The columns of {str(path)!r} must be {' '.join(ENRICHMENT_COLUMNS)}, got "
            f"{some(map(str, table.columns))}. Give the file that `scprism enrich` wrote."
        )
        raise BundleError(msg)
    found = _settings_in(record_path(path))
    if found is None:
        message = (
            f"How {Path(path).name!r} was made is not known: the file {record_path(path).name!r} beside it is missing "
            "or of another kind."
        )
        return Enrichment(table, {}, (message,))
    return Enrichment(table, found["settings"], tuple(found["warnings"]))


def _settings_in(path: Path) -> dict[str, Any] | None:
    """Return what `Enrichment.save` wrote beside a table, or None if this is no such file."""
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(found, dict) and found.get("scprism_enrichment") == SCHEMA_VERSION
    return found if known and {"settings", "warnings"} <= set(found) else None


def table_of(enrichment: Enrichment | pd.DataFrame) -> pd.DataFrame:
    """Return the table of an enrichment, whose ``attrs`` hold its settings; a table stays as it is."""
    if isinstance(enrichment, pd.DataFrame):
        return enrichment
    table = enrichment.table.copy()
    table.attrs.clear()
    table.attrs.update(enrichment.settings)
    return table


def count_significant(enrichment: Enrichment | pd.DataFrame, *, alpha: float = 0.05) -> pd.DataFrame:
    """Return in how many groups each set has a q-value under `alpha` for each unit, units × sets, all of both.

    The map of Walbech et al.'s (2022) Figure 5. The group ``"all"`` counts only where it is alone.

    Examples
    --------
    >>> from scprism import Prism, enrich, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, units="raw", device="cpu", rng=0).fit(cells)
    >>> sets = {name: cells.var_names[cells.var[name]] for name in ("program_0", "program_1")}
    >>> paths = enrich(model.explain(cells), sets, rng=0)
    >>> count_significant(paths).shape  # units by sets
    (50, 2)
    """
    tests = table_of(enrichment)
    groups = tests["group"].astype(str)
    counted = (groups != ALL) | bool((groups == ALL).all())
    hits = tests.assign(hit=counted & (tests["q_value"] < alpha))
    table = hits.pivot_table(index="unit", columns="gene_set", values="hit", aggfunc="sum", observed=True)
    units, sets = tests["unit"].unique(), sorted(tests["gene_set"].unique())
    return table.reindex(index=units, columns=sets).rename_axis(index="unit", columns="gene_set").astype(np.int64)


def units_by_sets(enrichment: Enrichment | pd.DataFrame, *, alpha: float = 0.05) -> "pd.Series[int]":
    """Return how many units have 0, 1, 2, … sets that are significant in at least one group."""
    n_sets = (count_significant(enrichment, alpha=alpha) > 0).sum(axis=1)
    counts = np.bincount(n_sets.to_numpy(), minlength=1)
    return pd.Series(counts, index=pd.RangeIndex(counts.size, name="n_sets"), name="n_units")
