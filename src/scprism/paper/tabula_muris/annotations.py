"""The annotations of Tabula Muris: annotations_facs.csv and annotations_droplet.csv, of either release."""

import gzip
from pathlib import Path

import pandas as pd

from scprism._check import some
from scprism.errors import InputError
from scprism.paper.tabula_muris.files import existing_folder, find_files
from scprism.paper.tabula_muris.names import PLATFORM_NAMES, Platform, tissue_name
from scprism.types import PathLike

__all__ = ["annotations_of", "channel_mice", "read_tabula_muris_annotations"]

FILES: dict[Platform, str] = {
    "facs": r"annotations?_facs\.csv(\.gz)?",
    "droplet": r"annotations?_droplets?\.csv(\.gz)?",
}
CHANNEL = r"^(10X_P\d+_\d+)_"


def read_tabula_muris_annotations(folder: PathLike) -> pd.DataFrame:
    """Return the annotations of both platforms, as far as they are there: index ``cell``, a row a cell.

    Columns: ``tissue`` (as `tissue_name` has it), ``platform`` ("Smart-seq2" or "10x v2"), ``cell_ontology_class`` (NaN
    where the cell has none) and ``mouse`` (NaN where the file does not say).

    Parameters
    ----------
    folder
        It, or a folder in it, holds ``annotations_facs.csv`` (first release: ``annotations_FACS.csv``) and
        ``annotations_droplet.csv`` (``annotations_droplets.csv``), gzipped or not.

    Notes
    -----
    In the later release cells of aorta and diaphragm are annotated as Heart and Limb_Muscle, though their counts have
    files of their own. To tell them apart, take ``obs`` of the cells that `read_tabula_muris` returns.

    Raises
    ------
    InputError
        If there is neither file, one is there twice, or it lacks a column.
    """
    root = existing_folder(folder)
    tables = [table for platform in FILES if (table := annotations_of(root, platform)) is not None]
    if not tables:
        msg = (
            f"'{root}' has neither annotations_facs.csv nor annotations_droplet.csv, here or two folders below. "
            "`scprism datasets fetch tabula-muris` downloads them."
        )
        raise InputError(msg)
    return pd.concat(tables)


def annotations_of(folder: Path, platform: Platform) -> pd.DataFrame | None:
    """Return the annotations of one platform, None if the file is not there; see `read_tabula_muris_annotations`."""
    path = _one_file(folder, FILES[platform])
    if path is None:
        return None
    table = _table(path)
    # R writes the cells' names as a first column without a name
    first = table.columns[0]
    cell = "cell" if "cell" in table else first if first.startswith("Unnamed") or first == "X" else None
    missing = [name for name in ("tissue", "cell_ontology_class") if name not in table]
    if cell is None or missing:
        msg = (
            f"'{path}' needs the columns {some(['cell', 'tissue', 'cell_ontology_class'])}; it has "
            f"{some(table.columns, limit=20)}."
        )
        raise InputError(msg)
    mouse = next((name for name in ("mouse.id", "mouse_id", "mouse") if name in table), None)
    annotations = pd.DataFrame(
        {
            "tissue": [tissue_name(name) for name in table["tissue"].fillna("")],
            "platform": PLATFORM_NAMES[platform],
            "cell_ontology_class": table["cell_ontology_class"].to_numpy(),
            "mouse": table[mouse].to_numpy() if mouse else pd.NA,
        },
        index=pd.Index(table[cell].str.replace(r"-1$", "", regex=True), name="cell"),
    )
    if annotations.index.has_duplicates:
        twice = annotations.index[annotations.index.duplicated()].unique()
        msg = f"'{path}' annotates {len(twice):,} cells more than once: {some(twice)}. Each needs one line."
        raise InputError(msg)
    return annotations


def channel_mice(folder: Path, annotations: pd.DataFrame | None) -> dict[str, str]:
    """Return the mouse of each droplet channel, by metadata_droplet.csv and the annotations."""
    mice: dict[str, str] = {}
    if annotations is not None:
        known = annotations.dropna(subset="mouse")
        channels = known.index.str.extract(CHANNEL, expand=False)
        mice |= dict(zip(channels, known["mouse"], strict=True))
    path = _one_file(folder, r"metadata_droplet\.csv(\.gz)?")
    if path is not None:
        table = _table(path)
        if {"channel", "mouse.id"} <= set(table):
            mice |= dict(zip(table["channel"], table["mouse.id"], strict=True))
    return mice


def _table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str)
    except (ValueError, EOFError, gzip.BadGzipFile) as error:  # pandas' parser errors are among the first
        msg = f"'{path}' is no table of commas: {error}. Delete it and download it again."
        raise InputError(msg) from error


def _one_file(folder: Path, pattern: str) -> Path | None:
    found = find_files(folder, pattern)
    if len(found) > 1:
        msg = f"'{folder}' holds {some(map(str, found))}, and one is needed. Give the folder of one release."
        raise InputError(msg)
    return found[0] if found else None
