"""Who plays which part: the paper's tissues where Tabula Muris is there, otherwise what resembles them."""

from collections.abc import Sequence
from typing import NamedTuple

from scprism.paper.experiments.sources import Source
from scprism.paper.tabula_muris.names import PLATFORM_NAMES, tissue_name

__all__ = ["FIGURE_2", "FIGURE_3", "FIGURE_4", "FIGURE_5", "Roles", "cast", "platforms_of_tissues"]

COMBINED = "combined"
SMART_SEQ2 = PLATFORM_NAMES["facs"]


class Roles(NamedTuple):
    """A figure's cast: the tissue of the model, those of the queries (all others if empty), and the platform."""

    model: str
    queries: tuple[str, ...]
    platform: str


FIGURE_2 = Roles("Marrow", ("Bladder", "Heart", "Mammary_Gland", "Limb_Muscle"), COMBINED)
FIGURE_3 = Roles("Marrow", (), SMART_SEQ2)
FIGURE_4 = Roles("Lung", (), COMBINED)
FIGURE_5 = Roles("Limb_Muscle", ("Mammary_Gland",), SMART_SEQ2)


def cast(sources: Sequence[Source], roles: Roles) -> list[tuple[Source, Source]]:
    """Return the pairs of model and query of a figure; none if the tissues are not among the sources."""
    stage = [s for s in sources if not s.is_part and _platform(s) == roles.platform]
    models = [s for s in stage if tissue_name(s.tissue) == roles.model]
    queries = [s for s in stage if not roles.queries or tissue_name(s.tissue) in roles.queries]
    return [(model, query) for model in models for query in queries if query != model]


def platforms_of_tissues(sources: Sequence[Source]) -> list[tuple[Source, Source]]:
    """Return the Smart-seq2 and the 10x data of each tissue that has both as whole data sets."""
    wholes = [s for s in sources if not s.is_part and not s.is_combined and s.tissue]
    by_platform = [{tissue_name(s.tissue): s for s in wholes if s.platform == p} for p in PLATFORM_NAMES.values()]
    return [(by_platform[0][tissue], other) for tissue, other in by_platform[1].items() if tissue in by_platform[0]]


def _platform(source: Source) -> str:
    return COMBINED if source.is_corrected else source.platform
