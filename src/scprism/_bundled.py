"""Files that come with the package (`data/SOURCES.md`)."""

from importlib.resources import files
from pathlib import Path

from scprism._check import some
from scprism.errors import InputError

__all__ = ["bundled_models", "bundled_path", "model_archive"]

MODELS = "models"


def bundled_path(filename: str) -> Path:
    """Return the path of a file in the package's data folder.

    Raises
    ------
    InputError
        If there is no such file.
    """
    folder = _data()
    path = folder / filename
    if not path.is_file():
        there = sorted(file.name for file in folder.iterdir() if file.is_file())
        msg = f"{filename!r} is not among the files that come with scprism: {some(there, limit=20)}."
        raise InputError(msg)
    return path


def bundled_models() -> tuple[str, ...]:
    """Return the names of the models that come with the package."""
    return tuple(sorted(path.stem for path in (_data() / MODELS).glob("*.zip")))


def model_archive(name: str) -> Path:
    """Return the zip file of a model that comes with the package."""
    return _data() / MODELS / f"{name}.zip"


def _data() -> Path:
    return Path(str(files("scprism"))) / "data"
