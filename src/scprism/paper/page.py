"""The audit page: what the paper found, verdicts, a section for each experiment; figures and tables beside it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from scprism._files import replacing
from scprism._version import __version__
from scprism.paper.plan import Experiment, Plan
from scprism.paper.scale import SCALES, Scale
from scprism.paper.section import Section, Verdict
from scprism.paper.trainings import Basis, training_curves, training_summary

__all__ = ["Heading", "Part", "markdown_table", "write_audit"]

DPI = 110
FOUND = (
    "The paper trains an autoencoder on the Hallmark genes of one mouse tissue and applies it unchanged to tissues "
    "that it has never seen. It finds that the structure of foreign data is kept in the bottleneck; that neighbours "
    "there tell cell types about as well as neighbours over all genes, which those of an untrained network do not; "
    "that batch correction extends this across platforms, and that some of it reaches human cells; and that single "
    "units answer to one or a few gene sets, which a penalty for orthogonal weights is said to help."
)
TOLD = {
    "holds": "What holds here",
    "mixed": "What holds on some data and not on others",
    "does not hold": "What does not hold here",
    "not shown": "What the data here cannot tell",
    "no data": "What could not be tested for want of data",
    "not computed": "What is not computed yet",
}
"""How outcomes are told in the first paragraphs, in their order."""


@dataclass(frozen=True)
class Part:
    """An experiment, its section, and what its verdicts rest on."""

    experiment: Experiment
    section: Section
    basis: Basis


@dataclass(frozen=True)
class Heading:
    """What stands first on the page.

    Attributes
    ----------
    plan
        What was run.
    command
        The command that writes the page.
    seconds
        Computing time of all results and networks, on one thread.
    failed
        Cells of the grid that have no result: ``experiment``, ``settings`` and ``message``.
    epochs
        Of the networks: `training_table`.
    """

    plan: Plan
    command: str
    seconds: float
    failed: pd.DataFrame
    epochs: pd.DataFrame


def write_audit(folder: Path, *, heading: Heading, parts: Sequence[Part]) -> Path:
    """Return the path of ``audit.md``, written into the folder; its figures and tables are in ``audit`` beside it."""
    page = [_origin(heading), _told(parts), _verdict_text(parts), *_trainings(heading.epochs, folder), _data(heading)]
    for part in parts:
        name, section = part.experiment.name, part.section
        page += [f"## {part.experiment.title}", f"`--only {name}`; rests on {part.basis}.", section.text]
        for i, (caption, table) in enumerate(section.tables, start=1):
            page += [f"*{caption}*", markdown_table(table)]
            with replacing(folder / "audit" / f"{name}-{i}.tsv") as scratch:
                table.to_csv(scratch, sep="\t", index=False)
        page += [_drawn(folder, file, caption, figure) for file, (caption, figure) in section.figures.items()]
    with replacing(folder / "audit.md") as scratch:
        scratch.write_text("\n\n".join(text for text in page if text) + "\n", encoding="utf-8")
    return folder / "audit.md"


def _drawn(folder: Path, name: str, caption: str, figure: Figure) -> str:
    """Return the Markdown of a figure, after it was written."""
    with replacing(folder / "audit" / f"{name}.png") as scratch:
        figure.savefig(scratch, dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    return f"![{caption}](audit/{name}.png)\n\n*{caption}*"


def _told(parts: Sequence[Part]) -> str:
    """Return in words what the paper found, and which of its claims hold here."""
    verdicts = [verdict for part in parts for verdict in part.section.verdicts]
    paragraphs = [FOUND]
    for outcome, words in TOLD.items():
        claims = [_short(verdict) for verdict in verdicts if verdict.outcome == outcome]
        if claims:
            paragraphs.append(f"**{words}:** {'; '.join(claims)}.")
    paragraphs.append(
        "A verdict is about the networks and the data that are named beside it, as trained here; `default` is the "
        "preset that scprism's users have unless they ask for another."
    )
    return "\n\n".join(paragraphs)


def _short(verdict: Verdict) -> str:
    where = verdict.source
    if verdict.for_default:
        same = verdict.for_default == verdict.outcome
        where += "; `default` too" if same else f"; `default`: {verdict.for_default}"
    return f"{verdict.claim} ({where})" if where else verdict.claim


def _verdict_text(parts: Sequence[Part]) -> str:
    rows = [
        {
            "claim": v.claim,
            "where": v.source,
            "paper": v.paper,
            "here": v.ours,
            "outcome": f"**{v.outcome}**",
            "for `default`": v.for_default or None,
            "rests on": str(part.basis),
            "why": v.why,
        }
        for part in parts
        for v in part.section.verdicts
    ]
    return f"## The claims in a line each\n\n{markdown_table(pd.DataFrame(rows))}" if rows else ""


def _trainings(epochs: pd.DataFrame, folder: Path) -> Iterator[str]:
    """Yield how long networks were trained, and whether they had stopped improving."""
    if epochs.empty:
        return
    yield "## How long the networks were trained"
    yield (
        "A network had stopped if no more than a hundredth of the whole fall of its held-out loss came in the last "
        "tenth of its epochs. Training ends early where a preset's own rule says so: `paper` at the first look, every "
        "ten epochs, without a lower loss; `as_released` practically never."
    )
    yield markdown_table(training_summary(epochs))
    caption = "Held-out loss of each network, from 1 in its first epoch to 0 at its lowest"
    yield _drawn(folder, "training", caption, training_curves(epochs))


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


def _origin(heading: Heading) -> str:
    scale = next((name for name, known in SCALES.items() if known == heading.plan.scale), "custom")
    parts = [
        "# An audit of the paper's claims",
        f"Written by `{heading.command}` (scprism {__version__}, scale `{scale}`). The paper: Walbech et al., Cells "
        "2022, 11, 85 (`docs/method.md`); its supplement was not available to us. What is said of the released code "
        "was read in one commit (16 December 2021), which may not be the one that made the paper's figures; "
        "`as_released` is our re-implementation of it. What is said here holds for the data below.",
        f"Presets: {', '.join(f'`{name}`' for name in heading.plan.presets)}. Computing took "
        f"{heading.seconds / 60:.0f} minutes of one core, the training of networks included. Intervals are 95 % "
        "bootstrap intervals.",
        _lengths(heading.plan.scale),
    ]
    return "\n\n".join(parts)


def _data(heading: Heading) -> str:
    sources = pd.DataFrame(
        [
            {
                "data": source.name,
                "organism": source.organism or "unknown",
                "platform": source.platform,
                "labelled cells": sum(n for _, n in source.types),
                "types": len(source.types),
            }
            for source in heading.plan.sources
        ]
    )
    parts = ["## Data", markdown_table(sources)]
    if len(heading.failed):
        parts += [f"{len(heading.failed)} cells of the grid have no result:", markdown_table(heading.failed)]
    return "\n\n".join(parts)


def _lengths(scale: Scale) -> str:
    return (
        f"Scale: at most {scale.max_cells:,} cells of a data set; at most {scale.max_epochs} epochs of a training, "
        "single cells a step under `paper` and `as_released`, as the released code has it; "
        f"{scale.seeds} seeds, {scale.penalty_seeds} of each penalty, {scale.ablation_seeds} of each step of the "
        f"ablation; searches of {scale.search_trials} trials of {scale.search_epochs} epochs and {scale.final_epochs} "
        "further ones (the paper: 40, 100 and 400, `--scale full`). What is not computed has no numbers here. "
        '"paper, Adam" is the network and loss of `paper`, trained by the optimiser of `default`.'
    )
