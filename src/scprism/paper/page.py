"""The audit page: a heading, the verdicts, a section for each experiment; its figures and tables beside it."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from scprism._files import replacing
from scprism._version import __version__
from scprism.paper.plan import Experiment, Plan
from scprism.paper.scale import SCALES, Scale
from scprism.paper.section import Section, Verdict

__all__ = ["audit_heading", "markdown_table", "write_audit"]

DPI = 110


def write_audit(folder: Path, *, heading: str, sections: Sequence[tuple[Experiment, Section]]) -> Path:
    """Return the path of ``audit.md``, written into the folder; its figures and tables are in ``audit`` beside it.

    Parameters
    ----------
    heading
        Markdown that stands first: what was run on what.
    sections
        The sections in their order, with their experiments.
    """
    parts = [heading, _verdict_text([verdict for _, section in sections for verdict in section.verdicts])]
    for experiment, section in sections:
        parts += [f"## {experiment.title}", f"`--only {experiment.name}`", section.text]
        for i, (caption, table) in enumerate(section.tables, start=1):
            parts += [f"*{caption}*", markdown_table(table)]
            with replacing(folder / "audit" / f"{experiment.name}-{i}.tsv") as scratch:
                table.to_csv(scratch, sep="\t", index=False)
        for name, (caption, figure) in section.figures.items():
            with replacing(folder / "audit" / f"{name}.png") as scratch:
                figure.savefig(scratch, dpi=DPI, metadata={"Software": None})
            plt.close(figure)
            parts.append(f"![{caption}](audit/{name}.png)\n\n*{caption}*")
    with replacing(folder / "audit.md") as scratch:
        scratch.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return folder / "audit.md"


def _verdict_text(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    rows = [
        {
            "claim": v.claim,
            "where": v.source,
            "paper": v.paper,
            "here": v.ours,
            "outcome": f"**{v.outcome}**",
            "why": v.why,
        }
        for v in verdicts
    ]
    return f"## The claims in a line each\n\n{markdown_table(pd.DataFrame(rows))}"


def markdown_table(table: pd.DataFrame) -> str:
    """Return a table as Markdown; numbers with three decimals, missing ones as a dash.

    Examples
    --------
    >>> print(markdown_table(pd.DataFrame({"k": [2], "F1": [0.91234]})))
    | k | F1 |
    | --- | --- |
    | 2 | 0.912 |
    """
    lines = [[str(column) for column in table.columns], ["---"] * table.shape[1]]
    lines += [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


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
        f"Scale: at most {scale.max_cells:,} cells of a data set, at most {scale.max_epochs} epochs of a training; "
        f"{scale.seeds} seeds, "
        f"{scale.penalty_seeds} of each penalty, {scale.ablation_seeds} of each step of the ablation; searches of "
        f"{scale.search_trials} trials of {scale.search_epochs} epochs. The paper has 40 trials of 100 epochs and 400 "
        "further ones: `--scale full`. SGD at the paper's rates needs very many steps to leave a network's start, so "
        'transfer is judged by the same network and loss trained as `default` is ("paper, Adam"); both are shown.'
    )
