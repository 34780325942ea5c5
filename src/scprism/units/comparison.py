"""Units compared between groups of cells: which units are more or less active, with samples as replicates."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from scprism._check import closest, some
from scprism._files import read_record, read_table, write_table
from scprism._html import record_html
from scprism.errors import BundleError, InputError
from scprism.types import PathLike

__all__ = ["ALL_CELLS", "Comparison", "check_labels", "compare_activity", "other_groups", "read_comparison"]

LEVEL = 0.95
"""Of the intervals of differences."""
ALL_CELLS = "all"
"""What the column ``within`` says where the comparison is over all cells."""
CELLS_ARE_NO_REPLICATES = (
    "Cells were taken as replicates. Cells of one sample are alike, so these p-values are far too small: name the "
    "column of samples or donors as replicate."
)
TEXTS = ("within", "unit", "group", "reference")
COLUMNS = (
    "within",
    "unit",
    "group",
    "reference",
    "n_cells",
    "n_reference_cells",
    "n_samples",
    "n_reference_samples",
    "mean",
    "reference_mean",
    "difference",
    "low",
    "high",
    "effect_size",
    "auroc",
    "p_value",
    "q_value",
)


@dataclass(frozen=True)
class Comparison:
    """Which units differ between groups of cells.

    Attributes
    ----------
    table
        One row for each stratum, unit and group: numbers of cells and samples, mean activity in the group and in the
        reference, their ``difference`` with its 95 % interval (``low``, ``high``), ``effect_size`` (difference in
        standard deviations of the samples, Hedges' g), ``auroc`` (the probability that a cell of the group has more
        of the unit than a cell of the reference), ``p_value``, and ``q_value`` (Benjamini and Hochberg, over the whole
        table).
    settings
        What was compared and by which test.
    warnings
        What a reader should know before trusting the table.

    Examples
    --------
    >>> activity = pd.DataFrame({"U01": [0.0, 0.1, 0.5, 2.0, 2.2, 2.4]})
    >>> groups = pd.Series(["rest", "rest", "rest", "stimulated", "stimulated", "stimulated"])
    >>> donors = pd.Series(["a", "b", "c", "a", "b", "c"])
    >>> result = compare_activity(activity, groups, reference="rest", replicates=donors)
    >>> result.table[["unit", "group", "n_samples", "difference"]]
      unit       group  n_samples  difference
    0  U01  stimulated          3         2.0
    """

    table: pd.DataFrame
    settings: dict[str, str | None]
    warnings: tuple[str, ...] = ()

    def save(self, path: PathLike) -> None:
        """Write the table as ``.csv``, ``.tsv`` or ``.parquet``; settings and warnings go to ``PATH.json``.

        Raises
        ------
        InputError
            If the name ends otherwise, or is that of a folder, a pipe or a device.
        """
        write_table(self.table, path, record={"settings": dict(self.settings), "warnings": list(self.warnings)})

    def _repr_html_(self) -> str:
        n_groups = self.table["group"].nunique()
        summary = f"Comparison: {n_groups} groups with {self.settings.get('reference', 'unknown')}"
        shown = self.table.to_html(index=False, float_format="{:.3g}".format, max_rows=20)
        return record_html(summary, self.warnings, shown)


def read_comparison(path: PathLike) -> Comparison:
    """Return the comparison that `Comparison.save` or ``scprism compare`` wrote.

    Raises
    ------
    BundleError
        If the file is no such table, or the record beside it is missing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> activity = pd.DataFrame({"U01": [0.0, 0.1, 0.5, 2.0, 2.2, 2.4]})
    >>> groups = pd.Series(["rest", "rest", "rest", "stimulated", "stimulated", "stimulated"])
    >>> donors = pd.Series(["a", "b", "c", "a", "b", "c"])
    >>> path = Path(tempfile.mkdtemp()) / "units.tsv"
    >>> compare_activity(activity, groups, reference="rest", replicates=donors).save(path)
    >>> read_comparison(path).table["n_samples"].tolist()
    [3]
    """
    try:
        table = read_table(path, dtypes=dict.fromkeys(TEXTS, str), missing=("",))
        record = read_record(path)
    except (OSError, ValueError) as error:
        msg = f"The comparison in {str(path)!r} cannot be read: {error}. `scprism compare` writes such files."
        raise BundleError(msg) from error
    if record is None or tuple(table.columns) != COLUMNS:
        msg = f"{str(path)!r} is no comparison with its record beside it. `scprism compare` writes such files."
        raise BundleError(msg)
    return Comparison(table, record.get("settings", {}), tuple(record.get("warnings", ())))


def compare_activity(
    activity: pd.DataFrame,
    groups: "pd.Series[Any]",
    *,
    reference: str,
    replicates: "pd.Series[Any] | None" = None,
    within: "pd.Series[Any] | None" = None,
) -> Comparison:
    """Return how the activity of each unit differs between each group of cells and the reference group.

    With `replicates` the means of samples are compared, not cells: a paired t-test where every sample has cells in both
    groups (a donor before and after treatment), Welch's t-test otherwise. Without them cells are compared by the
    rank test of Mann and Whitney, and the result carries a warning.

    Parameters
    ----------
    activity
        Cells × units, on any scale.
    groups
        The group of each cell, in the order of `activity`; cells without a group are left out.
    reference
        The group that the others are compared with.
    replicates
        The sample or donor of each cell; cells without one are left out, and a warning tells how many.
    within
        The label of each cell: the comparison is made within each label too.

    Raises
    ------
    InputError
        If there is no such reference group, or only one group, or a label of `within` is called ``"all"``.

    Examples
    --------
    >>> activity = pd.DataFrame({"U01": [0.0, 0.1, 0.5, 2.0, 2.2, 2.4]})
    >>> groups = pd.Series(["rest", "rest", "rest", "stimulated", "stimulated", "stimulated"])
    >>> donors = pd.Series(["a", "b", "c", "a", "b", "c"])
    >>> compare_activity(activity, groups, reference="rest", replicates=donors).table[["unit", "difference", "auroc"]]
      unit  difference  auroc
    0  U01         2.0    1.0
    """
    names = other_groups(groups, reference)
    codes = groups.astype("object").to_numpy()
    rows: list[dict[str, object]] = []
    lone: list[str] = []
    unknown = np.zeros(len(activity), dtype=bool) if replicates is None else replicates.isna().to_numpy()
    for stratum, cells in _strata(within, len(activity)):
        known = cells & (codes == reference) & ~unknown
        for group in names:
            asked = cells & (codes == group) & ~unknown
            if not known.any() or not asked.any():
                continue
            samples = None if replicates is None else replicates.astype("object").to_numpy()
            part, has_test = _compare_two(activity, asked, known, samples)
            if not has_test:
                lone.append(group if stratum == ALL_CELLS else f"{group} in {stratum}")
            rows += [{"within": stratum, "group": group, "reference": reference, **row} for row in part]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    tested = table["p_value"].notna()
    table.loc[tested, "q_value"] = stats.false_discovery_control(table.loc[tested, "p_value"]) if tested.any() else []
    notes = [CELLS_ARE_NO_REPLICATES] if replicates is None else []
    if unknown.any():
        notes.append(f"{int(unknown.sum()):,} cells have no replicate and were left out.")
    if lone:
        notes.append(f"Fewer than two samples a group, so without a p-value: {some(lone)}.")
    kind = "cells (Mann-Whitney)" if replicates is None else "samples (t-test, paired where samples are in both groups)"
    return Comparison(table, {"reference": reference, "replicates": kind}, tuple(notes))


def other_groups(groups: "pd.Series[Any]", reference: str, *, called: str = "reference") -> list[str]:
    """Return the groups beside the reference group, in the order of categories, else by name.

    Parameters
    ----------
    groups
        The group of each cell.
    reference
        The group that the others are compared with.
    called
        What messages call it.

    Raises
    ------
    InputError
        If there is no such reference group, or only one group.
    """
    categories = groups.cat.categories if isinstance(groups.dtype, pd.CategoricalDtype) else None
    present = groups.dropna().unique().tolist()
    names = [str(name) for name in (sorted(present, key=str) if categories is None else categories) if name in present]
    if reference not in names:
        msg = f"`{called}` must be one of the groups, got {reference!r}. Closest: {closest(reference, names)}."
        raise InputError(msg)
    if len(names) < 2:
        msg = f"There is nothing to compare: all cells with a group are {reference!r}."
        raise InputError(msg)
    return [name for name in names if name != reference]


def check_labels(within: "pd.Series[Any]") -> None:
    """Raise `InputError` if a label is called as the table calls all cells together."""
    if (within.dropna().astype(str) == ALL_CELLS).any():
        msg = f"`within` has a label {ALL_CELLS!r}, which is how the table calls all cells together. Rename it."
        raise InputError(msg)


def _strata(within: "pd.Series[Any] | None", n_cells: int) -> Iterator[tuple[str, np.ndarray]]:
    yield ALL_CELLS, np.ones(n_cells, dtype=bool)
    if within is not None:
        check_labels(within)
        values = within.astype("object").to_numpy()
        for name in sorted(within.dropna().unique().tolist(), key=str):
            yield str(name), values == name


def _compare_two(
    activity: pd.DataFrame, asked: np.ndarray, known: np.ndarray, samples: np.ndarray | None
) -> tuple[list[dict[str, object]], bool]:
    """Return a row a unit for two sets of cells, and whether there were samples enough for a test."""
    values = activity.to_numpy(np.float64)
    group, reference = values[asked], values[known]
    ranks = stats.mannwhitneyu(group, reference, axis=0)
    auroc = np.asarray(ranks.statistic) / (len(group) * len(reference))
    if samples is None:
        test = _Test(group.mean(axis=0), reference.mean(axis=0), *_spread(group, reference), np.asarray(ranks.pvalue))
        n_samples = n_reference_samples = 0
    else:
        means = pd.DataFrame(group).groupby(samples[asked]).mean()
        known_means = pd.DataFrame(reference).groupby(samples[known]).mean()
        test = _sample_test(means, known_means)
        n_samples, n_reference_samples = len(means), len(known_means)
    rows: list[dict[str, object]] = [
        {
            "unit": unit,
            "n_cells": len(group),
            "n_reference_cells": len(reference),
            "n_samples": n_samples,
            "n_reference_samples": n_reference_samples,
            "mean": test.mean[i],
            "reference_mean": test.reference_mean[i],
            "difference": test.mean[i] - test.reference_mean[i],
            "low": test.low[i],
            "high": test.high[i],
            "effect_size": test.effect_size[i],
            "auroc": auroc[i],
            "p_value": test.p_value[i],
            "q_value": np.nan,
        }
        for i, unit in enumerate(activity.columns)
    ]
    return rows, not bool(np.isnan(test.p_value).all())


@dataclass(frozen=True)
class _Test:
    """What a test says of each unit; every field has the shape (units,)."""

    mean: np.ndarray
    reference_mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    effect_size: np.ndarray
    p_value: np.ndarray


def _spread(group: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the interval of the difference of two means by Welch, and Hedges' g; NaN for fewer than two rows."""
    if min(len(group), len(reference)) < 2:
        none = np.full(group.shape[1], np.nan)
        return none, none, none
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = stats.ttest_ind(group, reference, equal_var=False).confidence_interval(LEVEL)
        n, m = len(group), len(reference)
        pooled = ((n - 1) * group.var(axis=0, ddof=1) + (m - 1) * reference.var(axis=0, ddof=1)) / (n + m - 2)
        small_sample = 1 - 3 / (4 * (n + m) - 9)
        hedges = small_sample * (group.mean(axis=0) - reference.mean(axis=0)) / np.sqrt(pooled)
    return np.asarray(interval.low), np.asarray(interval.high), hedges


def _sample_test(means: pd.DataFrame, known_means: pd.DataFrame) -> _Test:
    shared = means.index.intersection(known_means.index)
    is_paired = len(shared) == len(means) == len(known_means)
    if is_paired:
        known_means = known_means.loc[means.index]
    group, reference = means.to_numpy(), known_means.to_numpy()
    low, high, hedges = _spread(group, reference)
    if min(len(group), len(reference)) < 2:
        p_value = low
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            if is_paired:
                test = stats.ttest_rel(group, reference)
                interval = test.confidence_interval(LEVEL)
                low, high = np.asarray(interval.low), np.asarray(interval.high)
            else:
                test = stats.ttest_ind(group, reference, equal_var=False)
        p_value = np.asarray(test.pvalue)
    return _Test(group.mean(axis=0), reference.mean(axis=0), low, high, hedges, p_value)
