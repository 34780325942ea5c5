"""The section of each experiment, and what stands above them all."""

from collections.abc import Callable, Mapping

import pandas as pd

from scprism.evaluate.experiments.plan import Plan
from scprism.evaluate.experiments.registry import EXPERIMENTS
from scprism.report.audit import (
    ablation,
    guided,
    orthogonality,
    pathways,
    released_penalty,
    stability,
    tissue_genes,
    untrained_sets,
)
from scprism.report.audit.section import Section

__all__ = ["SECTIONS", "heading"]

Frames = Mapping[str, pd.DataFrame]


def _plain(name: str) -> Callable[[Frames], Section]:
    def section(frames: Frames) -> Section:
        return Section(name, EXPERIMENTS[name].title, "", ((name, frames[name].head(30)),))

    return section


SECTIONS: dict[str, Callable[[Frames], Section]] = {
    **{name: _plain(name) for name in EXPERIMENTS},
    "pathways": pathways.section,
    "orthogonality": orthogonality.section,
    "tissue-genes": tissue_genes.section,
    "released-penalty": released_penalty.section,
    "guided": guided.section,
    "untrained-sets": untrained_sets.section,
    "stability": stability.section,
    "ablation": ablation.section,
}


def heading(plan: Plan, frames: Frames, *, seconds: float) -> str:
    """Return the page's first words."""
    return f"# Audit\n\n{len(plan.sources)} sources, {sum(map(len, frames.values()))} rows, {seconds:.0f} s"
