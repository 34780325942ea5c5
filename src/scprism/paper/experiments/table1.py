"""Table 1 of the paper: how many genes of each tissue a model is trained on, and the cells behind them."""

from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import check_choice, closest
from scprism.errors import InputError
from scprism.label.labels import labels_as_text
from scprism.model.config import Config
from scprism.paper.experiments.published import GENE_COUNTS, TISSUES
from scprism.paper.tabula_muris.names import tissue_name
from scprism.prepare.normalise import is_spike_in
from scprism.prepare.selection import hallmark_genes
from scprism.read.chunks import row_chunks
from scprism.read.counts import checked_counts
from scprism.types import FloatArray, Matrix

__all__ = ["Table1Column", "cell_counts", "count_genes", "table1_rows"]

Table1Column = Literal["facs", "droplet", "combined"]
"""A column of Table 1: Smart-seq2, 10x Genomics, or both combined by Seurat."""

COLUMNS: tuple[Table1Column, ...] = ("facs", "droplet", "combined")


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


def cell_counts(annotations: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of each tissue and platform: ``tissue platform cells labelled types``.

    Parameters
    ----------
    annotations
        As for `scprism.paper.experiments.overlap.shared_types`. ``labelled`` counts cells with a
        ``cell_ontology_class``, ``types`` its different values.
    """
    column = "file_tissue" if "file_tissue" in annotations else "tissue"
    cells = pd.DataFrame(
        {
            "tissue": [tissue_name(str(name)) for name in annotations[column]],
            "platform": annotations["platform"].astype(str).to_numpy(),
            "label": labels_as_text(annotations["cell_ontology_class"]).to_numpy(),
        }
    )
    groups = cells.groupby(["tissue", "platform"])["label"]
    return pd.DataFrame({"cells": groups.size(), "labelled": groups.count(), "types": groups.nunique()}).reset_index()


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
