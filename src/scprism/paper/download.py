"""Downloads by pooch: a file takes its name only when its checksum is right."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scprism.errors import PrismError

__all__ = ["Progress", "RemoteFile", "download", "is_whole"]

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are there, and its size."""

TIMEOUT_SECONDS = 60.0
ATTEMPTS = 5
BLOCK = 2**16
"""Bytes written at a time."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes
    ----------
    name
        What it is called here.
    size
        In bytes.
    md5
        Its checksum, 32 hexadecimal digits.
    """

    name: str
    url: str
    size: int
    md5: str


def download(file: RemoteFile, folder: Path, *, progress: Progress | None = None) -> Path:
    """Return the path of a file in `folder`, downloaded unless it is there with the right checksum.

    A download that breaks off begins anew, up to five times.

    Raises
    ------
    PrismError
        If the server cannot be reached or has no such file, the connection broke off again and again, or the checksum
        is wrong; nothing is left of it then, and a file that was there before is as it was.
    """
    import pooch
    import requests

    path = folder / file.name
    if is_whole(path, file):
        return path
    pooch.get_logger().setLevel("ERROR")  # the progress is told by us
    shown = None if progress is None else _Bytes(file, progress)
    # encoded, the bytes would not be those of the file
    fetch = pooch.HTTPDownloader(
        progressbar=shown, chunk_size=BLOCK, timeout=TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"}
    )
    files = pooch.create(
        folder, "", registry={file.name: f"md5:{file.md5}"}, urls={file.name: file.url}, retry_if_failed=ATTEMPTS - 1
    )
    try:
        files.fetch(file.name, downloader=fetch)
    except requests.RequestException as error:
        msg = (
            f"The download of {file.name} from {file.url} failed {ATTEMPTS} times in a row: {error}. Is this machine "
            "online? The same command tries it again; files that are whole are kept."
        )
        raise PrismError(msg) from error
    except ValueError as error:  # of the checksum
        msg = (
            f"What came from {file.url} has another checksum than {file.name} should have (md5 {file.md5}) and was "
            "deleted. Try again; if it happens again, something between here and the server changes the file."
        )
        raise PrismError(msg) from error
    return path


def is_whole(path: Path, file: RemoteFile) -> bool:
    """Return whether a path holds the file: its size and its checksum."""
    import pooch

    return path.exists() and path.stat().st_size == file.size and pooch.file_hash(str(path), alg="md5") == file.md5


class _Bytes:
    """What pooch tells of the bytes that come, in the words of `Progress`."""

    def __init__(self, file: RemoteFile, progress: Progress) -> None:
        self.file, self.progress, self.there, self.total = file, progress, 0, 0

    def update(self, n_bytes: int) -> None:
        self.there = min(self.there + n_bytes, self.file.size)
        self.progress(self.file.name, self.there, self.file.size)

    def reset(self) -> None:
        self.there = 0

    def close(self) -> None:
        self.there = 0
