"""Table 1 of the paper: how many genes of each tissue a model is trained on."""

from collections.abc import Mapping
from typing import Literal

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import check_choice, closest
from scprism.errors import InputError
from scprism.label.labels import labels_as_text
from scprism.model.config import Config
from scprism.model.presets import PRESETS
from scprism.paper.data_sets import Source
from scprism.paper.experiments.published import GENE_COUNTS, TISSUES
from scprism.paper.measures.bootstrap import Outcome
from scprism.paper.networks import NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.section import Section, Verdict
from scprism.paper.tabula_muris.names import PLATFORM_NAMES, Platform, tissue_name
from scprism.prepare.normalise import is_spike_in
from scprism.prepare.selection import hallmark_genes
from scprism.read.chunks import row_chunks
from scprism.read.counts import checked_counts
from scprism.types import FloatArray, Matrix

__all__ = ["TABLE_1", "Table1Column", "count_genes", "table1_rows"]

NAME = "table1"
Table1Column = Literal["facs", "droplet", "combined"]
"""A column of Table 1: Smart-seq2, 10x Genomics, or both combined by Seurat."""
COLUMNS: tuple[Table1Column, ...] = ("facs", "droplet", "combined")
PLATFORMS: dict[str, Platform] = {name: platform for platform, name in PLATFORM_NAMES.items()}
GENES_CLAIM = "A model is trained on so many Hallmark genes of each tissue"
CLOSE = 0.01
"""Gene numbers this near, relatively, may differ by the version of the Hallmark sets alone."""


def table1_rows(
    cells: AnnData, *, tissue: str, platform: Table1Column, config: Config, labels: str = "cell_ontology_class"
) -> pd.DataFrame:
    """Return a tissue's gene counts beside the one that Table 1 prints, a row for all cells and one for the annotated.

    Columns: ``tissue``, ``platform``, ``cells`` ("all" or "annotated": the paper does not say which were used),
    ``n_cells``, ``passed`` (genes with more than ``config.min_max_count`` in any cell, spike-ins left out),
    ``hallmark`` (those of them in the 50 mouse Hallmark sets, symbols in capitals), ``counted`` (as
    ``config.gene_count`` says), ``printed``, ``difference`` (counted − printed) and ``same``.

    Parameters
    ----------
    cells
        A whole tissue: raw counts, or integrated values for ``"combined"``.
    tissue
        Its name in either release.
    platform
        Column of Table 1.
    config
        ``gene_count="after_filter"`` counts Hallmark genes, as the paper's text says; ``"as_released"`` counts what the
        released code prints: genes before the Hallmark subset for 10x, one fewer than Hallmark genes otherwise
        (`docs/method.md`, row 13; that the table was filled from these prints is an inference).
    labels
        Column of ``.obs``; cells without a label there are not annotated. Without the column there is one row.

    Raises
    ------
    InputError
        If the paper has no such tissue or column, or the values are not raw counts.
    """
    check_choice("platform", platform, COLUMNS)
    name = tissue_name(tissue)
    if name not in GENE_COUNTS:
        msg = f"`tissue` must be one of Table 1's, got {tissue!r}. Closest: {closest(name, TISSUES)}."
        raise InputError(msg)
    printed = GENE_COUNTS[name][COLUMNS.index(platform)]
    matrix, genes = checked_counts(cells, integers=platform != "combined")
    everyone = np.ones(cells.n_obs, dtype=bool)
    groups = {"all": everyone}
    if labels in cells.obs:
        groups["annotated"] = labels_as_text(cells.obs[labels]).notna().to_numpy()
    rows = []
    for group, used in groups.items():
        passed, hallmark = count_genes(matrix, list(genes), used=used, min_max_count=config.min_max_count)
        counted = _counted(passed, hallmark, platform=platform, rule=config.gene_count)
        row: dict[str, object] = {"tissue": name, "platform": platform, "cells": group, "n_cells": int(used.sum())}
        row |= {"passed": passed, "hallmark": hallmark, "counted": counted, "printed": printed}
        rows.append(row | {"difference": counted - printed, "same": counted == printed})
    return pd.DataFrame(rows)


def count_genes(matrix: Matrix, genes: list[str], *, used: np.ndarray, min_max_count: float) -> tuple[int, int]:
    """Return how many genes have more than `min_max_count` in any used cell, and how many of these are Hallmark genes.

    Parameters
    ----------
    matrix, genes
        Values, cells by genes, and the genes' symbols; compared with the mouse Hallmark sets in capitals.
    used
        Cells that count, bool (cells,).
    min_max_count
        Highest value that does not pass.
    """
    passed = (_highest(matrix, used) > min_max_count) & ~is_spike_in(genes)
    wanted = {gene.upper() for gene in hallmark_genes("mouse")}
    in_hallmark = np.fromiter((gene.upper() in wanted for gene in genes), dtype=bool, count=len(genes))
    return int(passed.sum()), int((passed & in_hallmark).sum())


def _highest(matrix: Matrix, used: np.ndarray) -> FloatArray:
    highest: FloatArray = np.zeros(matrix.shape[1])
    for span, chunk in row_chunks(matrix):
        rows = chunk[used[span]]
        if rows.shape[0]:
            highest = np.maximum(highest, rows.max(axis=0).toarray().ravel())
    return highest


def _counted(
    passed: int, hallmark: int, *, platform: Table1Column, rule: Literal["after_filter", "as_released"]
) -> int:
    if rule == "after_filter":
        return hallmark
    return passed if platform == "droplet" else hallmark - 1


def plan_table1(plan: Plan) -> list[Cell]:
    return [
        Cell(NAME, {"data": source.name, "tissue": tissue_name(source.tissue), "preset": preset}, (source,))
        for source in plan.wholes
        if source.platform in PLATFORMS and tissue_name(source.tissue) in TISSUES
        for preset in ("paper", "as_released")
    ]


def run_table1(cell: Cell, _: NetworkStore) -> Rows:
    """Return the rows of `table1_rows`, over all cells of the file."""
    source: Source = cell.sources[0]
    table = table1_rows(
        anndata.read_h5ad(source.path),
        tissue=source.tissue,
        platform=PLATFORMS[source.platform],
        config=PRESETS[str(cell.settings["preset"])],
        labels=source.labels,
    )
    return _as_rows(table)


def _as_rows(table: pd.DataFrame) -> Rows:
    return [
        {str(name): value.item() if hasattr(value, "item") else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def report_table1(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Table 1."""
    frame = frames[NAME]
    paper = "3,708–4,130 genes in Smart-seq2, 6,950–11,645 in 10x"
    why = "all 50 Hallmark sets together have fewer genes than Table 1's 10x column, which must be counted otherwise"
    if "counted" not in frame or frame["counted"].notna().sum() == 0:
        text = "No data set here is a tissue of Tabula Muris."
        return Section(text, verdicts=(Verdict(GENES_CLAIM, "Table 1", paper, "–", "no data", why),))
    known = frame[frame["counted"].notna()]
    shown = known[["tissue", "platform", "cells", "preset", "n_cells", "hallmark", "counted", "printed", "difference"]]
    as_said = known[known["preset"] == "paper"]
    off = (as_said["difference"].abs() / as_said["printed"]).groupby([as_said["tissue"], as_said["platform"]]).min()
    n_close = int((off <= CLOSE).sum())
    exact = int(as_said.groupby(["tissue", "platform"])["same"].max().sum())
    outcome: Outcome = "holds" if n_close == len(off) else "mixed" if n_close else "does not hold"
    ours = f"{n_close} of {len(off)} tissues within 1 %, {exact} the same; differences in the table"
    text = (
        "Genes with more than two counts in any cell that are in a Hallmark set (counted as the text says under "
        "`paper`, as the released code prints under `as_released`), over all cells and over the annotated ones."
    )
    verdict = Verdict(GENES_CLAIM, "Table 1", paper, ours, outcome, why)
    return Section(text, (("Gene numbers", shown),), {}, (verdict,))


TABLE_1 = Experiment("table1", "Genes of each data set (Table 1)", plan_table1, run_table1, report_table1)
