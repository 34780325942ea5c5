"""Tabula Muris as published: FACS tables, droplet folders and annotations, zipped or not, of both releases."""

import logging
from pathlib import Path
from typing import Literal

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import check_choice, some
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.paper.tabula_muris.annotations import annotations_of, channel_mice
from scprism.paper.tabula_muris.files import Part, existing_folder, find_parts, of_one_release, unpacked
from scprism.paper.tabula_muris.names import PLATFORM_NAMES, Platform, tissue_name
from scprism.read.counts import checked_counts
from scprism.read.files import read_cells
from scprism.types import PathLike

__all__ = ["read_tabula_muris", "tabula_muris_parts"]

logger = logging.getLogger("scprism")

MANY_BARCODES = 100_000
"""A channel with more holds what was never a cell: 10x v2 has 737,280 barcodes; some channels come with all."""


def tabula_muris_parts(folder: PathLike) -> pd.DataFrame:
    """Return which tissues a folder holds: ``tissue platform name files where``, a row a tissue and platform.

    Parameters
    ----------
    folder
        It, a folder in it, or a zip file there holds ``FACS/<Tissue>-counts.csv`` (or .csv.gz) and
        ``droplet/<Tissue>-<channel>/``. Names of both releases are known; ``tissue`` is that of the later one, on
        both platforms (`scprism.paper.tabula_muris.names.tissue_name`), ``name`` that of the file.

    Raises
    ------
    InputError
        If there is no such folder, or ``FACS.zip`` or ``droplet.zip`` is damaged.
    """
    parts = find_parts(existing_folder(folder))
    rows = [
        (part.tissue, part.platform, part.name, str(part.path if part.members else part.path.parent)) for part in parts
    ]
    table = pd.DataFrame(rows, columns=["tissue", "platform", "name", "where"])
    counted = table.groupby(["platform", "tissue", "name", "where"]).size().rename("files").reset_index()
    return counted[["tissue", "platform", "name", "files", "where"]]


def read_tabula_muris(
    folder: PathLike, *, tissue: str, platform: Platform, cells: Literal["all", "annotated"] = "all"
) -> AnnData:
    """Return the cells of a tissue with their annotations: raw counts, CSR float32, cells by gene symbols.

    ``obs`` has ``cell_ontology_class`` (NaN where the cell is not annotated), ``tissue``, ``platform`` ("Smart-seq2"
    or "10x v2"), ``mouse``, and ``plate`` (FACS) or ``channel`` (droplet; all channels of the tissue are joined). Cells
    are named as in the annotations. ERCC spike-ins are among the genes of FACS data, as published; no model is built
    on them and no cell's total counts them.

    Parameters
    ----------
    folder
        See `tabula_muris_parts`; the annotations lie there too.
    tissue
        Its name in either release: "Mammary" and "Mammary_Gland" are one.
    platform
        ``"facs"`` (Smart-seq2) or ``"droplet"`` (10x).
    cells
        ``"annotated"`` for those with a ``cell_ontology_class`` only. Barcodes without any count are left out anyway.

    Raises
    ------
    InputError
        If the folder lacks the tissue or has it twice, a file is damaged, or its values are not raw counts.

    Warns
    -----
    PrismWarning
        If there are no annotations for these cells, or a channel holds barcodes that were never cells.
    """
    check_choice("platform", platform, PLATFORM_NAMES)
    check_choice("cells", cells, ("all", "annotated"))
    root = existing_folder(folder)
    parts = _chosen(root, tissue=tissue, platform=platform)
    annotations = annotations_of(root, platform)
    pieces = [_read(part, annotations, cells=cells) for part in parts]
    joined = _joined(pieces, parts)
    joined.obs = _obs(joined.obs, annotations, folder=root, part=parts[0])
    _warn_of_labels(joined, annotations, part=parts[0], folder=root, wanted=cells)
    try:
        checked_counts(joined)
    except InputError as error:
        msg = f"The counts of {parts[0].name} in '{parts[0].path}' cannot be used, is the file whole? {error}"
        raise InputError(msg) from error
    return joined


def _chosen(folder: Path, *, tissue: str, platform: Platform) -> list[Part]:
    parts = find_parts(folder)
    chosen = [part for part in parts if part.tissue == tissue_name(tissue) and part.platform == platform]
    if not chosen:
        there = sorted({part.tissue for part in parts if part.platform == platform})
        layout = "FACS/<Tissue>-counts.csv" if platform == "facs" else "droplet/<Tissue>-<channel>/matrix.mtx"
        msg = (
            f"'{folder}' has no {tissue!r} of platform {platform!r}, looked for as {layout}, in zip files too. It has: "
            f"{some(there, limit=20)}."
        )
        raise InputError(msg)
    return of_one_release(chosen)


def _read(part: Part, annotations: pd.DataFrame | None, *, cells: Literal["all", "annotated"]) -> AnnData:
    with unpacked(part) as path:
        found = read_cells(path, transpose=part.platform == "facs", check=False)
    if part.channel:
        barcodes = found.obs_names.str.replace(r"-\d+$", "", regex=True)
        found.obs_names = part.channel + "_" + barcodes
        found.obs["channel"] = part.channel
    found.var = pd.DataFrame(index=found.var_names)
    if cells == "annotated":
        known = [] if annotations is None else annotations["cell_ontology_class"].dropna().index.tolist()
        return found[found.obs_names.isin(known)].copy()
    if found.n_obs > MANY_BARCODES:
        msg = (
            f"{part.name}-{part.channel} holds {found.n_obs:,} barcodes, most of which were never cells. Take "
            "cells='annotated', or leave out cells with few counts before anything else."
        )
        warn(msg)
    if not part.channel:
        return found
    is_empty = np.asarray(found.X.sum(axis=1)).ravel() == 0
    if is_empty.any():
        logger.info("%s-%s: left out %d barcodes without any count", part.name, part.channel, is_empty.sum())
    return found[~is_empty].copy()


def _joined(pieces: list[AnnData], parts: list[Part]) -> AnnData:
    genes = pieces[0].var_names
    for piece, part in zip(pieces, parts, strict=True):
        if set(piece.var_names) != set(genes):
            odd = sorted(set(piece.var_names) ^ set(genes))
            msg = f"The channels {parts[0].channel} and {part.channel} of {part.name} differ in genes: {some(odd)}."
            raise InputError(msg)
    if len(pieces) == 1:
        return pieces[0]
    return anndata.concat(pieces)  # genes in the order of the first


def _obs(obs: pd.DataFrame, annotations: pd.DataFrame | None, *, folder: Path, part: Part) -> pd.DataFrame:
    names = obs.index.to_series()
    nothing = pd.DataFrame(columns=["cell_ontology_class", "mouse"], dtype=object)
    known = (nothing if annotations is None else annotations).reindex(obs.index)
    table = pd.DataFrame({"cell_ontology_class": pd.Categorical(known["cell_ontology_class"])}, index=obs.index)
    table["tissue"], table["platform"] = part.tissue, PLATFORM_NAMES[part.platform]
    if part.platform == "facs":
        # A10.MAA000595.3_9_M.1.1: well, plate, mouse
        fields = names.str.extract(r"^[A-P]\d+\.(?P<plate>[^.]+)\.(?P<mouse>[^.]+)")
        table["mouse"] = known["mouse"].where(known["mouse"].notna(), fields["mouse"])
        table["plate"] = fields["plate"]
    else:
        table["mouse"] = obs["channel"].map(channel_mice(folder, annotations))
        table["channel"] = obs["channel"]
    return table


def _warn_of_labels(cells: AnnData, annotations: pd.DataFrame | None, *, part: Part, folder: Path, wanted: str) -> None:
    if cells.n_obs and cells.obs["cell_ontology_class"].notna().any():
        return
    what = (
        f"'{folder}' has no file of annotations for platform {part.platform!r}"
        if annotations is None
        else f"The annotations in '{folder}' have no label for a cell of {part.name} ({part.platform})"
    )
    if wanted == "annotated":
        msg = f"{what}, and cells='annotated' was asked for. `scprism datasets fetch tabula-muris` downloads them."
        raise InputError(msg)
    warn(f"{what}, so no cell has a cell type.")
