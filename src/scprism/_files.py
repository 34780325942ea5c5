"""Writing files so that a reader never meets half of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scprism.types import PathLike

__all__ = ["replacing"]


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes that name when the block ends well and is removed otherwise."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.stem}-{os.getpid()}{target.suffix}")
    try:
        yield scratch
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
