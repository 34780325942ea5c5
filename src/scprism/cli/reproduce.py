"""The command that runs the paper's experiments."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scprism.cli import options as o
from scprism.cli.app import app
from scprism.cli.command import command
from scprism.cli.console import grid_progress, say
from scprism.cli.paths import Input, Output

__all__ = ["reproduce"]


@command(app, example="scprism reproduce --data DIR --only knn-single --only orthogonality --out audit")
def reproduce(
    out: Annotated[Path, typer.Option(help="Folder of the audit; an earlier one goes on."), Output("audit")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of labelled h5ad files, or of Tabula Muris. [default: bundled data]"),
        Input(),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="An experiment; may be repeated. [default: all]")] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(help="default, paper or as_released; may be repeated. [default: all three]"),
    ] = None,
    scale: Annotated[
        Literal["tiny", "reduced", "full"], typer.Option(help="tiny: does it run? full: the paper's numbers.")
    ] = "reduced",
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes side by side. [default: one a core]")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0, help="Compute for so long at most; 0: write the page of what is there. [default: no limit]"
        ),
    ] = None,
) -> None:
    """Run the paper's experiments and the tests of its claims; OUT/audit.md says what came out.

    What is done is kept in OUT, and the same command goes on where it was interrupted. Experiments: table1, table2,
    shared-types (Tables 3 and 4), loss-matrix, umap, no-overlap, knn-single, knn-combined, integrate, human, pathways,
    orthogonality, tissue-genes, released-penalty, guided, untrained-sets, stability, ablation.
    """
    o.use_threads(None)
    from scprism.model.presets import PRESETS, preset_config
    from scprism.paper.plan import Plan
    from scprism.paper.reproduce import find_sources, reproduce_paper
    from scprism.paper.scale import scale_named

    for name in preset or ():
        preset_config(name)
    plan = Plan(find_sources(data, out), tuple(preset or PRESETS), scale_named(scale), data)
    with grid_progress() as on_progress:
        page = reproduce_paper(plan, only=only or (), out=out, jobs=jobs, minutes=minutes, on_progress=on_progress)
    say(f"audit: {page.resolve()}")
