"""Tables 3 and 4 of the paper: which cell types two tissues share, under which reading of the labels."""

from collections.abc import Iterable, Mapping
from typing import Literal

import pandas as pd

from scprism._check import closest
from scprism.errors import InputError
from scprism.label.labels import labels_as_text
from scprism.paper.experiments.published import SHARED_TYPES, TISSUES, SharedTable
from scprism.paper.measures.ontology import harmonise, label_key
from scprism.paper.tabula_muris.names import PLATFORM_NAMES, tissue_name

__all__ = ["PAPER_WORDS", "LabelReading", "paper_labels", "shared_types", "shared_types_summary"]

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
