"""Cell-type labels of different data sets in one vocabulary, so that a comparison counts meanings, not spellings."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal

import pandas as pd

from scprism._bundled import bundled_path
from scprism._check import check_choice, some
from scprism._warnings import warn
from scprism.label.labels import labels_as_text

__all__ = ["LABEL_TABLE_VERSION", "Level", "harmonise", "label_key", "label_table"]

LABEL_TABLE_VERSION = "1 (Cell Ontology of 2026-08-19)"
"""Of the table's content; whoever changes a row raises the number."""

Level = Literal["ontology", "coarse", "lineage"]
"""``"ontology"``: the Cell Ontology's name ("classical monocyte"); ``"coarse"``: a type that most data sets can tell
apart ("monocyte"); ``"lineage"``: immune, epithelial, endothelial, stromal, muscle, neural, other."""

COLUMNS = {"ontology": "ontology_name", "coarse": "coarse", "lineage": "lineage"}


def harmonise(labels: "Iterable[object] | pd.Series", *, level: Level = "coarse") -> pd.Series:
    """Return the labels in the harmonised vocabulary, in their order, with the index of a Series that was given.

    A label that the table lacks is kept as it is, and a warning names it. Missing ones (NaN, "NA", empty) are NaN.
    A label that is broader than a level has a name of its own there: "leukocyte" is no T cell at level ``"coarse"``.

    Parameters
    ----------
    labels
        Labels as a data set has them: "Naive CD4 T", "B cells", "pancreatic A cell".
    level
        How fine the names are that come back.

    Examples
    --------
    >>> harmonise(["Naive CD4 T", "FCGR3A+ Mono", "Neutrophils", "pancreatic A cell"]).tolist()
    ['T cell', 'monocyte', 'granulocyte', 'pancreatic alpha cell']
    >>> harmonise(["FCGR3A+ Mono"], level="ontology").tolist()
    ['non-classical monocyte']
    """
    check_choice("level", level, COLUMNS)
    text = labels_as_text(labels if isinstance(labels, pd.Series) else pd.Series(list(labels), dtype=object))
    names = label_table()[COLUMNS[level]]
    found = {label: names.get(label_key(label), default=None) for label in text.dropna().unique()}
    unknown = sorted(label for label, name in found.items() if name is None)
    if unknown:
        msg = f"These labels are not in the harmonisation table and are kept as they are: {some(unknown, limit=10)}."
        warn(msg)
    known: pd.Series[str] = text.map({label: name or label for label, name in found.items()}).astype(object)
    return known


@cache
def label_table() -> pd.DataFrame:
    """Return the harmonisation table: ``label ontology_id ontology_name coarse lineage source``, index `label_key`.

    ``source`` is ``"CL"`` for names and exact synonyms of the Cell Ontology, otherwise the data set or usage that the
    label is from. See ``data/SOURCES.md``.
    """
    table = pd.read_csv(bundled_path("cell_labels.tsv.gz"), sep="\t", dtype=str, keep_default_na=False)
    table.index = pd.Index(table["label"].map(label_key), name="key")
    return table


def label_key(label: str) -> str:
    """Return what spellings of one label share.

    Letters' case, plurals, a final "cell", and whether words are parted by spaces, hyphens, underscores, slashes or
    commas make no difference.

    Examples
    --------
    >>> label_key("CD14+ Monocytes"), label_key("t_cell"), label_key("T cells")
    ('cd14+ monocyte', 't', 't')
    """
    words = [_singular(word) for word in re.sub(r"[\s_\-/,;:]+", " ", label.casefold()).split()]
    return " ".join(words[:-1] if len(words) > 1 and words[-1] == "cell" else words)


def _singular(word: str) -> str:
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if is_plural else word
