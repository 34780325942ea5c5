"""Where the parts of Tabula Muris lie in a folder, unpacked or still in the zip files as published."""

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scprism._check import some
from scprism.errors import InputError, PrismError
from scprism.paper.tabula_muris.names import TISSUES, Platform, tissue_name
from scprism.types import PathLike

__all__ = ["Part", "existing_folder", "find_files", "find_parts", "of_one_release", "unpacked"]

FACS_FILE = re.compile(r"(?P<name>.+)-counts\.csv(\.gz)?", re.IGNORECASE)
DROPLET_FOLDER = re.compile(r"(?P<name>.+)-(?P<channel>10X_P\d+_\d+)")
DEPTH = ("*", "*/*", "*/*/*")
"""Parts are looked for in the folder and two levels below: however one unpacks the files."""


@dataclass(frozen=True)
class Part:
    """One file of counts: a tissue's table of FACS data, or the 10x folder of one channel.

    Attributes
    ----------
    tissue
        As `tissue_name` has it.
    name
        Of the tissue, as the file has it.
    channel
        Of the 10x machine; empty for FACS.
    path
        The table, the folder, or the zip file.
    members
        What the zip file holds of it; empty if the part is unpacked.
    """

    tissue: str
    platform: Platform
    name: str
    channel: str
    path: Path
    members: tuple[str, ...] = ()


def existing_folder(folder: PathLike) -> Path:
    """Return the folder as a path.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    path = Path(folder)
    if not path.is_dir():
        msg = (
            f"`folder` must be a folder with the files of Tabula Muris, got '{path}', which is "
            f"{'a file' if path.exists() else 'not there'}. `scprism datasets fetch tabula-muris` downloads them."
        )
        raise InputError(msg)
    return path


def find_parts(folder: Path) -> list[Part]:
    """Return the parts of Tabula Muris in a folder, sorted; what is unpacked goes before the same in a zip file."""
    entries = [path for pattern in DEPTH for path in sorted(folder.glob(pattern))]
    plain = [_part(path.name, path) for path in entries if path.is_dir() or path.suffix in {".csv", ".gz"}]
    parts = [part for part in plain if part is not None and _is_whole(part)]
    there = {(part.platform, part.tissue, part.channel) for part in parts}
    for path in entries:
        if path.suffix == ".zip":
            parts += [part for part in _zipped(path) if (part.platform, part.tissue, part.channel) not in there]
    return sorted(parts, key=lambda part: (part.platform, part.tissue, part.channel, part.path))


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files in the folder and two levels below whose whole name matches, letters' case apart."""
    return sorted(
        path
        for depth in DEPTH
        for path in folder.glob(depth)
        if path.is_file() and re.fullmatch(pattern, path.name, re.IGNORECASE)
    )


@contextmanager
def unpacked(part: Part) -> Iterator[Path]:
    """Yield the path of a part's table or folder; what comes from a zip file is there until the block ends.

    Raises
    ------
    InputError
        If the zip file is damaged, or an error within the block speaks of the temporary path.
    """
    if not part.members:
        yield part.path
        return
    with tempfile.TemporaryDirectory(prefix="scprism-") as scratch:
        path = Path(scratch) / (f"{part.name}-{part.channel}" if part.channel else "")
        path.mkdir(exist_ok=True)
        _extract(part, path)
        try:
            yield path if part.channel else next(path.iterdir())
        except PrismError as error:
            msg = str(error).replace(str(path), f"{part.path}:{PurePosixPath(part.members[0]).parent}")
            raise InputError(msg) from error


def _extract(part: Part, path: Path) -> None:
    try:
        with zipfile.ZipFile(part.path) as archive:
            for member in part.members:
                with archive.open(member) as source, (path / PurePosixPath(member).name).open("wb") as target:
                    while block := source.read(2**20):
                        target.write(block)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise _damaged(part.path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"'{path}' is damaged: {error}. Delete it and download it again: scprism datasets fetch tabula-muris."
    )


def _part(name: str, path: Path, members: Iterable[str] = ()) -> Part | None:
    platform: Platform
    if match := FACS_FILE.fullmatch(name):
        platform, channel = "facs", ""
    elif match := DROPLET_FOLDER.fullmatch(name):
        platform, channel = "droplet", match["channel"]
    else:
        return None
    tissue = tissue_name(match["name"])
    if tissue not in TISSUES:
        return None
    return Part(tissue, platform, match["name"], channel, path, tuple(members))


def _is_whole(part: Part) -> bool:
    return part.path.is_dir() == (part.platform == "droplet")


def _zipped(path: Path) -> list[Part]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [PurePosixPath(name) for name in archive.namelist() if not name.endswith("/")]
    except zipfile.BadZipFile as error:
        if path.name.casefold() in {"facs.zip", "droplet.zip"}:
            raise _damaged(path, error) from error
        return []  # another zip file is not ours to judge
    ours = [name for name in members if "__MACOSX" not in name.parts and not name.name.startswith(".")]
    tables = [_part(name.name, path, [str(name)]) for name in ours]
    folders: dict[PurePosixPath, list[str]] = {}
    for name in ours:
        folders.setdefault(name.parent, []).append(str(name))
    channels = [_part(folder.name, path, names) for folder, names in folders.items()]
    return [part for part in (*tables, *channels) if part is not None]


def of_one_release(parts: list[Part]) -> list[Part]:
    """Return the parts as they are.

    Raises
    ------
    InputError
        If a table or channel is there twice, as when both releases lie in one folder.
    """
    seen: dict[str, list[str]] = {}
    for part in parts:
        seen.setdefault(part.channel, []).append(str(part.path / part.name if part.members else part.path))
    for places in seen.values():
        if len(places) > 1:
            msg = (
                f"{parts[0].tissue} ({parts[0].platform}) is there {len(places)} times: {some(places)}. Give the "
                "folder of one release."
            )
            raise InputError(msg)
    return parts
