"""Downloads that go on where they were cut off, and take a file's name only when its checksum is right."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scprism.errors import PrismError

__all__ = ["Progress", "RemoteFile", "download", "is_whole"]

logger = logging.getLogger("scprism")

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are there, and its size."""

BLOCK = 2**16
"""Bytes written at a time, and the most that a broken connection loses."""
TIMEOUT_SECONDS = 60.0
FAILURES = 5
"""So many attempts in a row that bring no new byte end a download."""
WAIT_SECONDS = 2.0
"""Before the second attempt; twice as long before each further one."""


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

    What has come so far lies beside it in ``NAME.part``, also after an interruption, and the next call goes on from
    there where the server can send the rest of a file (HTTP Range), else from the start.

    Raises
    ------
    PrismError
        If the server cannot be reached or has no such file, the connection broke off again and again, or the checksum
        is wrong; then the part is deleted, and a file that was there before is left as it was.
    """
    path, part = folder / file.name, folder / f"{file.name}.part"
    if is_whole(path, file):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    _complete(part, file, progress)
    if not is_whole(part, file):
        part.unlink()
        msg = (
            f"What came from {file.url} has another checksum than {file.name} should have (md5 {file.md5}) and was "
            "deleted. Try again; if it happens again, something between here and the server changes the file."
        )
        raise PrismError(msg)
    part.replace(path)
    return path


def is_whole(path: Path, file: RemoteFile) -> bool:
    """Return whether a path holds the file: its size and its checksum."""
    import pooch

    return _size(path) == file.size and pooch.file_hash(str(path), alg="md5") == file.md5


def _complete(part: Path, file: RemoteFile, progress: Progress | None) -> None:
    """Download what `part` lacks of the file."""
    import requests

    if _size(part) > file.size:
        part.unlink()
    most, failures = _size(part), 0
    while _size(part) < file.size:
        reason = "the connection ended early"
        try:
            _append(part, file, progress)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            reason = str(error) or type(error).__name__
        if _size(part) > most:
            most, failures = _size(part), 0
        elif _size(part) < file.size:
            failures += 1
            if failures == FAILURES:
                raise _broken_off(file, part, reason)
            time.sleep(WAIT_SECONDS * 2 ** (failures - 1))
        logger.info("%s: %d of %d bytes", file.name, _size(part), file.size)


def _append(part: Path, file: RemoteFile, progress: Progress | None) -> None:
    """Ask for the rest of the file once, and write what comes."""
    import requests

    there = _size(part)
    # encoded, the bytes would not be those of the file
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with requests.get(file.url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        if response.status_code == 429 or response.status_code >= 500:
            msg = f"the server says {response.status_code} {response.reason}"
            raise requests.ConnectionError(msg)
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {there}-")
        if there and (response.status_code == 416 or (response.status_code == 206 and not goes_on)):
            part.unlink()  # of another file, or the server counts otherwise
            msg = f"the server cannot go on from byte {there:,}"
            raise requests.ConnectionError(msg)
        if response.status_code not in (200, 206):
            msg = f"{file.url} does not give {file.name}: status {response.status_code} {response.reason}."
            raise PrismError(msg)
        with part.open("ab" if response.status_code == 206 else "wb") as target:
            for block in response.iter_content(BLOCK):
                target.write(block)
                if progress is not None:
                    progress(file.name, target.tell(), file.size)


def _broken_off(file: RemoteFile, part: Path, reason: str) -> PrismError:
    there = _size(part)
    kept = f"{there:,} of {file.size:,} bytes are kept in '{part}': the same command goes on from there."
    return PrismError(
        f"The download of {file.name} from {file.url} broke off {FAILURES} times in a row: {reason}. "
        f"{kept if there else 'Is this machine online?'}"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
