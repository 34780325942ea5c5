"""Data sets too large to come with the package: where they are published, and how they get here."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from scprism._check import check_choice
from scprism._files import replacing
from scprism.errors import PrismError
from scprism.paper.download import Progress, RemoteFile, download, is_whole
from scprism.types import PathLike

__all__ = ["default_folder", "fetch_dataset", "fetchable_table"]

FIGSHARE = "https://api.figshare.com/v2"
WANTED = (".zip", ".csv", ".csv.gz")
"""Kinds of files that are downloaded; articles may hold others, such as R objects."""


@dataclass(frozen=True)
class _Published:
    name: str
    articles: tuple[int, ...]
    what: str
    read_by: str
    citation: str


_TABULA_MURIS = "The Tabula Muris Consortium, Nature 562:367-372 (2018), doi:10.1038/s41586-018-0590-4"
_PUBLISHED = (
    _Published(
        name="tabula-muris",
        articles=(5829687, 5968960),
        what="Tabula Muris: counts and annotations of 20 mouse tissues, Smart-seq2 (FACS) and 10x (droplet)",
        read_by="scprism.paper.tabula_muris.cells",
        citation=_TABULA_MURIS,
    ),
)


def fetchable_table() -> pd.DataFrame:
    """Return what can be downloaded, a row each: ``name articles what read_by citation``; articles are figshare's."""
    table = pd.DataFrame([asdict(data_set) for data_set in _PUBLISHED])
    table["articles"] = [", ".join(map(str, data_set.articles)) for data_set in _PUBLISHED]
    return table


def default_folder() -> Path:
    """Return where data sets are downloaded to unless told otherwise: the user's cache folder of scprism."""
    import pooch

    return Path(pooch.os_cache("scprism"))


def fetch_dataset(name: str, *, out: PathLike | None = None, progress: Progress | None = None) -> Path:
    """Return the folder that holds a data set's files, downloaded as far as they are not there yet.

    The list of files and their checksums come from figshare when a data set is fetched for the first time, and are
    kept beside the files: once all are there, they are checked against it and the network is not asked.

    Parameters
    ----------
    name
        A name of `fetchable_table`.
    out
        Folder to put the data set's folder into; None for `default_folder`.
    progress
        Called as the bytes come in.

    Raises
    ------
    InputError
        If there is no such data set.
    PrismError
        If figshare cannot be reached, or a download failed; see `scprism.paper.download.download`.
    """
    check_choice("name", name, [data_set.name for data_set in _PUBLISHED])
    (data_set,) = (entry for entry in _PUBLISHED if entry.name == name)
    folder = (default_folder() if out is None else Path(out)) / name
    for article in data_set.articles:
        record = folder / f"figshare-{article}.json"
        files = _recorded(record)
        if not files or not all(is_whole(folder / file.name, file) for file in files):
            files = _listed(article, folder)
            with replacing(record) as scratch:
                scratch.write_text(json.dumps([asdict(file) for file in files], indent=1) + "\n", encoding="utf-8")
        for file in files:
            download(file, folder, progress=progress)
    return folder


def _recorded(record: Path) -> list[RemoteFile]:
    """Return the list of files that an earlier call kept, empty if there is none or it cannot be read."""
    try:
        return [RemoteFile(**entry) for entry in json.loads(record.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _listed(article: int, folder: Path) -> list[RemoteFile]:
    """Return the files of a figshare article, as its interface lists them."""
    import requests

    url = f"{FIGSHARE}/articles/{article}"
    by_hand = (
        f"Or download the files of https://doi.org/10.6084/m9.figshare.{article} on another machine and put them into "
        f"'{folder}' as they are; scprism reproduce --data reads them from any folder."
    )
    try:
        response = requests.get(url, timeout=60)
    except requests.RequestException as error:
        reason = type(error).__name__
        msg = f"figshare cannot be reached at {url} ({reason}). Is this machine online, or is a proxy needed? {by_hand}"
        raise PrismError(msg) from error
    if response.status_code != 200:
        msg = f"figshare does not list the files: {url} says {response.status_code} {response.reason}. {by_hand}"
        raise PrismError(msg)
    try:
        files = [_remote(entry) for entry in response.json()["files"]]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"What {url} says is no list of files with sizes and checksums: {response.text[:80]!r}. {by_hand}"
        raise PrismError(msg) from error
    wanted = [file for file in files if file.name.endswith(WANTED)]
    if not wanted:
        msg = f"The article {url} lists no file to download ({', '.join(WANTED)}). {by_hand}"
        raise PrismError(msg)
    return wanted


def _remote(entry: dict[str, Any]) -> RemoteFile:
    md5 = entry.get("computed_md5") or entry["supplied_md5"]
    name = PurePosixPath(str(entry["name"])).name  # whatever the list says, a file stays in its folder
    return RemoteFile(name=name, url=str(entry["download_url"]), size=int(entry["size"]), md5=str(md5))
