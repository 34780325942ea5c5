"""Model folders that come as a zip file, from an address, or with the package."""

import hashlib
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from scprism._bundled import bundled_models, model_archive
from scprism._check import some
from scprism._files import MODEL_NAMES
from scprism.errors import BundleError, InputError, PrismError
from scprism.types import PathLike

__all__ = ["is_address", "model_folder"]

MOST_BYTES = 4 * 2**30
"""A model of more is none of ours: what a zip file unpacks to is known before anything is written."""
UNREADABLE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    UnicodeError,
)
"""What a damaged zip file makes its reader raise."""
TIMEOUT_SECONDS = 60.0
BLOCK = 2**16


@contextmanager
def model_folder(source: PathLike, *, checksum: str | None = None) -> Iterator[Path]:
    """Yield the folder of a model, as long as the block lasts.

    Parameters
    ----------
    source
        A model folder; a zip file of one; the address of such a file (``https://…/model.zip#sha256=…``); or the name of
        a model that comes with scprism.
    checksum
        SHA-256 of the zip file, 64 hexadecimal digits, with or without ``sha256:`` before; needed for an address,
        unless it stands at its end.

    Raises
    ------
    InputError
        If the checksum is missing, malformed, or that of a folder.
    BundleError
        If the file has another checksum, or is no zip file of a model that can be unpacked safely.
    PrismError
        If the address cannot be reached.
    """
    if is_address(source):
        address, _, told = str(source).partition("#sha256=")
        with _unpacked(_download(address, _digits(checksum or told or None, source=address))) as folder:
            yield folder
        return
    path = Path(source)
    if not path.exists() and str(source) in bundled_models():
        path = model_archive(str(source))
    if not path.is_file():
        if checksum is not None:
            msg = f"`checksum` is that of a zip file, and {str(source)!r} is none. Leave it out."
            raise InputError(msg)
        yield path
        return
    if checksum is not None and _sha256(path) != _digits(checksum, source=str(source)):
        msg = f"{str(source)!r} has another checksum than the one given. Get the file again."
        raise BundleError(msg)
    with _unpacked(path) as folder:
        yield folder


def is_address(source: PathLike) -> bool:
    """Return whether a source is an address of the web."""
    return str(source).lower().startswith(("http://", "https://"))


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="scprism-") as place:
        _unpack(path, Path(place))
        yield Path(place)


def _unpack(path: Path, folder: Path) -> None:
    """Write the files of a model, and nothing else that a zip file holds, into a folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, name=str(path))
            for name, member in members.items():
                (folder / name).write_bytes(archive.read(member))  # of no more bytes than the member's size
    except UNREADABLE as error:
        msg = f"{str(path)!r} is not a model folder, nor a zip file of one that can be read ({error})."
        raise BundleError(f"{msg} Give the folder that `scprism fit --out` wrote, or a zip file of it.") from error


def _members(archive: zipfile.ZipFile, *, name: str) -> dict[str, zipfile.ZipInfo]:
    """Return the members that are files of a model, by their names; all members are checked."""
    found: dict[str, zipfile.ZipInfo] = {}
    homes = set()
    for member in archive.infolist():
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in member.filename:
            raise _refusal(name, f"it has a path that leads out of its folder, {member.filename!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _refusal(name, f"it holds a link, {member.filename!r}")
        if member.is_dir() or parts.name not in MODEL_NAMES or "__MACOSX" in parts.parts:
            continue
        if parts.name in found:
            raise _refusal(name, f"it holds {parts.name!r} more than once")
        found[parts.name] = member
        homes.add(parts.parent)
    size = sum(member.file_size for member in found.values())
    if size > MOST_BYTES:
        raise _refusal(
            name, f"it unpacks to {size / 2**30:,.1f} GB, and no model takes more than {MOST_BYTES / 2**30:g}"
        )
    if "model.json" not in found or len(homes) > 1:
        held = "files of several folders" if len(homes) > 1 else some(found)
        raise _refusal(name, f"it holds {held}, where model.json and the files beside it should be")
    return found


def _refusal(name: str, reason: str) -> BundleError:
    return BundleError(
        f"{name!r} is no zip file of one model: {reason}. Zip the folder that `scprism fit --out` wrote."
    )


def _digits(checksum: str | None, *, source: str) -> str:
    """Return a checksum as 64 digits."""
    if checksum is None:
        msg = (
            f"The address {source!r} needs a checksum, the SHA-256 of the file, so that one that was changed on the "
            f"way is noticed. Put it at the end: {source}#sha256=… (in Python: or give `checksum`)"
        )
        raise InputError(msg)
    digits = checksum.lower().removeprefix("sha256:").removeprefix("sha256=")
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        msg = f"The checksum must be a SHA-256, 64 hexadecimal digits, got {checksum!r}."
        raise InputError(msg)
    return digits


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(address: str, digits: str) -> Path:
    """Return where the file of an address lies in the user's cache, downloaded unless it is there."""
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    fetch = pooch.HTTPDownloader(chunk_size=BLOCK, timeout=TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"})
    try:
        place = pooch.retrieve(
            address,
            known_hash=f"sha256:{digits}",
            fname=f"{digits[:16]}.zip",
            path=Path(pooch.os_cache("scprism")) / "models",
            downloader=fetch,
        )
    except requests.RequestException as error:
        msg = f"The model at {address} could not be downloaded: {error}. Is this machine online, and the address right?"
        raise PrismError(msg) from error
    except ValueError as error:  # of the checksum
        msg = f"What came from {address} has another checksum than the one given, and was deleted. Check both."
        raise BundleError(msg) from error
    return Path(place)
