"""Which data sets are corrected together, and by which method: what the paper had Seurat for."""

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence

from scprism.integration.methods import Method
from scprism.paper.experiments.plan import comparable, shared_types
from scprism.paper.experiments.roles import platforms_of_tissues
from scprism.paper.experiments.sources import Source, combined

__all__ = ["best_method", "combined_sources"]

LEAST_TYPES = 3


def combined_sources(sources: Sequence[Source], *, method: Method) -> list[Source]:
    """Return what can be corrected together: platforms of a data set, and data sets of one organism that share types.

    Where tissues have both platforms of Tabula Muris, each tissue's, as in the paper, and nothing else. Each comes
    corrected and, as its yardstick, joined without correction.
    """
    of_tissues = platforms_of_tissues(sources)
    if of_tissues:
        return [combined(pair, method=way) for pair in of_tissues for way in (method, "none")]
    groups = [_platforms(whole, sources) for whole in sources if not whole.is_part]
    wholes = [source for source in sources if not source.is_part]
    groups += [
        (a, b)
        for i, a in enumerate(wholes)
        for b in wholes[i + 1 :]
        if a.organism == b.organism and comparable(a, b) and len(shared_types(a, b)) >= LEAST_TYPES
    ]
    return [combined(group, method=way) for group in groups if len(group) > 1 for way in (method, "none")]


def _platforms(whole: Source, sources: Sequence[Source]) -> tuple[Source, ...]:
    return tuple(s for s in sources if s.path == whole.path and s.where is not None and s.where[0] == "platform")


def best_method() -> Method:
    """Return the best correction that is installed: Seurat, as in the paper, otherwise Scanorama, otherwise ComBat."""
    if _has_seurat():
        return "seurat"
    return "scanorama" if importlib.util.find_spec("scanorama") else "combat"


def _has_seurat() -> bool:
    program = shutil.which("Rscript")
    if program is None:
        return False
    asked = 'quit(status = if (requireNamespace("Seurat", quietly = TRUE)) 0 else 1)'
    return subprocess.run([program, "-e", asked], capture_output=True, check=False).returncode == 0  # noqa: S603
