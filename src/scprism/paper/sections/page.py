"""The audit page on disk: Markdown, its figures, and every table as tab-separated text."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from scprism._files import replacing
from scprism.paper.sections.section import Section, Verdict

__all__ = ["write_audit"]

DPI = 110


def write_audit(folder: Path, *, heading: str, sections: Sequence[Section]) -> Path:
    """Return the path of ``audit.md``, written into the folder; its figures and tables are in ``audit`` beside it.

    Parameters
    ----------
    heading
        Markdown that stands first: what was run on what.
    sections
        In their order.
    """
    parts = [heading, _verdict_text([verdict for section in sections for verdict in section.verdicts])]
    for section in sections:
        parts += [f"## {section.title}", f"`--only {section.name}`", section.text]
        for i, (caption, table) in enumerate(section.tables, start=1):
            parts += [f"*{caption}*", markdown_table(table)]
            with replacing(folder / "audit" / f"{section.name}-{i}.tsv") as scratch:
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
