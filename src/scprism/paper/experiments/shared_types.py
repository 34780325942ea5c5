"""Tables 3 and 4 of the paper: which cell types two tissues share, under which reading of the labels."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from scprism._check import closest
from scprism.errors import InputError
from scprism.label.labels import labels_as_text
from scprism.paper.experiments.published import SHARED_TYPES, TISSUES, SharedTable
from scprism.paper.measures.ontology import harmonise, label_key
from scprism.paper.networks import NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.section import Section, Verdict
from scprism.paper.tabula_muris.annotations import read_tabula_muris_annotations
from scprism.paper.tabula_muris.names import PLATFORM_NAMES, tissue_name

__all__ = [
    "PAPER_WORDS",
    "SHARED_TYPES",
    "LabelReading",
    "annotations_in",
    "paper_labels",
    "shared_types",
    "shared_types_summary",
]

NAME = "shared-types"
LabelReading = Literal["raw", "harmonised", "paper"]
"""``"raw"``: Tabula Muris' own, equal but for spelling; ``"harmonised"``: `harmonise`, level coarse; ``"paper"``:
`paper_labels`."""
READINGS: tuple[LabelReading, ...] = ("raw", "harmonised", "paper")
HOMES: dict[SharedTable, tuple[str, tuple[str, ...]]] = {
    "Table 3": ("Marrow", (PLATFORM_NAMES["facs"],)),
    "Table 4": ("Lung", tuple(PLATFORM_NAMES.values())),
}
"""The tissue that others are compared with, and the platforms."""
PAPER_WORDS = {
    "Kupffer cell": "Kupffer cell",  # Liver shares no macrophage in Table 4
    "endothelial cell of hepatic sinusoid": "endothelial cell of hepatic sinusoid",  # nor endothelial cells
    "duct epithelial cell": "duct epithelial cell",  # nor epithelial cells
    "fibroblast": "fibroblast",  # Heart shares no stromal cell in Table 4
    "myofibroblast cell": "fibroblast",
    "mesenchymal stem cell": "mesenchymal stem cell",  # Limb_Muscle shares no stromal cell in Table 4
    "blood cell": "leukocyte",  # Trachea has no leukocyte otherwise, and Table 4 says that it shares them
}
"""Where the paper's words must differ from the harmonised ones, by Table 4; all other labels are as harmonised."""
ANNOTATIONS = "tabula_muris_annotations.csv.gz"
"""All annotated cells of both platforms in one table, where the published ones are not at hand."""
TYPES_CLAIM = "Tissues share these cell types with Marrow and with Lung"


def paper_labels(labels: pd.Series) -> pd.Series:
    """Return labels in the paper's words as far as Tables 3 and 4 let one infer them.

    The harmonised label (level coarse), but for `PAPER_WORDS`. These exceptions were chosen after the tables, so that
    they agree with them shows only that such a reading exists, not that the authors used it.
    """
    text = labels_as_text(labels)
    words = {label_key(label): word for label, word in PAPER_WORDS.items()}
    own = text.map(lambda label: words.get(label_key(label)), na_action="ignore")
    return own.where(own.notna(), harmonise(text))


def shared_types(annotations: pd.DataFrame) -> pd.DataFrame:
    """Return Tables 3 and 4 as the annotations give them beside the printed ones, a row a table, tissue and reading.

    Columns: ``table``, ``tissue``, ``labels`` (the reading), then types parted by commas: ``printed`` (in the spelling
    of the reading; empty if the paper does not list the tissue), ``found``, ``both``, ``only_printed``,
    ``only_found``; and ``same``. Table 3 has the paper's other eleven tissues in Smart-seq2 against Marrow, Table 4
    those of both platforms against Lung.

    Parameters
    ----------
    annotations
        A row a cell: ``tissue`` (or ``file_tissue``, which is preferred since the paper's Heart and Muscle have no
        Aorta and Diaphragm), ``platform`` ("Smart-seq2" or "10x v2") and ``cell_ontology_class``.

    Raises
    ------
    InputError
        If a column or a tissue is missing.
    """
    cells = _prepared(annotations)
    spelling = dict(zip(cells["raw"].map(label_key, na_action="ignore"), cells["raw"], strict=True))
    rows = [
        _row(table, tissue, reading, found=_types(cells, table, tissue, reading), spelling=spelling)
        for table in SHARED_TYPES
        for tissue in TISSUES
        if tissue != HOMES[table][0]
        for reading in READINGS
    ]
    return pd.DataFrame(rows)


def shared_types_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return how often `shared_types` agrees with the paper: ``table labels tissues same listed listed_same``.

    ``listed`` counts the tissues that the paper's table has.
    """
    listed = table.assign(listed=table["printed"] != "")
    listed["listed_same"] = listed["listed"] & listed["same"]
    counts = listed.groupby(["table", "labels"], sort=False)[["same", "listed", "listed_same"]].sum()
    counts.insert(0, "tissues", listed.groupby(["table", "labels"], sort=False).size())
    return counts.reset_index()


def _prepared(annotations: pd.DataFrame) -> pd.DataFrame:
    column = "file_tissue" if "file_tissue" in annotations else "tissue"
    for name in (column, "platform", "cell_ontology_class"):
        if name not in annotations:
            msg = f"`annotations` needs the column {name!r}. It has: {closest(name, annotations.columns)}."
            raise InputError(msg)
    labels = annotations["cell_ontology_class"].reset_index(drop=True)
    cells = pd.DataFrame(
        {
            "tissue": [tissue_name(str(name)) for name in annotations[column]],
            "platform": annotations["platform"].astype(str).to_numpy(),
            "raw": labels_as_text(labels),
            "harmonised": harmonise(labels),
            "paper": paper_labels(labels),
        }
    )
    if absent := sorted(set(TISSUES) - set(cells["tissue"])):
        msg = (
            f"`annotations` has no cell of {', '.join(absent)}, which Tables 3 and 4 need. Give the annotations of all "
            f"tissues; these have {', '.join(sorted(set(cells['tissue'])))}."
        )
        raise InputError(msg)
    return cells


def _types(cells: pd.DataFrame, table: SharedTable, tissue: str, reading: LabelReading) -> set[str]:
    home, platforms = HOMES[table]
    used = cells[cells["platform"].isin(platforms)]
    sets = [set(used.loc[used["tissue"] == name, reading].dropna()) for name in (home, tissue)]
    return sets[0] & sets[1]


def _row(
    table: SharedTable, tissue: str, reading: LabelReading, *, found: set[str], spelling: Mapping[str, str]
) -> dict[str, object]:
    words = SHARED_TYPES[table].get(tissue, ())
    printed = {spelling.get(label_key(word), word) for word in words} if reading == "raw" else set(harmonise(words))
    return {
        "table": table,
        "tissue": tissue,
        "labels": reading,
        "printed": _text(printed),
        "found": _text(found),
        "both": _text(printed & found),
        "only_printed": _text(printed - found),
        "only_found": _text(found - printed),
        "same": printed == found,
    }


def _text(types: Iterable[str]) -> str:
    return ", ".join(sorted(types))


def plan_shared_types(plan: Plan) -> list[Cell]:
    path = annotations_in(plan.data)
    return [] if path is None else [Cell(NAME, {"annotations": str(path)})]


def run_shared_types(cell: Cell, _: NetworkStore) -> Rows:
    """Return the rows of `shared_types`."""
    path = Path(str(cell.settings["annotations"]))
    annotations = read_tabula_muris_annotations(path) if path.is_dir() else pd.read_csv(path, dtype=str)
    return _as_rows(shared_types(annotations))


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


def report_shared_types(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Tables 3 and 4."""
    frame = frames[NAME]
    why = "labels were coarsened, or an earlier annotation was used: an inference"
    if "found" not in frame or frame["found"].notna().sum() == 0:
        text = "The annotations of Tabula Muris are not among the data."
        return Section(text, verdicts=(Verdict(TYPES_CLAIM, "Tables 3, 4", "–", "–", "no data", why),))
    known = frame.drop(columns=["experiment", "seconds", "message", "annotations"])
    summary = shared_types_summary(known)
    listed = known[(known["printed"] != "") & (known["labels"] == "harmonised")]
    agree = summary.set_index(["table", "labels"])["listed_same"]
    total = known[(known["printed"] != "") & (known["labels"] == "raw")]["table"].value_counts()
    ours = "; ".join(
        f"{table}: {agree[table, 'raw']} by raw, {agree[table, 'harmonised']} by harmonised labels of {total[table]}"
        for table in total.index.sort_values()
    )
    text = (
        "From the published annotations, labels as they are, in harmonised words, and in words chosen after the "
        "paper's tables (`paper`), which shows only that such a reading exists. Tissues with exactly the printed types:"
    )
    verdict = Verdict(TYPES_CLAIM, "Tables 3, 4", f"{len(listed)} lists of types", ours, "does not hold", why)
    return Section(
        text,
        (("Agreement", summary), ("Harmonised labels", listed.drop(columns=["labels"]))),
        {},
        (verdict,),
    )


TABLES_3_AND_4 = Experiment(
    "shared-types",
    "Cell types that tissues share (Tables 3 and 4)",
    plan_shared_types,
    run_shared_types,
    report_shared_types,
)
