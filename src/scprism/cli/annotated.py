"""What the commands write that end in one annotated file."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scprism.cli.console import say
from scprism.cli.options import CELLS
from scprism.errors import InputError

if TYPE_CHECKING:
    from scprism.estimator.view import View
    from scprism.label.result import Labels

__all__ = ["check_umap", "made_by", "wants_umap", "write_cells"]


def check_umap(out: Path, *, umap: bool | None) -> None:
    """Refuse --umap and --no-umap beside a result that has no room for coordinates."""
    if umap is not None and out.suffix.lower() not in CELLS:
        msg = f"--umap and --no-umap are about files of cells, and --out {str(out)!r} is a table."
        raise InputError(f"{msg} Choose a name that ends in .h5ad or .zarr, or leave the option out.")


def wants_umap(n_cells: int, *, umap: bool | None) -> bool:
    """Return whether to draw the cells, and say so where they are too many to be drawn unasked."""
    from scprism.annotation import MOST_CELLS_OF_UMAP

    if umap is None and n_cells > MOST_CELLS_OF_UMAP:
        say(f"no X_umap: it takes long for {n_cells:,} cells; --umap adds it")
        return False
    return umap is not False


def write_cells(out: Path, view: "View", *, labels: "Labels | None" = None, umap: bool | None = None) -> None:
    """Write the annotated cells of a query."""
    from scprism.annotation import write_annotated

    write_annotated(out, view, labels=labels, umap=wants_umap(view.cells.n_obs, umap=umap), made_by=made_by())


def made_by() -> dict[str, str]:
    """Return the command that is running and when, to be kept with its result."""
    words = ["scprism", *sys.argv[1:]]
    return {"command": shlex.join(words), "written": datetime.now(tz=UTC).isoformat(timespec="seconds")}
