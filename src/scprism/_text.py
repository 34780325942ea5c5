"""Small files of text, whatever program wrote them: UTF-8, or marked as UTF-16 or UTF-32; gzipped or not."""

import codecs
import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from scprism.errors import InputError

if TYPE_CHECKING:
    from scprism.types import PathLike

__all__ = ["encoding_of", "not_text", "open_text", "parse_json", "read_lines"]

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
GZIP = b"\x1f\x8b"


def encoding_of(path: "PathLike") -> str:
    """Return the encoding that the byte-order mark of a file names, UTF-8 if it has none."""
    with _open_bytes(Path(path)) as file:
        start = file.read(4)
    return next((name for mark, name in MARKS if start.startswith(mark)), "utf-8")


def open_text(path: "PathLike") -> TextIO:
    """Return a file opened as text, by its mark; line ends are kept as they are."""
    place, encoding = Path(path), encoding_of(path)
    if _is_gzip(place):
        return gzip.open(place, "rt", encoding=encoding, newline="")
    return place.open(encoding=encoding, newline="")


def read_lines(path: "PathLike", *, what: str) -> list[str]:
    """Return the lines of a small file of text, without their ends.

    Parameters
    ----------
    path
        The file; it may be gzipped.
    what
        What the file is, for messages, such as "gene list".

    Raises
    ------
    InputError
        If the file is no text, or is text of an encoding that it does not tell.
    """
    try:
        with open_text(path) as file:
            text = file.read()
    except (UnicodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise not_text(path, what=what, error=error) from error
    if "\0" in text:
        raise not_text(path, what=what, error=None)
    return text.splitlines()


def parse_json(text: str | bytes) -> Any:
    """Return what JSON holds.

    Raises
    ------
    ValueError
        If it is no JSON, or lists lie in lists so deep that nobody wrote it.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        msg = "its lists lie too deep in each other"
        raise ValueError(msg) from error


def not_text(path: "PathLike", *, what: str, error: Exception | None) -> InputError:
    """Return the error for a file that cannot be read as text, which says why."""
    if isinstance(error, UnicodeDecodeError) and 0 not in error.object:
        line = error.object[: error.start].count(b"\n") + 1
        where = f"byte 0x{error.object[error.start]:02x} in line {line:,} is not UTF-8"
        advice = "Save it as UTF-8 (a program on Windows may have written it as Latin-1)."
        return InputError(f"The {what} '{path}' is not text that can be read: {where}. {advice}")
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return InputError(f"The {what} '{path}' is a gzip file that is cut off or damaged ({error}). Copy it again.")
    return InputError(f"The {what} '{path}' is not text. Give a file of plain text, as UTF-8; it may be gzipped.")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP


def _open_bytes(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if _is_gzip(path) else path.open("rb")
