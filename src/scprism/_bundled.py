"""Files that come with the package (`data/SOURCES.md`)."""

from importlib.resources import files
from pathlib import Path

from scprism._check import some
from scprism.errors import InputError

__all__ = ["bundled_path"]


def bundled_path(filename: str) -> Path:
    """Return the path of a file in the package's data folder.

    Raises
    ------
    InputError
        If there is no such file.
    """
    folder = Path(str(files("scprism"))) / "data"
    path = folder / filename
    if not path.is_file():
        there = sorted(file.name for file in folder.iterdir() if file.is_file())
        msg = f"{filename!r} is not among the files that come with scprism: {some(there, limit=20)}."
        raise InputError(msg)
    return path
