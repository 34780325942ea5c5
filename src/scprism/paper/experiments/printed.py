"""Tables 1, 3 and 4 beside what the paper prints, as far as tissues and annotations are there."""

from pathlib import Path

import anndata
import pandas as pd

from scprism.errors import InputError
from scprism.model.presets import PRESETS
from scprism.paper.experiments import overlap
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.published import TISSUES
from scprism.paper.experiments.sources import Source
from scprism.paper.experiments.table1 import table1_rows
from scprism.paper.experiments.workshop import Workshop
from scprism.paper.tabula_muris.annotations import read_tabula_muris_annotations
from scprism.paper.tabula_muris.names import PLATFORM_NAMES, Platform, tissue_name

__all__ = ["SHARED_TYPES", "TABLE_1", "annotations_in"]

ANNOTATIONS = "tabula_muris_annotations.csv.gz"
"""All annotated cells of both platforms in one table, where the published ones are not at hand."""
PLATFORMS: dict[str, Platform] = {name: platform for platform, name in PLATFORM_NAMES.items()}


def plan_table1(plan: Plan) -> list[Cell]:
    return [
        Cell("table1", {"data": source.name, "tissue": tissue_name(source.tissue), "preset": preset}, (source,))
        for source in plan.wholes
        if source.platform in PLATFORMS and tissue_name(source.tissue) in TISSUES
        for preset in ("paper", "as_released")
    ]


def run_table1(cell: Cell, _: Workshop) -> Rows:
    """Return the rows of `table1_rows`, over all cells of the file."""
    source: Source = cell.sources[0]
    table = table1_rows(
        anndata.read_h5ad(source.path),
        tissue=source.tissue,
        platform=PLATFORMS[source.platform],
        config=PRESETS[str(cell.settings["preset"])],
        labels=source.labels,
    )
    return _as_rows(table)


def plan_shared_types(plan: Plan) -> list[Cell]:
    path = annotations_in(plan.data)
    return [] if path is None else [Cell("shared-types", {"annotations": str(path)})]


def run_shared_types(cell: Cell, _: Workshop) -> Rows:
    """Return the rows of `scprism.paper.experiments.overlap.shared_types`."""
    path = Path(str(cell.settings["annotations"]))
    annotations = read_tabula_muris_annotations(path) if path.is_dir() else pd.read_csv(path, dtype=str)
    return _as_rows(overlap.shared_types(annotations))


def annotations_in(folder: Path | None) -> Path | None:
    """Return where the annotations of Tabula Muris are: a file, the folder if they lie in it as published, or None."""
    if folder is None:
        return None
    if (folder / ANNOTATIONS).is_file():
        return folder / ANNOTATIONS
    try:
        read_tabula_muris_annotations(folder)
    except InputError:
        return None
    return folder


def _as_rows(table: pd.DataFrame) -> Rows:
    return [
        {str(name): value.item() if hasattr(value, "item") else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


TABLE_1 = Experiment("table1", "Genes of each data set (Table 1)", plan_table1, run_table1)
SHARED_TYPES = Experiment(
    "shared-types", "Cell types that tissues share (Tables 3 and 4)", plan_shared_types, run_shared_types
)
