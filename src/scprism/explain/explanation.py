"""The record of an explanation, its contrasts, and its file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import anndata
import numpy as np
import pandas as pd

from scprism._check import check_choice
from scprism._html import record_html
from scprism._stores import write_anndata
from scprism.errors import BundleError, InputError
from scprism.types import FloatArray, PathLike

__all__ = ["ALL", "SCHEMA_VERSION", "Explanation", "read_explanation", "write_explanation"]

ALL = "all"
"""The group that is the whole data set."""

SCHEMA_VERSION = 1
SHOWN_GENES = 5


@dataclass(frozen=True)
class Explanation:
    """Mean attributions of every bottleneck unit (or other direction) to every gene, per group of cells.

    Attributes
    ----------
    signed, absolute
        Mean attribution and mean |attribution| over the cells of a group; float32 (groups, units, genes), in units of
        latent activation per log1p expression for gradients, in latent activation for the methods that sum to it.
        `absolute` is NaN where it was not asked for.
    groups, units, genes
        Names of the three axes; the group ``"all"`` is the whole data set.
    n_cells
        Cells in each group, (groups,).
    method
        The attribution method.
    completeness_error
        Largest gap between the attributions' sum and what it should be, the direction's difference from the baseline,
        over cells and groups, relative to the largest such difference; NaN where a method promises no sum.
    baseline
        What the attributions are relative to, in words.
    fingerprint
        Fingerprint of the model's weights.
    minus
        What was subtracted from each group's means: ``"rest"`` for the cells in no or another group, or the name of a
        group; empty where nothing was.
    warnings
        What was warned of when it was computed.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, units="raw", device="cpu", rng=0).fit(cells)
    >>> why = model.explain(cells, groupby="cell_type")
    >>> why.signed.shape  # groups by units by genes
    (4, 50, 200)
    >>> why.groups[-1], why.method, bool(why.completeness_error < 1e-5)
    ('all', 'deeplift', True)
    """

    signed: FloatArray
    absolute: FloatArray
    groups: tuple[str, ...]
    units: tuple[str, ...]
    genes: tuple[str, ...]
    n_cells: np.ndarray
    method: str
    completeness_error: float
    baseline: str
    fingerprint: str
    minus: str = ""
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the axes, the method and the warnings in one line."""
        told = f", warnings={self.warnings}" if self.warnings else ""
        return (
            f"Explanation({len(self.groups)} groups × {len(self.units)} units × {len(self.genes):,} genes, "
            f"method={self.method!r}, groups={self.groups}{told})"
        )

    def _repr_html_(self) -> str:
        """Return the axes, the warnings, and the leading genes of each unit over all cells, for notebooks."""
        group = ALL if ALL in self.groups else self.groups[0]
        leading = self.top_genes(group, SHOWN_GENES, by="signed")
        genes = leading.groupby("unit", sort=False)["gene"].agg(", ".join)
        shown = genes.rename(f"genes with the largest mean attribution, group {group!r}").to_frame()
        summary = (
            f"Explanation: {len(self.groups)} groups × {len(self.units)} units × {len(self.genes):,} genes, "
            f"method {self.method!r}"
        )
        return record_html(summary, self.warnings, shown.to_html(max_rows=20))

    def save(self, path: PathLike) -> None:
        """Write the explanation as ``.h5ad`` or ``.zarr``; `scprism.read_explanation` reads it.

        Raises
        ------
        InputError
            If the name ends otherwise, or is that of something else than a file of results.
        """
        write_explanation(self, path)

    def frame(self, group: str, *, absolute: bool = False) -> pd.DataFrame:
        """Return one group's map as a table, units by genes."""
        values = self.absolute if absolute else self.signed
        return pd.DataFrame(values[self._row(group)], index=list(self.units), columns=list(self.genes))

    def top_genes(self, group: str, n: int = 10, *, by: Literal["absolute", "signed"] = "absolute") -> pd.DataFrame:
        """Return each unit's `n` leading genes as a long table: ``unit rank gene signed absolute``.

        Parameters
        ----------
        group
            A group, or ``"all"``.
        by
            ``"absolute"``: by the mean of |attribution|; ``"signed"``: by the size of the mean attribution, in which
            cells that pull in opposite directions cancel. Ties are in the order of the genes.
        """
        check_choice("by", by, ("absolute", "signed"))
        row = self._row(group)
        key = self.absolute[row] if by == "absolute" else np.abs(self.signed[row])
        order = np.argsort(-key, axis=1, kind="stable")[:, :n]  # (units, n)
        unit = np.repeat(np.arange(len(self.units)), order.shape[1])
        gene = order.ravel()
        return pd.DataFrame(
            {
                "unit": np.array(self.units)[unit],
                "rank": np.tile(np.arange(1, order.shape[1] + 1), len(self.units)),
                "gene": np.array(self.genes)[gene],
                "signed": self.signed[row][unit, gene],
                "absolute": self.absolute[row][unit, gene],
            }
        )

    def difference(self, minus: str = "rest") -> "Explanation":
        """Return every group's means minus those of all other cells, of one group, or of ``"all"``.

        Minus ``"all"`` the absolute means are the form of the paper, M_group − M_whole; they can be negative. Groups
        that would be subtracted from themselves, and ``"all"``, are left out.

        Parameters
        ----------
        minus
            ``"rest"`` for the cells outside the group, or the name of a group.
        """
        if self.minus:
            msg = f"This explanation is already a difference, from {self.minus!r}. Start from the one it was made of."
            raise InputError(msg)
        whole = self._row(ALL)
        others = self.n_cells[whole] - self.n_cells
        is_kept = np.array([name not in (ALL, minus) for name in self.groups])
        if minus == "rest":
            is_kept &= others > 0
        if not is_kept.any():
            msg = f"No group is left to compare with {minus!r} among {self.groups}. Explain with a grouping of cells."
            raise InputError(msg)
        size = self.n_cells[is_kept, None, None].astype(np.float64)
        left = others[is_kept, None, None].astype(np.float64)

        def subtract(values: FloatArray) -> FloatArray:
            own = values[is_kept].astype(np.float64)
            if minus != "rest":
                return np.asarray(own - values[self._row(minus)], dtype=np.float32)
            total = values[whole].astype(np.float64) * float(self.n_cells[whole])
            return np.asarray(own - (total - own * size) / left, dtype=np.float32)

        return replace(
            self,
            signed=subtract(self.signed),
            absolute=subtract(self.absolute),
            groups=tuple(name for name, kept in zip(self.groups, is_kept, strict=True) if kept),
            n_cells=self.n_cells[is_kept],
            minus=minus,
        )

    def to_anndata(self) -> anndata.AnnData:
        """Return the explanation as an AnnData: a row a group × unit, ``X`` signed, ``layers["absolute"]``.

        ``obs`` holds ``group``, ``unit`` and ``n_cells``, ``uns["scprism"]`` the rest.
        """
        shape = (len(self.groups) * len(self.units), len(self.genes))
        group, unit = np.repeat(self.groups, len(self.units)), np.tile(self.units, len(self.groups))
        obs = pd.DataFrame(
            {
                "group": pd.Categorical(group, categories=self.groups),
                "unit": pd.Categorical(unit, categories=self.units),
                "n_cells": np.repeat(self.n_cells, len(self.units)),
            },
            index=[f"{g}|{u}" for g, u in zip(group, unit, strict=True)],
        )
        return anndata.AnnData(
            X=self.signed.reshape(shape),
            obs=obs,
            var=pd.DataFrame(index=list(self.genes)),
            layers={"absolute": self.absolute.reshape(shape)},
            uns={
                "scprism": {
                    "kind": "explanation",
                    "schema_version": SCHEMA_VERSION,
                    "method": self.method,
                    "baseline": self.baseline,
                    "completeness_error": self.completeness_error,
                    "fingerprint": self.fingerprint,
                    "minus": self.minus,
                    "warnings": np.array(self.warnings, dtype=object),
                }
            },
        )

    def _row(self, group: str) -> int:
        check_choice("group", group, self.groups)
        return self.groups.index(group)


def write_explanation(explanation: Explanation, path: PathLike) -> None:
    """Write an explanation as h5ad or zarr, as `Explanation.to_anndata` lays it out; it appears whole or not at all."""
    write_anndata(explanation.to_anndata(), path, compression="gzip")


def read_explanation(path: PathLike) -> Explanation:
    """Return the explanation that `write_explanation` or ``scprism explain`` wrote.

    Raises
    ------
    InputError
        If there is no such file.
    BundleError
        If the file is truncated, is not an explanation, or is from a newer scprism.

    Examples
    --------
    >>> import tempfile
    >>> from scprism import Prism, make_cells
    >>> cells = make_cells(rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, units="raw", device="cpu", rng=0).fit(cells)
    >>> why = model.explain(cells, groupby="cell_type")
    >>> path = Path(tempfile.mkdtemp()) / "explanation.h5ad"
    >>> write_explanation(why, path)
    >>> bool((read_explanation(path).signed == why.signed).all())
    True
    """
    is_store = Path(path).suffix.lower() == ".zarr"
    if not (Path(path).is_dir() if is_store else Path(path).is_file()):
        msg = f"There is no file {str(path)!r}. Give the file that `scprism explain --out` wrote."
        raise InputError(msg)
    try:
        table = anndata.io.read_zarr(path) if is_store else anndata.read_h5ad(path)
    except Exception as error:
        msg = f"{str(path)!r} cannot be read: it is truncated, or no h5ad file. Write it again with `scprism explain`."
        raise BundleError(msg) from error
    try:
        return _from_anndata(table, name=str(path))
    except (KeyError, ValueError, TypeError) as error:
        msg = f"{str(path)!r} is an explanation with parts missing or edited: {error}. Write it again."
        raise BundleError(msg) from error


def _from_anndata(table: anndata.AnnData, *, name: str) -> Explanation:
    facts = table.uns.get("scprism")
    if not isinstance(facts, dict) or facts.get("kind") != "explanation":
        msg = f"{name!r} is an h5ad file, but no explanation. Give the file that `scprism explain --out` wrote."
        raise BundleError(msg)
    if int(facts["schema_version"]) > SCHEMA_VERSION:
        newer, known = facts["schema_version"], SCHEMA_VERSION
        msg = f"{name!r} is from a newer scprism: its schema is {newer}, known is up to {known}. Upgrade scprism."
        raise BundleError(msg)
    group, unit = table.obs["group"].astype(str), table.obs["unit"].astype(str)
    groups, units = tuple(group.unique()), tuple(unit.unique())
    shape = (len(groups), len(units), table.n_vars)
    if list(zip(group, unit, strict=True)) != [(g, u) for g in groups for u in units]:
        msg = "its rows are not every group with every unit, in order"
        raise ValueError(msg)
    return Explanation(
        signed=np.asarray(table.X, dtype=np.float32).reshape(shape),
        absolute=np.asarray(table.layers["absolute"], dtype=np.float32).reshape(shape),
        groups=groups,
        units=units,
        genes=tuple(table.var_names.astype(str)),
        n_cells=table.obs["n_cells"].to_numpy()[:: len(units)],
        method=str(facts["method"]),
        completeness_error=float(facts["completeness_error"]),
        baseline=str(facts["baseline"]),
        fingerprint=str(facts["fingerprint"]),
        minus=str(facts["minus"]),
        warnings=tuple(str(message) for message in facts.get("warnings", ())),
    )
