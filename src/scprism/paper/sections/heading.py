"""What stands first on the audit page: what was run, on what, and how long it took."""

import pandas as pd

from scprism._version import __version__
from scprism.paper.experiments.plan import Plan
from scprism.paper.experiments.scale import SCALES, Scale
from scprism.paper.sections.page import markdown_table

__all__ = ["audit_heading"]


def audit_heading(plan: Plan, *, command: str, seconds: float, failed: pd.DataFrame) -> str:
    """Return the page's first part.

    Parameters
    ----------
    plan
        What was run.
    command
        The command that writes the page.
    seconds
        Computing time of all results and networks, on one thread.
    failed
        Cells of the grid that have no result: ``experiment``, ``settings`` and ``message``.
    """
    scale = next((name for name, known in SCALES.items() if known == plan.scale), "custom")
    sources = pd.DataFrame(
        [
            {
                "data": source.name,
                "organism": source.organism or "unknown",
                "platform": source.platform,
                "labelled cells": sum(n for _, n in source.types),
                "types": len(source.types),
            }
            for source in plan.sources
        ]
    )
    parts = [
        "# An audit of the paper's claims",
        f"Written by `{command}` (scprism {__version__}, scale `{scale}`). The paper: Walbech et al., Cells 2022, "
        "11, 85 (`docs/method.md`); its supplement was not available to us. What is said of the released code "
        "was read in one commit (16 December 2021), which may not be the one that made the paper's figures; "
        "`as_released` is our re-implementation of it. What is said here holds for the data below.",
        f"Presets: {', '.join(f'`{name}`' for name in plan.presets)}. Computing took {seconds / 60:.0f} minutes of one "
        "core, the training of networks included. Intervals are 95 % bootstrap intervals.",
        _lengths(plan.scale),
        "## Data",
        markdown_table(sources),
    ]
    if len(failed):
        parts += [f"{len(failed)} cells of the grid have no result:", markdown_table(failed)]
    return "\n\n".join(parts)


def _lengths(scale: Scale) -> str:
    return (
        f"Scale: at most {scale.max_cells:,} cells of a data set, at most {scale.max_epochs} epochs of a training, "
        f"{scale.one_cell_epochs} where batches are single cells (`as_released`); {scale.seeds} seeds, "
        f"{scale.penalty_seeds} of each penalty, {scale.ablation_seeds} of each step of the ablation; searches of "
        f"{scale.search_trials} trials of {scale.search_epochs} epochs. The paper has 40 trials of 100 epochs and 400 "
        "further ones: `--scale full`. SGD at the paper's rates needs very many steps to leave a network's start, so "
        'transfer is judged by the same network and loss trained as `default` is ("paper, Adam"); both are shown.'
    )
