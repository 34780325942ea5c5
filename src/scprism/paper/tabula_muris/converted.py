"""Tabula Muris as published, turned into h5ad files once, so that nothing has to read the tables again."""

import logging
from pathlib import Path
from typing import Literal

from scprism._stores import write_anndata
from scprism.errors import InputError
from scprism.paper.tabula_muris.cells import read_tabula_muris, tabula_muris_parts
from scprism.types import PathLike

__all__ = ["tabula_muris_h5ad"]

logger = logging.getLogger("scprism")


def tabula_muris_h5ad(
    folder: PathLike, *, out: PathLike, cells: Literal["all", "annotated"] = "annotated"
) -> list[Path]:
    """Return the h5ad files of all tissues and platforms in a folder, ``OUT/tm_<platform>_<tissue>.h5ad``.

    A file that is there already is kept as it is, so a call that was interrupted goes on.

    Parameters
    ----------
    folder, cells
        As for `read_tabula_muris` of the module cells. With ``"annotated"`` parts without any annotated cell
        are an error, since a file of no cells would help nobody.
    out
        Folder for the files.

    Raises
    ------
    InputError
        If the folder holds no part of Tabula Muris, or one cannot be read.
    """
    parts = tabula_muris_parts(folder)
    if parts.empty:
        msg = (
            f"'{folder}' holds no part of Tabula Muris: neither FACS/<Tissue>-counts.csv nor "
            "droplet/<Tissue>-<channel>/, nor zip files with them. `scprism datasets fetch tabula-muris` downloads it."
        )
        raise InputError(msg)
    written = []
    for tissue, platform in parts[["tissue", "platform"]].drop_duplicates().itertuples(index=False):
        path = Path(out) / f"tm_{platform}_{tissue}.h5ad"
        if not path.exists():
            part = read_tabula_muris(folder, tissue=tissue, platform=platform, cells=cells)
            write_anndata(part, path, compression="gzip")
            logger.info("%s: %d cells", path, part.n_obs)
        written.append(path)
    return written
